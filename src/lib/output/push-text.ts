import { formatBytes } from './format.js';
import type { Pushed, PushOutline } from '../push/push.js';

/** What a push would do, a line for each thing: `web   build Dockerfile in ./web   recreate: other environment`. */
export function outlineLines({ builds, actions }: PushOutline): string[] {
  const rows = actions.map(({ kind, name, action, reason }) => {
    const build = kind === 'service' ? builds.find((one) => one.service === name) : undefined;
    const isOpen = build !== undefined && action === 'keep';
    return [
      kind === 'service' ? name : `${kind} ${name}`,
      build === undefined ? '' : `from ${build.from}`,
      isOpen ? 'keep, unless that gives another image' : `${action}: ${reason}`,
    ];
  });
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** What a push has come to. */
export function pushedLines(pushed: Pushed, device: string): string[] {
  return [...deliveredLines(pushed, device), ...deployedLines(pushed, device)];
}

/** What was sent, beside what a whole image is. */
function deliveredLines({ delivered }: Pushed, device: string): string[] {
  return Object.entries(delivered).flatMap(([service, { layers, layersSent, bytesSent, imageBytes }]) =>
    bytesSent === 0
      ? []
      : `sent ${formatBytes(bytesSent)} for the ${formatBytes(imageBytes)} of ${service} to ${device}: ${layersSent} of ${layers} layers`,
  );
}

function deployedLines({ services, removed, isUnchanged, seconds }: Pushed, device: string): string[] {
  if (isUnchanged) return [`${device} runs all of this already (${seconds} s)`];
  const byState = new Map<string, string[]>();
  for (const { service, state } of services) byState.set(state, [...(byState.get(state) ?? []), service]);
  const lines = [...byState].map(
    ([state, names]) => `${listed(names)} ${names.length > 1 ? 'are' : 'is'} ${state} on ${device} (${seconds} s)`,
  );
  return removed.length === 0 ? lines : [...lines, `${listed(removed)} removed: not part of the project`];
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1) ?? ''}`;
}
