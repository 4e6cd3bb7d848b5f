import { Failure } from '../failure/failure.js';
import { HttpFile } from '../platform/http-file.js';

/** Reads a small file from a web server; undefined when it has none. Some servers deny what does not exist. */
export async function readSmallUrl(url: URL, largest: number, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    const file = await HttpFile.open(url, { signal });
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of file.stream()) {
      size += chunk.length;
      if (size > largest) {
        throw new Failure('failed', 'wrong-content', `${file.name} is too large for checksums, a signature or a key`, {
          hint: 'Check the address',
        });
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof Failure && (error.code === 'url-not-found' || error.code === 'url-denied')) return undefined;
    throw error;
  }
}
