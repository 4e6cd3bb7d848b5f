import { stat } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { type ImageSource, openImageSource } from '../image/source.js';
import type { OsFacts } from './os-facts.js';
import { lookIntoBoot, type ReadBootOptions, withImageSource } from './read-boot-partition.js';

/** The config.json of an image or a drive, or a file that is one. */
export interface ConfigSource {
  /** What the user calls it. */
  readonly name: string;
  readonly kind: 'image' | 'drive' | 'file';
  /** What config.json holds; undefined where an image has none. */
  readonly bytes: Buffer | undefined;
  /** What is known of the OS; nothing for a file. */
  readonly os: Partial<OsFacts>;
  readonly warnings: readonly string[];
}

/** Reads the config.json of an image, packed or not, of a drive, or a file that is a config.json; which of them it is, its content tells. */
export async function readConfigSource(location: string, options: ReadBootOptions): Promise<ConfigSource> {
  return withImageSource(
    location,
    async (source) => ((await isConfigFile(source)) ? readFile(source) : readImage(source, options)),
    options,
  );
}

/** No image is as small. */
const smallestImage = 64 * 1024;

/** Whether it is the text of a config.json: an object, or something small without the mark that images have at the end of their first sector. */
export async function isConfigFile({ stream, format, size, file }: ImageSource): Promise<boolean> {
  if (format !== 'raw' || file?.isDevice !== undefined) return false;
  const head = await stream.peek(512);
  if (/^(\xef\xbb\xbf)?\s*\{/.test(head.toString('latin1'))) return true;
  const hasMark = head.length === 512 && head.readUInt16LE(510) === 0xaa55;
  return !hasMark && (size ?? head.length) < (size === undefined ? 512 : smallestImage);
}

/** Far more than any configuration has. */
const mostBytes = 16 * 1024 * 1024;

async function readFile({ name, stream }: ImageSource): Promise<ConfigSource> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > mostBytes) throw tooLarge(name);
    // A chunk is good only until the next one is asked for.
    chunks.push(Buffer.from(chunk));
  }
  return { name, kind: 'file', bytes: Buffer.concat(chunks), os: {}, warnings: [] };
}

function tooLarge(name: string): Failure {
  return new Failure('usage', 'file-too-large', `${name} is too large for a config.json`, {
    hint: 'Give a config.json, an image or a drive',
  });
}

function readImage(source: ImageSource, options: ReadBootOptions): Promise<ConfigSource> {
  const kind = source.file?.isDevice === undefined ? 'image' : 'drive';
  return lookIntoBoot(
    source,
    async ({ boot, ...open }) => ({ ...open, kind, bytes: await boot.files.read('config.json') }),
    options,
  );
}

/** What a file holds that is a config.json itself; undefined for an image, a drive, and what cannot be looked at. */
export async function readPlainConfig(location: string, options: ReadBootOptions): Promise<Buffer | undefined> {
  const stats = await stat(location).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  const source = await openImageSource(location, options);
  try {
    return (await isConfigFile(source)) ? (await readFile(source)).bytes : undefined;
  } finally {
    await source.close();
  }
}
