import { findingLine, worstFirst } from '../project/finding.js';
import type { CheckedPush } from '../push/check-push.js';

/** What a check has found, the worst first, and what it comes to. */
export function checkLines({ findings, services }: CheckedPush): string[] {
  const sums = ['error', 'warning', 'note'].flatMap((level) => {
    const count = findings.filter((one) => one.level === level).length;
    return count === 0 ? [] : [`${count} ${level}${count > 1 ? 's' : ''}`];
  });
  const what = `${services.length} ${services.length > 1 ? 'services' : 'service'} (${services.join(', ')})`;
  const lines = worstFirst(findings).map(findingLine);
  return [...lines, `${what}: ${sums.length === 0 ? 'nothing to say' : sums.join(', ')}`];
}
