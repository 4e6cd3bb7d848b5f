import { pingEngine } from '../engine/engine-info.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { readBootId } from './boot-id.js';
import type { Device } from './device.js';
import { endDevice, type EndOptions } from './end-system.js';

/** Finds a device, now and again: it may have another address when it is back. */
export type DeviceOpener = (signal: AbortSignal, progress?: ProgressListener) => Promise<Device>;

/** How a device is restarted or switched off. */
export interface PowerRequest extends EndOptions {
  /** How long to wait for it to be back, or off; undefined for not at all. */
  readonly waitMs: number | undefined;
  readonly progress: ProgressListener;
}

/** What has become of a device that was restarted or switched off. */
export interface PowerOutcome {
  readonly name: string;
  /** Where it is now, or was. */
  readonly address: string;
  /** After how many seconds it was back, or off; null when nobody waited for that. */
  readonly seconds: number | null;
}

const pauseMs = 1000;
/** A device that is about to go may take a login and never answer it. */
const attemptMs = 15_000;

/**
 * Restarts a device and waits until it is back: until the device of the same identity answers and says that it was started anew, and its engine
 * too if it had one. Fails as unreachable when it is not back in time, and as refused when something else answers in its place.
 */
export async function rebootDevice(open: DeviceOpener, request: PowerRequest): Promise<PowerOutcome> {
  const { waitMs, progress, signal } = request;
  const device = await open(signal);
  const { name, address } = device;
  let before: Before = { bootId: undefined, hasEngine: false };
  try {
    if (waitMs !== undefined) {
      before = { bootId: await readBootId(device, signal), hasEngine: await hasEngine(device, signal) };
    }
    await endDevice(device, 'reboot', request);
  } finally {
    await device.close();
  }
  if (waitMs === undefined) return { name, address, seconds: null };
  const startedAt = performance.now();
  const step = { type: 'step', id: name, phase: 'reboot' } as const;
  let state: ReturnState = 'still up';
  const tell = (next: ReturnState) => {
    if (next !== state) progress({ ...step, state: 'active', detail: next });
    state = next;
  };
  progress({ ...step, state: 'active', detail: 'waiting until it is back' });
  const wait = limit(signal, waitMs);
  try {
    const back = await untilBack(open, before, wait.signal, tell);
    if (signal.aborted) signal.throwIfAborted();
    if (back === undefined) throw notBack(name, waitMs, state);
    progress({ ...step, state: 'done' });
    return { name, address: back.address, seconds: secondsSince(startedAt) };
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw error;
  } finally {
    wait.end();
  }
}

/** How far a restart is. */
type ReturnState = 'still up' | 'down' | 'up, but its engine does not answer yet';

/** What a device was like before it was restarted. */
interface Before {
  readonly bootId: string | undefined;
  readonly hasEngine: boolean;
}

/** Undefined when the signal is aborted first. Without a boot ID to compare with, the device has to be away once. */
async function untilBack(
  open: DeviceOpener,
  before: Before,
  signal: AbortSignal,
  tell: (state: ReturnState) => void,
): Promise<{ readonly address: string } | undefined> {
  let wasAway = false;
  while (!signal.aborted) {
    const attempt = limit(signal, attemptMs);
    try {
      const device = await open(attempt.signal, () => undefined);
      try {
        const now = await readBootId(device, attempt.signal);
        const isAnew = before.bootId === undefined ? wasAway : now !== undefined && now !== before.bootId;
        if (isAnew) {
          if (!before.hasEngine || (await hasEngine(device, attempt.signal))) return { address: device.address };
          tell('up, but its engine does not answer yet');
        }
      } finally {
        await device.close();
      }
    } catch (error) {
      if (!isPassing(error, attempt.signal)) throw error;
      wasAway = true;
      tell('down');
    } finally {
      attempt.end();
    }
    await waitAtMost(pauseMs, signal);
  }
  return undefined;
}

/** Whether the engine of a device answers, which is up later than all else. */
async function hasEngine(device: Device, signal: AbortSignal): Promise<boolean> {
  try {
    await pingEngine(await device.engine(), signal);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.kind !== 'interrupted') return false;
    throw error;
  }
}

/** Whether a device that starts may still answer otherwise: it may let nobody in before it has read its configuration. */
function isPassing(error: unknown, attempt: AbortSignal): boolean {
  if (attempt.aborted) return true;
  return error instanceof Failure && ['unreachable', 'not-found', 'permission', 'failed'].includes(error.kind);
}

function notBack(name: string, waitMs: number, state: ReturnState): Failure {
  const seconds = Math.round(waitMs / 1000);
  const message = `${name} was told to restart and is not back within ${seconds} s: it is ${state}`;
  return new Failure('unreachable', 'device-not-back', message, {
    hint: 'It may need longer: davit scan shows it when it is there. --timeout sets how long to wait',
  });
}

/** Seconds to one decimal. */
export function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 100) / 10;
}
