import type { Device } from '../device/device.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';

/** What a device is waited for with. */
export interface WaitOptions {
  /** What it is waited for, to follow "waiting": "for the Supervisor to start". */
  readonly what: string;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

const pauseMs = 1000;

/** Waits until something holds on a device, which may be out of reach in between. False when that takes too long. */
export async function waitForDevice(
  device: Pick<Device, 'name'>,
  holds: () => Promise<boolean>,
  { what, timeoutMs, signal, progress }: WaitOptions,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  const step = { type: 'step', id: device.name, phase: 'wait', detail: what } as const;
  for (;;) {
    progress({ ...step, state: 'active' });
    if (await heldUnlessAway(holds)) {
      progress({ ...step, state: 'done' });
      return true;
    }
    signal.throwIfAborted();
    if (performance.now() >= end) {
      progress({ ...step, state: 'failed' });
      return false;
    }
    await waitAtMost(Math.min(pauseMs, end - performance.now()), signal);
    signal.throwIfAborted();
  }
}

async function heldUnlessAway(holds: () => Promise<boolean>): Promise<boolean> {
  try {
    return await holds();
  } catch (error) {
    if (error instanceof Failure && error.kind === 'unreachable') return false;
    throw error;
  }
}
