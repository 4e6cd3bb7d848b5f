import { whileDoing } from '../failure/while-doing.js';
import { type ImageSource, openImageSource, type SourceOptions } from '../image/source.js';
import { type BootPartition, type FindBootOptions, findBootPartition } from './boot-partition.js';
import { type OsFacts, readOsFacts } from './os-facts.js';
import { lookIntoSource } from './source-blocks.js';

/** How an image is opened of which only the boot partition is looked into. */
export interface ReadBootOptions
  extends
    Pick<SourceOptions, 'entry' | 'chooseEntry' | 'standardInput' | 'signal' | 'progress'>,
    Pick<FindBootOptions, 'partition'> {}

/** An image or drive that is open for reading, with its boot partition. */
export interface OpenImage {
  /** What the user calls it: a path, a URL without secrets, or "standard input". */
  readonly name: string;
  readonly boot: BootPartition;
  readonly os: OsFacts;
  /** What is doubtful about the image itself. */
  readonly warnings: readonly string[];
}

/** Reads something from the boot partition of an image, packed or not, or of a drive; failures tell which. */
export async function readBootPartition<T>(
  location: string,
  read: (open: OpenImage) => T | Promise<T>,
  options: ReadBootOptions,
): Promise<T> {
  return withImageSource(location, (source) => lookIntoBoot(source, read, options), options);
}

/** Opens a source, does something with it, and closes it; failures tell which it was. */
export async function withImageSource<T>(
  location: string,
  use: (source: ImageSource) => Promise<T>,
  options: SourceOptions,
): Promise<T> {
  const source = await openImageSource(location, options);
  try {
    return await use(source);
  } catch (error) {
    throw whileDoing(`reading ${source.name}`, error);
  } finally {
    await source.close();
  }
}

/** Reads something from the boot partition of a source that is open. */
export function lookIntoBoot<T>(
  source: ImageSource,
  read: (open: OpenImage) => T | Promise<T>,
  { partition }: Pick<FindBootOptions, 'partition'>,
): Promise<T> {
  return lookIntoSource(source, async ({ reader, table, bootOnly, prepare }) => {
    const search = prepare === undefined ? { partition } : { partition, prepare };
    const boot = await findBootPartition(reader, table, search);
    const { os, warnings } = await readOsFacts(reader, bootOnly ? [] : table.partitions, boot);
    const damage = table.damage === undefined ? [] : [table.damage];
    return read({ name: source.name, boot, os, warnings: [...damage, ...warnings] });
  });
}
