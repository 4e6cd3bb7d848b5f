import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { type DriveWriter, tableSize, tailStart } from './drive-writer.js';
import { type CapacityVerdict, placesToProbe, probeCapacity, type ProbedMedium } from './probe-capacity.js';
import { StepMeter } from './step-meter.js';

/**
 * Makes sure that a drive holds as much as it claims, apart from where its partition table goes. What is on it is lost. Fails with
 * `capacity-false` for one that claims more than it has.
 */
export async function probeDrive(writer: DriveWriter, signal: AbortSignal, progress: ProgressListener): Promise<void> {
  const { drive } = writer;
  const range = { start: tableSize, size: tailStart(drive) - tableSize };
  const places = placesToProbe(range);
  if (places.length === 0) return;
  const total = 2 * places.reduce((sum, place) => sum + place.size, 0);
  const meter = new StepMeter('probe', drive.path, () => total, progress);
  try {
    const onBytes = (bytes: number) => {
      meter.add(bytes);
    };
    requireTrue(drive, await probeCapacity(mediumOf(writer), range, { signal, onBytes }));
  } catch (error) {
    meter.failed();
    throw error;
  }
  meter.done();
}

function mediumOf(writer: DriveWriter): ProbedMedium {
  /** A drive may answer with errors where it ends, and is asked more all the same. */
  const goingOn = async (work: Promise<void>) => {
    try {
      await work;
    } catch (error) {
      await writer.recover();
      throw error;
    }
  };
  return {
    write: (bytes, start) => goingOn(writer.write([{ start, bytes }])),
    read: (bytes, start) => goingOn(writer.read({ start, bytes })),
    flush: () => goingOn(writer.flush()),
  };
}

function requireTrue({ path, size }: { readonly path: string; readonly size: number }, verdict: CapacityVerdict): void {
  const { kind, realEnd } = verdict;
  const hint = 'Do not use it: it is counterfeit or broken, and loses what is written to it';
  switch (kind) {
    case 'true':
      return;
    case 'wraps':
    case 'ends': {
      const what = kind === 'wraps' ? 'lands on what is before' : 'is lost';
      throw new Failure(
        'failed',
        'capacity-false',
        `${path} claims ${size} bytes but holds about ${realEnd}: what is written beyond ${what}`,
        { hint },
      );
    }
    case 'damaged':
      throw new Failure('failed', 'drive-failed', `${path} does not keep what is written to it at byte ${realEnd}`, {
        hint: 'The card is probably worn out; try another card, then another reader',
      });
  }
}
