import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { engineAnswers, sshAnswers } from './device-answers.js';
import type { DeviceEndpoints } from './device-network.js';
import type { SerialLog } from './serial-log.js';
import type { VirtualMachine } from './virtual-machine.js';

/** A device that is starting. */
export interface StartingDevice {
  readonly image: string;
  readonly isDevelopment: boolean;
  readonly endpoints: DeviceEndpoints;
  readonly machine: VirtualMachine;
  readonly log: SerialLog;
}

/**
 * Waits until a device is ready: SSH answers, and in development mode the engine too. Fails when it switches itself off or
 * takes longer than `timeoutMs`.
 */
export async function untilReady(device: StartingDevice, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const { image, isDevelopment, endpoints, machine, log } = device;
  const patience = limit(signal, timeoutMs);
  void machine.ended.then(patience.end);
  const [hasSsh, hasEngine] = await Promise.all([
    sshAnswers(endpoints.ssh, patience.signal),
    isDevelopment ? engineAnswers(endpoints.engine, patience.signal) : true,
  ]);
  patience.end();
  signal.throwIfAborted();
  if (hasSsh && hasEngine) return;
  const lastLines = log.lastLines(6).map((line) => `\n  ${line}`);
  const said =
    lastLines.length === 0 ? 'its serial console is silent' : `its serial console ends:${lastLines.join('')}`;
  const hint = 'Watch the whole start with --serial-log, or allow more time with --timeout';
  if (machine.isOff) {
    throw new Failure('failed', 'device-went-off', `${image} switched itself off while it started; ${said}`, {
      hint,
    });
  }
  const missing = hasSsh ? 'its engine' : 'SSH';
  const time = `${Math.round(timeoutMs / 1000)} s`;
  throw new Failure(
    'unreachable',
    'device-not-ready',
    `${missing} did not answer within ${time} of booting ${image}; ${said}`,
    { hint },
  );
}
