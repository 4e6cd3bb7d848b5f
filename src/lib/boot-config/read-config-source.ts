import { stat } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { readPartitionTable } from '../image/partition-table.js';
import { type ImageSource, openImageSource } from '../image/source.js';
import { findBootPartition } from './boot-partition.js';
import { type OsFacts, readOsFacts } from './os-facts.js';

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

/** How a source is read. */
export interface ReadConfigSourceOptions {
  /** What `-` stands for. */
  readonly standardInput: NodeJS.ReadableStream;
  readonly signal: AbortSignal;
}

/** Reads the config.json of an image, packed or not, of a drive, or a file that is a config.json; which of them it is, its content tells. */
export async function readConfigSource(location: string, options: ReadConfigSourceOptions): Promise<ConfigSource> {
  const source = await openImageSource(location, options);
  try {
    return (await isConfigFile(source)) ? await readFile(source) : await readImage(source);
  } catch (error) {
    throw whileDoing(`reading ${source.name}`, error);
  } finally {
    await source.close();
  }
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

async function readImage({ name, reader, file }: ImageSource): Promise<ConfigSource> {
  if (reader === undefined) {
    throw new Failure('refused', 'image-compressed', `${name} is packed`, { hint: 'Unpack it first' });
  }
  const table = await readPartitionTable(reader);
  const boot = await findBootPartition(reader, table);
  const { os, warnings } = await readOsFacts(reader, table.partitions, boot);
  return {
    name,
    kind: file?.isDevice === undefined ? 'image' : 'drive',
    bytes: await boot.files.read('config.json'),
    os,
    warnings: [...(table.damage === undefined ? [] : [table.damage]), ...warnings],
  };
}

/** What a file holds that is a config.json itself; undefined for an image, a drive, and what cannot be looked at. */
export async function readPlainConfig(location: string, options: ReadConfigSourceOptions): Promise<Buffer | undefined> {
  const stats = await stat(location).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  const source = await openImageSource(location, options);
  try {
    return (await isConfigFile(source)) ? (await readFile(source)).bytes : undefined;
  } finally {
    await source.close();
  }
}
