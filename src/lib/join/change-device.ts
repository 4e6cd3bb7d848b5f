import { createHash, randomBytes } from 'node:crypto';
import type { Device } from '../device/device.js';
import { runScript } from '../device/run-script.js';
import { Failure } from '../failure/failure.js';
import { busy, failureOf, notStarted, osConfigSeconds } from './change-end.js';
import { abortScript, cleanScript, scriptCodes, startScript, workerScript } from './change-script.js';
import { Follower, type FollowOptions } from './follow-change.js';

/** What is to become of the configuration of a device. It holds secrets. */
export interface DeviceChange {
  readonly kind: 'join' | 'leave';
  readonly before: Buffer;
  /** The new config.json; undefined where os-config makes it. */
  readonly after: Buffer | undefined;
  /** The cloud that the device will have to reach, and its certificates (PEM) where it has its own. */
  readonly cloud: { readonly apiEndpoint: string; readonly certificates: Buffer } | undefined;
  /** Files that os-config writes, and the units that read them. */
  readonly files: readonly string[];
  readonly units: readonly string[];
}

/** What a change is made with. */
export interface ChangeOptions extends FollowOptions {
  readonly signal: AbortSignal;
}

/** What os-config asks at a cloud. */
const configRoute = '/os/v1/config';

/** How long an interrupted change has to be taken back. */
const undoMs = 30_000;

/**
 * Changes a device so that it ends with what it had or with what it is to have: the device does it by itself, and davit looks on. On abort it is
 * told to put everything back, if it still can.
 */
export async function changeDevice(device: Device, change: DeviceChange, options: ChangeOptions): Promise<void> {
  const { signal, progress } = options;
  signal.throwIfAborted();
  const name = randomBytes(8).toString('hex');
  const hasBegun = await start(device, name, change);
  const giveUp = new AbortController();
  let patience: NodeJS.Timeout | undefined;
  const onAbort = () => {
    progress({ type: 'notice', level: 'info', text: `putting ${device.name} back, if it is not done yet` });
    patience = setTimeout(() => {
      giveUp.abort();
    }, undoMs);
    // What became of it is told in the end.
    tell(device, name, abortScript).catch(unlessBug);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let failure: Failure | undefined;
  try {
    const end = await new Follower(device, name, options, giveUp.signal).follow();
    failure =
      end === 'gone' && hasBegun !== true ? notStarted(device.name, hasBegun) : failureOf(end, device.name, change);
    // What is left is in memory, and the next change takes it away.
    await tell(device, name, cleanScript).catch(unlessBug);
  } catch (error) {
    unlessBug(error);
    failure = error;
  } finally {
    clearTimeout(patience);
    signal.removeEventListener('abort', onAbort);
  }
  if (signal.aborted) {
    progress({ type: 'notice', level: 'warning', text: failure?.message ?? `${device.name} was done already` });
  }
  if (failure !== undefined) throw failure;
  signal.throwIfAborted();
}

/** Lets the device begin. True when it has; what the link failed with when that cannot be known. */
async function start(
  device: Device,
  name: string,
  { kind, before, after, cloud, files, units }: DeviceChange,
): Promise<true | Failure> {
  const url = cloud === undefined ? '' : `${cloud.apiEndpoint}${configRoute}`;
  const hashes = [sha256(before), after === undefined ? '' : sha256(after)];
  const lists = [files, units].map((list) => list.join('\n'));
  const words = [name, workerScript, kind, ...hashes, String(osConfigSeconds), url, ...lists];
  const parts = [after, cloud?.certificates].map((part) => part?.toString('base64') ?? '');
  const input = [...parts, 'end', ''].join('\n');
  const connection = await device.ssh();
  try {
    const { exitCode, stderr } = await runScript(connection, startScript, { words, input });
    if (exitCode === 0) return true;
    if (exitCode === scriptCodes.busy) throw busy(device.name);
    throw notStarted(device.name, stderr.trim().split('\n').at(-1));
  } catch (error) {
    if (error instanceof Failure && error.code === 'connection-lost') return error;
    throw error;
  }
}

async function tell(device: Device, name: string, script: string): Promise<void> {
  await runScript(await device.ssh(), script, { words: [name] });
}

function unlessBug(error: unknown): asserts error is Failure {
  if (!(error instanceof Failure)) throw error;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
