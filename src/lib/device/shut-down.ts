import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { endDevice } from './end-system.js';
import { type DeviceOpener, type PowerOutcome, type PowerRequest, secondsSince } from './reboot.js';

const pauseMs = 500;

/** How many knocks in a row have to stay without any answer. */
const knocks = 2;

/**
 * Switches a device off and waits until nothing comes back from its address any more. Fails when it still answers after the time to wait.
 */
export async function shutDownDevice(open: DeviceOpener, request: PowerRequest): Promise<PowerOutcome> {
  const { waitMs, progress, signal } = request;
  const device = await open(signal);
  const { name, address } = device;
  const step = { type: 'step', id: name, phase: 'shutdown' } as const;
  try {
    await endDevice(device, 'shutdown', request);
    if (waitMs === undefined) return { name, address, seconds: null };
    const startedAt = performance.now();
    progress({ ...step, state: 'active', detail: 'waiting until it is off' });
    const wait = limit(signal, waitMs);
    try {
      const isOff = await untilGone(() => device.isThere(), wait.signal);
      signal.throwIfAborted();
      progress({ ...step, state: isOff ? 'done' : 'failed' });
      if (!isOff) throw stillThere(name, waitMs);
      return { name, address, seconds: secondsSince(startedAt) };
    } finally {
      wait.end();
    }
  } finally {
    await device.close();
  }
}

async function untilGone(isThere: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  let silent = 0;
  while (!signal.aborted) {
    silent = (await isThere()) ? 0 : silent + 1;
    if (silent === knocks) return true;
    await waitAtMost(pauseMs, signal);
  }
  return false;
}

function stillThere(name: string, waitMs: number): Failure {
  const message = `${name} was told to switch itself off and still answers after ${Math.round(waitMs / 1000)} s`;
  return new Failure('failed', 'device-not-off', message, {
    hint: `See what keeps it: davit ssh ${name} -- systemctl list-jobs`,
  });
}
