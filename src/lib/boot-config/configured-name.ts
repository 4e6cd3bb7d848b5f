import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';

const packedEnding = /\.(gz|xz|zst|zstd|bz2|lz4|zip|dmg)$/i;
const imageEnding = /\.(img|raw|wic|bin|hddimg|rpi-sdimg|sdimg|balenaos-img|resinos-img)$/i;

/** The name of the configured image beside an image: `x.configured.img` for `x.img`, `x.img.xz` and `x.zip`. */
export function configuredName(image: string): string {
  if (!packedEnding.test(image)) {
    const { dir, name, ext } = path.parse(image);
    return path.join(dir, `${name}.configured${ext}`);
  }
  const unpacked = image.replace(packedEnding, '');
  const [ending = '.img'] = imageEnding.exec(unpacked) ?? [];
  return `${unpacked.replace(imageEnding, '')}.configured${ending}`;
}

/**
 * Fails when a file cannot become the configured image: `output-exists`, `output-not-a-file`, and `output-is-image`.
 *
 * @param image the file that is configured, if it is one
 */
export async function requireOutput(output: string, mayOverwrite: boolean, image?: string): Promise<void> {
  if (output === '') {
    throw new Failure('usage', 'output-not-a-file', 'the name of the output is empty', {
      hint: 'Give the path of a file with --output',
    });
  }
  const existing = await statIfThere(output);
  if (existing === undefined) return;
  const own = image === undefined ? undefined : await statIfThere(image);
  if (existing.dev === own?.dev && existing.ino === own.ino) {
    throw new Failure('usage', 'output-is-image', `${output} is the image itself`, {
      hint: 'Use --in-place to change the image, or give another --output',
    });
  }
  if (!existing.isFile()) {
    throw new Failure('usage', 'output-not-a-file', `${output} exists and is not a file`, {
      hint: 'Give the path of a file with --output',
    });
  }
  if (mayOverwrite) return;
  throw new Failure('refused', 'output-exists', `${output} exists already`, {
    hint: 'Use --force to replace it, or give another --output',
  });
}

async function statIfThere(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw whileDoing(`looking at ${file}`, error);
  }
}
