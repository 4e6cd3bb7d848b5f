import type { LogLine } from '../engine/container-logs.js';
import { textLines } from '../engine/text-lines.js';
import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { remoteCommandLine } from '../ssh/quote-command.js';
import type { Device } from '../device/device.js';
import type { EngineLink } from '../device/engine-link.js';
import type { LogRequest, LogSource } from './log-source.js';
import { throughLosses } from './through-losses.js';

/** The journal of a device's own system, read over SSH with `journalctl`, without what containers print. */
export class SystemLog implements LogSource {
  readonly name = 'system';
  readonly #link: EngineLink;
  readonly #request: LogRequest;
  /** Of the last entry that was read, as `journalctl` takes it. */
  #cursor: string | undefined;

  constructor(link: EngineLink, request: LogRequest) {
    this.#link = link;
    this.#request = request;
  }

  async *there(): AsyncGenerator<LogLine> {
    const { follow, tail, signal } = this.#request;
    const device = await this.#link.device();
    try {
      yield* tail === undefined ? this.#read(device, ['--lines=all']) : await this.#last(device, tail);
    } catch (error) {
      signal.throwIfAborted();
      // Whoever waits for what comes gets the rest with that.
      if (!follow || this.#cursor === undefined || !(error instanceof Failure && this.#isPassing(error))) throw error;
    }
  }

  coming(): AsyncGenerator<LogLine> {
    return throughLosses(this.#link, this.#request, {
      // Of a journal in which nothing was read, it is what comes that is wanted.
      read: (device, reached) => {
        return this.#read(device, ['--follow', `--lines=${this.#cursor === undefined ? 0 : 'all'}`], reached);
      },
      isPassing: (error) => this.#isPassing(error),
    });
  }

  /** The last lines, for which the journal is read backwards: how many entries containers have among them is not known before. */
  async #last(device: Device, tail: number): Promise<LogLine[]> {
    const lines: LogLine[] = [];
    let newest: string | undefined;
    try {
      for await (const line of this.#read(device, ['--reverse', '--lines=all'])) {
        newest ??= this.#cursor;
        if (lines.length === tail) break;
        lines.push(line);
      }
    } finally {
      this.#cursor = newest;
    }
    return lines.reverse();
  }

  /** Reads entries after the last one that was read. */
  async *#read(device: Device, which: readonly string[], reached?: (where: string) => void): AsyncGenerator<LogLine> {
    const { since, signal } = this.#request;
    const connection = await device.ssh();
    const words = ['journalctl', '--output=json', '--no-pager', '--quiet', ...which];
    if (this.#cursor !== undefined) words.push(`--after-cursor=${this.#cursor}`);
    else if (since !== undefined) words.push(`--since=@${since.replace(/\..*$/, '')}`);
    const program = await connection.execute(remoteCommandLine(words));
    reached?.(`the journal of ${device.name}`);
    const onAbort = () => {
      program.close();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    program.stdin.end();
    let complaint = '';
    program.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < 2000) complaint += chunk.toString();
    });
    // Whoever leaves a log in the middle does not wait for its end.
    program.exited.catch(() => undefined);
    try {
      for await (const text of textLines(program.stdout)) {
        const entry = entryOf(text);
        if (entry === undefined) continue;
        this.#cursor = entry.cursor;
        if (entry.line !== undefined) yield entry.line;
      }
      signal.throwIfAborted();
      const { exitCode } = await program.exited;
      if (exitCode === 0) return;
      const reason = complaint.trim().split('\n').at(-1) ?? '';
      throw new Failure(
        'failed',
        'journal-unreadable',
        `reading the journal of ${device.name}: ${reason === '' ? `journalctl ended with exit code ${exitCode}` : reason}`,
      );
    } finally {
      signal.removeEventListener('abort', onAbort);
      program.close();
    }
  }

  /** A device that shuts down ends its programs before its connections. */
  #isPassing({ kind, code }: Failure): boolean {
    return kind === 'unreachable' || (code === 'journal-unreadable' && this.#cursor !== undefined);
  }
}

/** An entry of the journal in its JSON form (systemd.journal-fields(7)); containers' output has its own log. */
function entryOf(text: string): { readonly cursor: string; readonly line: LogLine | undefined } | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(text);
  } catch {
    // The last line of a journal that was cut off.
    return undefined;
  }
  if (!isRecord(entry)) return undefined;
  const { __CURSOR: cursor, __REALTIME_TIMESTAMP: microseconds, MESSAGE: message, PRIORITY: priority } = entry;
  if (typeof cursor !== 'string' || typeof microseconds !== 'string') return undefined;
  if (entry.CONTAINER_ID !== undefined) return { cursor, line: undefined };
  const who = entry.SYSLOG_IDENTIFIER ?? entry._COMM;
  const said = Array.isArray(message) ? Buffer.from(message.map(Number)).toString('utf8') : message;
  const line: LogLine = {
    time: timeOf(microseconds),
    stream: typeof priority === 'string' && Number(priority) <= 3 ? 'stderr' : 'stdout',
    text: `${typeof who === 'string' ? `${who}: ` : ''}${typeof said === 'string' ? said : ''}`,
  };
  return { cursor, line };
}

/** RFC 3339 with nanoseconds, as engines say it. */
function timeOf(microseconds: string): string {
  const seconds = new Date(Math.floor(Number(microseconds) / 1000)).toISOString().slice(0, 19);
  return `${seconds}.${microseconds.slice(-6)}000Z`;
}
