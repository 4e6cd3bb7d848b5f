import { Failure } from '../failure/failure.js';
import { type BlockReader, openBlockFile } from '../image/block-file.js';
import { parseFatGeometry } from '../image/fat-geometry.js';
import { readPartitionTable } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import { findBootPartition } from './boot-partition.js';
import { type DeviceIdentity, identityIn, noIdentity } from './device-identity.js';
import { flasherWarning } from './flasher-targets.js';
import { invalidJson, parseJsonObject } from './json-text.js';
import { readOsFacts } from './os-facts.js';

/** What is worth knowing of an image that is written as it is. */
export interface ImageGlance {
  /** What it makes its device known by. */
  readonly identity: DeviceIdentity;
  readonly warnings: readonly string[];
}

const nothing: ImageGlance = { identity: noIdentity, warnings: [] };

/** Boot partitions begin 4 MiB from the beginning, and balena's images name them in a GPT in any case. */
const beginning = 4 * 1024 * 1024 + 64 * 1024;

/**
 * Looks at an image that is going to be written as it is. Of what is packed only the beginning is seen, which tells a flasher but no identity; see `identityOnDrive`.
 * Nothing is told of an image that has no boot partition or is damaged: whether it can be used is for others to decide.
 */
export async function glanceAtImage({ reader, stream }: ImageSource): Promise<ImageGlance> {
  try {
    return reader === undefined
      ? await glanceAtBeginning(readerOf(await stream.peek(beginning)))
      : await glanceAtAll(reader);
  } catch (error) {
    if (error instanceof Failure && error.kind !== 'interrupted' && error.kind !== 'unreachable') return nothing;
    throw error;
  }
}

/**
 * What a drive that has been written makes its device known by: the part of an image that is packed is only seen there. Nothing where it
 * cannot be told, as the drive is done.
 */
export async function identityOnDrive(path: string): Promise<DeviceIdentity> {
  try {
    const drive = await openBlockFile(path);
    try {
      return (await glanceAtAll(drive)).identity;
    } finally {
      await drive.close();
    }
  } catch (error) {
    if (error instanceof Failure) return noIdentity;
    throw error;
  }
}

async function glanceAtAll(reader: BlockReader): Promise<ImageGlance> {
  const table = await readPartitionTable(reader);
  const boot = await findBootPartition(reader, table);
  const { os } = await readOsFacts(reader, table.partitions, boot);
  const bytes = await boot.files.read('config.json');
  const warnings = os.kind === 'flasher' ? [flasherWarning(os.targetDisks)] : [];
  const config = bytes && readConfig(bytes);
  return { identity: config === undefined ? noIdentity : identityIn(config), warnings };
}

function readConfig(bytes: Buffer) {
  try {
    return parseJsonObject(bytes, 'config.json', invalidJson);
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

async function glanceAtBeginning(reader: BlockReader): Promise<ImageGlance> {
  const { partitions } = await readPartitionTable(reader, { frontOnly: true });
  const warnings = [flasherWarning(undefined)];
  for (const { start, name } of partitions) {
    if (name === 'flash-boot') return { ...nothing, warnings };
    if (start + 512 > beginning) continue;
    const label = parseFatGeometry(await reader.read(start, 512))?.label;
    if (label === 'flash-boot') return { ...nothing, warnings };
  }
  return nothing;
}

/** The beginning of an image whose end is not known. */
function readerOf(bytes: Buffer): BlockReader {
  return {
    size: Number.POSITIVE_INFINITY,
    read: (offset, length) => {
      if (offset + length <= bytes.length) return Promise.resolve(Buffer.from(bytes.subarray(offset, offset + length)));
      return Promise.reject(new Failure('failed', 'unexpected-end', 'only the beginning of the image is looked at'));
    },
  };
}
