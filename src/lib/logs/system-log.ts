import type { LogLine } from '../engine/container-logs.js';
import { textLines } from '../engine/text-lines.js';
import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { waitAtMost } from '../platform/wait.js';
import { remoteCommandLine } from '../ssh/quote-command.js';
import type { EngineLink } from '../device/engine-link.js';
import type { LogRequest, LogSource } from './log-source.js';

const pollMs = 500;
const longestPauseMs = 10_000;

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
    const { follow, signal } = this.#request;
    try {
      yield* this.#read(false);
    } catch (error) {
      signal.throwIfAborted();
      // Whoever waits for what comes gets the rest with that.
      if (!follow || this.#cursor === undefined || !isPassing(error)) throw error;
    }
  }

  async *coming(): AsyncGenerator<LogLine> {
    const { signal, progress } = this.#request;
    let losses = 0;
    for (;;) {
      signal.throwIfAborted();
      try {
        for await (const line of this.#read(true)) {
          losses = 0;
          yield line;
        }
        signal.throwIfAborted();
        await waitAtMost(pollMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        if (losses === 0) {
          progress({ type: 'notice', level: 'warning', text: `${error.message}; trying again until Ctrl-C` });
        }
        losses += 1;
        await this.#link.drop();
        await waitAtMost(Math.min(pollMs * 2 ** losses, longestPauseMs), signal);
      }
    }
  }

  async *#read(follow: boolean): AsyncGenerator<LogLine> {
    const { tail, since, signal } = this.#request;
    const device = await this.#link.device();
    const connection = await device.ssh();
    const words = ['journalctl', '--output=json', '--no-pager', '--quiet', ...(follow ? ['--follow'] : [])];
    if (this.#cursor !== undefined) words.push(`--after-cursor=${this.#cursor}`, '--lines=all');
    else {
      words.push(tail === undefined ? '--lines=all' : `--lines=${tail}`);
      if (since !== undefined) words.push(`--since=@${since.replace(/\..*$/, '')}`);
    }
    const program = await connection.execute(remoteCommandLine(words));
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
      const reason = complaint.trim().split('\n').at(-1) ?? `exit code ${exitCode}`;
      throw new Failure('failed', 'journal-unreadable', `reading the journal of ${device.name}: ${reason}`);
    } finally {
      signal.removeEventListener('abort', onAbort);
      program.close();
    }
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

function isPassing(error: unknown): error is Failure {
  return error instanceof Failure && error.kind === 'unreachable';
}
