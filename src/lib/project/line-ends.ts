import { readFile } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { whileDoing } from '../failure/while-doing.js';

/** Text that somebody wrote is not longer; a longer file is left as it is. */
export const mostTextBytes = 10_000_000;

/**
 * How many bytes a file loses when its Windows line ends become those of Unix: the carriage returns before its line feeds. None where the
 * file is no text, which is where it has a zero byte.
 */
export async function carriageReturns(file: string, size: number): Promise<number> {
  if (size === 0 || size > mostTextBytes) return 0;
  const content = await readFile(file).catch((error: unknown) => {
    throw whileDoing(`reading ${file}`, error);
  });
  if (content.includes(0)) return 0;
  let count = 0;
  for (let at = content.indexOf('\r\n'); at >= 0; at = content.indexOf('\r\n', at + 2)) count += 1;
  return count;
}

/** A stream of text with the line ends of Unix. */
export function withUnixLineEnds(stream: NodeJS.ReadableStream): Transform {
  let isHeld = false;
  const transform = new Transform({
    transform(chunk: Buffer, _, done) {
      const bytes = isHeld ? Buffer.concat([Buffer.from('\r'), chunk]) : chunk;
      isHeld = bytes.at(-1) === 0x0d;
      // In this encoding every byte is a letter of its own.
      const text = (isHeld ? bytes.subarray(0, -1) : bytes).toString('latin1').replaceAll('\r\n', '\n');
      done(null, Buffer.from(text, 'latin1'));
    },
    flush(done) {
      done(null, isHeld ? '\r' : undefined);
    },
  });
  stream.on('error', (error: Error) => transform.destroy(error));
  return stream.pipe(transform);
}

/** The content of a file that is no longer than `mostTextBytes`, with the line ends of Unix if it is text. */
export function asUnixText(content: Buffer): Buffer {
  return content.includes(0) ? content : Buffer.from(content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}
