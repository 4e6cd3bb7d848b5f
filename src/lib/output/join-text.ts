import type { JoinPlan } from '../join/plan-join.js';
import type { LeavePlan } from '../join/plan-leave.js';
import { configDifferenceLines } from './config-text.js';
import { printable } from './format.js';
import { paintFor } from './paint.js';

/** What joining would do to a device. */
export function joinPlanLines(plan: JoinPlan, hasColor: boolean): string[] {
  const { device, apiEndpoint, applicationId, leaves, differences, kept, deletes } = plan;
  const paint = paintFor(hasColor);
  const fleet = applicationId === null ? '' : ` (fleet ${JSON.stringify(applicationId)})`;
  const from = leaves === null || leaves === apiEndpoint ? '' : `, and leaves ${leaves}`;
  return [
    paint.heading(printable(`${device} joins ${apiEndpoint}${fleet}${from}.`)),
    'config.json:',
    ...indented(configDifferenceLines(differences, hasColor)),
    ...(kept.length === 0
      ? []
      : ['It keeps, though the configuration says something else (--take <key> changes that):']),
    ...kept.map(({ key, before }) => printable(`  ${key}: ${JSON.stringify(before)}`)),
    ...list('Its Supervisor will delete these containers, as they are not of the fleet:', deletes?.containers ?? []),
    ...list('and these volumes, with all that is in them:', deletes?.volumes ?? []),
  ];
}

/** What leaving would do to a device. */
export function leavePlanLines(plan: LeavePlan, hasColor: boolean): string[] {
  const { device, leaves, differences, stops } = plan;
  if (leaves === null) return [printable(`${device} is in no fleet.`)];
  return [
    paintFor(hasColor).heading(printable(`${device} leaves ${leaves}.`)),
    'config.json:',
    ...indented(configDifferenceLines(differences, hasColor)),
    ...list('These containers of the fleet stop and are removed; their volumes stay:', stops ?? []),
  ];
}

function list(heading: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [heading, ...names.map((name) => printable(`  ${name}`))];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}
