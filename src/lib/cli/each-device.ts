import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';

/** What is done to each of several devices. */
export interface EachDevice<T> {
  /** What the user called them; one that is named twice counts once. */
  readonly names: readonly string[];
  readonly work: (name: string) => Promise<T>;
  /** Told of each device as soon as it is done. */
  readonly onDone: (result: T) => void;
  readonly progress: ProgressListener;
  /** How many are worked on at once; all, without it. */
  readonly atOnce?: number;
}

/** What became of a device, for the error document. */
interface DeviceReport {
  readonly device: string;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

/**
 * Does something to several devices at once. One that fails does so alone: it is told, the others go on, and in the end the call fails with
 * what became of each. A single device fails with its own failure.
 */
export async function onEachDevice<T extends object>(request: EachDevice<T>): Promise<readonly T[]> {
  const { work, onDone, progress } = request;
  const names = [...new Set(request.names)];
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) {
    const result = await work(only);
    onDone(result);
    return [result];
  }
  const results = new Map<string, T>();
  const failures: Failure[] = [];
  const inTurn = turns(request.atOnce ?? names.length);
  const devices = await Promise.all(
    names.map((device) =>
      inTurn(async (): Promise<DeviceReport> => {
        try {
          const result = await work(device);
          onDone(result);
          results.set(device, result);
          return { device, ...result };
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          const { code, message, hint } = error;
          failures.push(error);
          if (error.kind !== 'interrupted') {
            const text = [`${device}: ${message}`, ...(hint === undefined ? [] : [hint])].join('\n');
            progress({ type: 'notice', level: 'warning', text });
          }
          return { device, error: { code, message, ...(hint === undefined ? {} : { hint }) } };
        }
      }),
    ),
  );
  const [first] = failures;
  if (first === undefined) return names.flatMap((name) => results.get(name) ?? []);
  if (first.kind === 'interrupted') throw first.withReport({ devices });
  const failed = devices.filter(({ error }) => error !== undefined).map(({ device }) => device);
  const message = `${failed.length} of ${names.length} devices failed: ${failed.join(', ')}`;
  throw new Failure('failed', 'devices-failed', message, { report: { devices } });
}

/** Lets so many pieces of work go on at once, and the others wait. */
function turns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = atOnce;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
