import type { StepProgress } from '../platform/progress.js';
import { formatBytes, formatDuration, formatRate } from './format.js';
import type { RateMeter } from './rate-meter.js';

/** One line about a step: `write /dev/sdb  42%  289 MB of 684 MB  23.4 MB/s  17s left`. */
export function stepText(step: StepProgress, meter: RateMeter | undefined): string {
  const parts = [`${step.phase} ${step.id}`];
  if (step.state === 'failed') parts.push('failed');
  if (step.state === 'done') parts.push('done');
  const { current, total } = step;
  if (current !== undefined) {
    if (total !== undefined && total > 0 && step.state === 'active') {
      parts.push(`${String(Math.min(100, Math.floor((current / total) * 100))).padStart(3)}%`);
    }
    parts.push(
      total === undefined || step.state === 'done'
        ? formatBytes(current)
        : `${formatBytes(current)} of ${formatBytes(total)}`,
    );
    const rate = meter?.rate();
    if (rate !== undefined) parts.push(formatRate(rate));
    const left = total === undefined || step.state !== 'active' ? undefined : meter?.secondsLeft(total);
    if (left !== undefined) parts.push(`${formatDuration(left)} left`);
  }
  if (step.detail !== undefined) parts.push(step.detail);
  return parts.join('  ');
}
