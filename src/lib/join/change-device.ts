import { createHash, randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { StringDecoder } from 'node:string_decoder';
import type { Device } from '../device/device.js';
import { runScript } from '../device/run-script.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { remoteCommandLine } from '../ssh/quote-command.js';
import {
  abortScript,
  backupPath,
  cleanScript,
  followScript,
  scriptCodes,
  startScript,
  stepMark,
  workerScript,
} from './change-script.js';

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
export interface ChangeOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /** Hides secrets in a line that os-config prints. */
  readonly mask: (line: string) => string;
}

/** What os-config asks at a cloud. */
const configRoute = '/os/v1/config';

/** Seconds that os-config has; stopping the Supervisor alone may take 90. */
const osConfigSeconds = 180;

/** How long a device that cannot be reached any more is looked for. */
const reconnectMs = 90_000;

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

/** Looks on while a device changes itself, over as many connections as it takes. */
class Follower {
  readonly #device: Device;
  readonly #name: string;
  readonly #options: ChangeOptions;
  readonly #giveUp: AbortSignal;
  readonly #decoder = new StringDecoder('utf8');
  #bytes = 0;
  #line = '';

  constructor(device: Device, name: string, options: ChangeOptions, giveUp: AbortSignal) {
    this.#device = device;
    this.#name = name;
    this.#options = options;
    this.#giveUp = giveUp;
  }

  /** How it ended, as the worker said it; `gone` when the device does not know of it any more. */
  async follow(): Promise<string> {
    let lostAt: number | undefined;
    for (;;) {
      try {
        return await this.#look(() => {
          lostAt = undefined;
        });
      } catch (error) {
        if (!(error instanceof Failure && (error.kind === 'unreachable' || error.kind === 'interrupted'))) throw error;
        // Without a connection nothing can be told any more once davit is to end.
        if (error.kind === 'interrupted') throw linkLost(this.#device.name, error);
        if (lostAt === undefined) this.#notice(`the link to ${this.#device.name} is lost; it goes on by itself`);
        lostAt ??= performance.now();
        if (this.#giveUp.aborted || performance.now() - lostAt > reconnectMs) throw linkLost(this.#device.name, error);
        await waitAtMost(1000, this.#giveUp);
      }
    }
  }

  async #look(onConnected: () => void): Promise<string> {
    const connection = await this.#device.ssh();
    onConnected();
    const words = ['exec', 'sh', '-c', followScript, 'davit', this.#name, String(this.#bytes)];
    const program = await connection.execute(remoteCommandLine(words));
    const stop = () => {
      program.close();
    };
    this.#giveUp.addEventListener('abort', stop, { once: true });
    try {
      program.stdin.end();
      const said = text(program.stderr);
      program.stdout.on('data', (chunk: Buffer) => {
        this.#bytes += chunk.length;
        this.#print(this.#decoder.write(chunk));
      });
      const [{ exitCode }, end] = await Promise.all([program.exited, said]);
      if (exitCode === scriptCodes.gone || exitCode === scriptCodes.died) return 'gone';
      return end.trim();
    } finally {
      this.#giveUp.removeEventListener('abort', stop);
    }
  }

  #print(part: string): void {
    const lines = (this.#line + part).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith(stepMark)) this.#notice(line.slice(stepMark.length));
      else this.#options.progress({ type: 'line', id: 'os-config', text: this.#options.mask(line) });
    }
  }

  #notice(words: string): void {
    this.#options.progress({ type: 'notice', level: 'info', text: words });
  }
}

/** What became of a change, where it is not done. */
function failureOf(end: string, name: string, { kind, cloud }: DeviceChange): Failure | undefined {
  const [word, code = ''] = end.split(' ');
  const unchanged = { device: name, state: 'unchanged' };
  switch (word) {
    case 'done':
      return undefined;
    case 'unreachable':
      return new Failure(
        'unreachable',
        'cloud-unreachable',
        `${name} cannot reach ${cloud?.apiEndpoint ?? 'the cloud'}; nothing was changed`,
        {
          hint: 'Check the network of the device, and balenaRootCA if the cloud has its own certificates',
          report: unchanged,
        },
      );
    case 'changed':
      return new Failure(
        'refused',
        'live-config-busy',
        `config.json of ${name} has changed meanwhile; nothing was changed`,
        {
          hint: 'Something else writes it now; try again in a moment',
          report: unchanged,
        },
      );
    case 'unwritten':
      return new Failure(
        'failed',
        'live-config-failed',
        `a backup of config.json cannot be written on ${name}; nothing was changed`,
        {
          hint: `See what takes the room: davit ssh ${name} -- df /mnt/boot`,
          report: unchanged,
        },
      );
    case 'failed':
      return new Failure(
        'failed',
        'os-config-failed',
        `the ${kind} failed on ${name} (exit code ${code}); what was there before is back`,
        {
          hint: 'What os-config printed says why',
          report: { device: name, state: 'restored' },
        },
      );
    case 'timeout':
      return new Failure(
        'unreachable',
        'os-config-timeout',
        `os-config did not get done on ${name} in ${osConfigSeconds} s; what was there before is back`,
        {
          hint: `See whether the device reaches ${cloud?.apiEndpoint ?? 'the cloud'}`,
          report: { device: name, state: 'restored' },
        },
      );
    case 'aborted':
      return new Failure('interrupted', 'interrupted', `${name} is as it was before`, {
        report: { device: name, state: 'restored' },
      });
    case 'stuck':
      return new Failure(
        'failed',
        'rollback-failed',
        `the ${kind} failed on ${name}, and config.json could not be put back`,
        {
          hint: `What was there before is in ${backupPath}: davit ssh ${name} -- cp ${backupPath} /mnt/boot/config.json`,
          report: { device: name, state: 'broken' },
        },
      );
    case undefined:
    default:
      return new Failure('unreachable', 'change-broken-off', `${name} was restarted before the ${kind} was done`, {
        hint: `Run the command again: it shows with --dry-run what ${name} has now`,
        report: { device: name, state: 'unknown' },
      });
  }
}

function notStarted(name: string, reason: Failure | string | undefined): Failure {
  const why = reason instanceof Failure ? reason.message : (reason ?? '');
  const message = `${name} could not begin${why === '' ? '' : `: ${why}`}; nothing was changed`;
  return new Failure('failed', 'change-not-started', message, {
    hint: 'See whether the link is good, and whether /run is writable and has room',
    report: { device: name, state: 'unchanged' },
  });
}

function busy(name: string): Failure {
  return new Failure('refused', 'change-under-way', `${name} is joining or leaving a fleet already`, {
    hint: 'Wait until it is done, a few minutes at most',
  });
}

function linkLost(name: string, cause: unknown): Failure {
  const message = `the link to ${name} was lost; the device goes on by itself and ends with what it had or with what it is to have`;
  return new Failure('unreachable', 'change-unseen', message, {
    hint: `Reach it again and see what it has: davit ssh ${name} -- ls ${backupPath}, which is there as long as it is not done`,
    cause,
    report: { device: name, state: 'unknown' },
  });
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
