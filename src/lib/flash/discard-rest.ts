import { discard, discardableRanges, type Discarding } from '../drives/discard.js';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import type { ByteRange } from '../image/partition-table.js';
import type { ProgressListener } from '../platform/progress.js';
import { tableSize, tailStart } from './drive-writer.js';
import { StepMeter } from './step-meter.js';

/**
 * Tells a drive that it may forget everything but the runs of an image and where its partition table goes, whose copy an old drive would
 * otherwise show again. That it does not want to is only warned about.
 */
export async function discardRest(
  drive: Drive,
  runs: readonly ByteRange[],
  discarding: Discarding,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressListener },
): Promise<void> {
  const sorted = runs.toSorted((a, b) => a.start - b.start);
  const ranges = discardableRanges(sorted, { start: tableSize, end: tailStart(drive) }, discarding);
  const total = ranges.reduce((sum, range) => sum + range.size, 0);
  const meter = new StepMeter('discard', drive.path, () => total, progress);
  const onDone = (bytes: number) => {
    meter.add(bytes);
  };
  try {
    await discard(drive, ranges, discarding, { signal, onDone });
    meter.done();
  } catch (error) {
    meter.failed();
    if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
    const text = `What is not part of the image was not discarded: ${error.message}`;
    progress({ type: 'notice', level: 'warning', text });
  }
}
