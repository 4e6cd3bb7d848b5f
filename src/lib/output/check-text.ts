import { Failure } from '../failure/failure.js';
import type { CheckedPush } from '../push/check-push.js';
import type { Finding } from '../project/finding.js';

/** A finding in one line: `docker-compose.yml:7:5: warning: services.web.links is dropped: …`. */
function findingLine({ place, level, message }: Finding): string {
  const at = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `;
  return `${at}${level}: ${message}`.replaceAll(/\p{Cc}/gu, '\uFFFD');
}

const levels = ['error', 'warning', 'note'] as const;

/** What a check has found, the worst first, and what it comes to. */
export function checkLines({ findings, services }: CheckedPush): string[] {
  const sums = levels.flatMap((level) => {
    const count = findings.filter((one) => one.level === level).length;
    return count === 0 ? [] : [`${count} ${level}${count > 1 ? 's' : ''}`];
  });
  const what = `${services.length} ${services.length > 1 ? 'services' : 'service'} (${services.join(', ')})`;
  return [...sorted(findings).map(findingLine), `${what}: ${sums.length === 0 ? 'nothing to say' : sums.join(', ')}`];
}

/** Fails with everything that checks have found if there is an error among it. */
export function failOnErrors(checks: readonly CheckedPush[]): void {
  const findings = checks.flatMap((check) => check.findings);
  if (!findings.some(({ level }) => level === 'error')) return;
  throw new Failure('refused', 'project-unfit', sorted(findings).map(findingLine).join('\n'), {
    hint: 'Correct the errors at these places; docs/project.md says what a device can do',
    report: { checks },
  });
}

function sorted(findings: readonly Finding[]): readonly Finding[] {
  return levels.flatMap((level) => findings.filter((one) => one.level === level));
}
