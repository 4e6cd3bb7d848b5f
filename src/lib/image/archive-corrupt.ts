import { Failure } from '../failure/failure.js';

/** The failure for an archive that ends too early or does not decode. */
export function archiveCorrupt(name: string, detail: string, cause?: unknown): Failure {
  return new Failure('failed', 'archive-corrupt', `${name} is truncated or corrupt: ${detail}`, {
    hint: 'Get the file again and compare its checksum',
    cause,
  });
}
