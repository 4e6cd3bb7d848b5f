import { Failure } from '../failure/failure.js';
import type { EngineConnection } from './engine-connection.js';
import { engineStream } from './engine-request.js';
import { textLines } from './text-lines.js';

/** One line that a container printed. */
export interface LogLine {
  /** When the engine got it: RFC 3339 in UTC with nanoseconds, so that two of them compare as text. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** Which lines of a container's log are wanted. */
export interface LogSelection {
  /** Whether to wait for more until the container stops. */
  readonly follow: boolean;
  /** Only the last so many lines. */
  readonly tail?: number | undefined;
  /** Only lines from then on: seconds since 1970 with a fraction of up to nine digits, by the device's clock. */
  readonly since?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A container's log, oldest line first. A container with a terminal has one stream, which counts as standard output. */
export async function* containerLogs(
  engine: EngineConnection,
  container: { readonly id: string; readonly hasTerminal: boolean },
  { follow, tail, since, signal }: LogSelection,
): AsyncGenerator<LogLine> {
  const answer = engineStream(engine, {
    method: 'GET',
    path: `/containers/${container.id}/logs`,
    query: { stdout: true, stderr: true, timestamps: true, follow, tail, since },
    signal,
  });
  yield* container.hasTerminal ? terminalLines(answer) : framedLines(answer);
}

/** The raw log of a container with a terminal: `<time> <text>` on each line. */
export async function* terminalLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogLine> {
  for await (const line of textLines(chunks)) {
    const { time, text } = stamped(line);
    // The engine cuts lines at 16 KiB and stamps each piece with the time of the first.
    const whole = text.length > 16_384 ? text.replaceAll(`${time} `, '') : text;
    yield { time, stream: 'stdout', text: whole };
  }
}

/**
 * The log of a container without a terminal: frames of an eight-byte header (stream, three zero bytes, length) and
 * `<time> <text>`; a frame without a line end is a piece of a longer line.
 */
export async function* framedLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<LogLine> {
  const begun = new Map<LogLine['stream'], { time: string; pieces: Buffer[] }>();
  for await (const { stream, payload } of frames(chunks)) {
    const space = payload.indexOf(0x20);
    const piece = payload.subarray(space + 1);
    const line = begun.get(stream) ?? { time: payload.toString('latin1', 0, space), pieces: [] };
    line.pieces.push(piece);
    begun.set(stream, line);
    if (piece.at(-1) !== 0x0a) continue;
    begun.delete(stream);
    yield { time: line.time, stream, text: asText(line.pieces) };
  }
  for (const [stream, { time, pieces }] of begun) yield { time, stream, text: asText(pieces) };
}

async function* frames(
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<{ readonly stream: LogLine['stream']; readonly payload: Buffer }> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= 8) {
      const kind = held.readUInt8(0);
      const end = 8 + held.readUInt32BE(4);
      if (kind > 2) throw new Failure('failed', 'engine-answer', "the engine's log is not in the format of its API");
      if (held.length < end) break;
      yield { stream: kind === 2 ? 'stderr' : 'stdout', payload: held.subarray(8, end) };
      held = held.subarray(end);
    }
  }
}

function stamped(line: string): { readonly time: string; readonly text: string } {
  const space = line.indexOf(' ');
  return space < 0 ? { time: line, text: '' } : { time: line.slice(0, space), text: line.slice(space + 1) };
}

function asText(pieces: readonly Buffer[]): string {
  return Buffer.concat(pieces)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
