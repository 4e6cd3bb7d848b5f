import type { Notice, OutputLine, StepProgress } from '../platform/progress.js';
import { formatBytes, formatDuration, formatRate, printableLines } from './format.js';
import type { Paint } from './paint.js';
import type { RateMeter } from './rate-meter.js';

/** One line about a step: `write /dev/sdb  42%  289 MB of 684 MB  23.4 MB/s  17s left`. */
export function stepText(step: StepProgress, meter: RateMeter, paint: Paint): string {
  const parts = [`${step.phase} ${step.id}`];
  if (step.state === 'failed') parts.push(paint.error('failed'));
  if (step.state === 'done') parts.push(paint.good('done'));
  parts.push(...amountParts(step, meter));
  if (step.detail !== undefined) parts.push(step.detail);
  return parts.join('  ');
}

/** `warning: …` for warnings, the text alone otherwise. */
export function noticeText(notice: Notice, paint: Paint): string {
  const text = printableLines(notice.text);
  return notice.level === 'warning' ? `${paint.warning('warning:')} ${text}` : text;
}

/** A line that something else printed, behind its name. */
export function lineText(line: OutputLine): string {
  return `${line.id} | ${line.text}`;
}

function amountParts({ current, total, state }: StepProgress, meter: RateMeter): string[] {
  if (current === undefined) return [];
  const parts: string[] = [];
  const isOpen = state === 'active' && total !== undefined;
  if (isOpen && total > 0) parts.push(`${String(Math.min(100, Math.floor((current / total) * 100))).padStart(3)}%`);
  parts.push(isOpen ? `${formatBytes(current)} of ${formatBytes(total)}` : formatBytes(current));
  const rate = state === 'active' ? meter.rate() : meter.average();
  if (rate !== undefined) parts.push(formatRate(rate));
  const left = isOpen ? meter.secondsLeft(total) : undefined;
  if (left !== undefined) parts.push(`${formatDuration(left)} left`);
  return parts;
}
