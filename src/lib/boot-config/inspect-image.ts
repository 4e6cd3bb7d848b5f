import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { sliceOf } from '../image/block-file.js';
import { refuseCompressed } from '../image/compressed-image.js';
import { openImageFile } from '../image/image-journal.js';
import {
  overlappingPartitions,
  type Partition,
  type PartitionTable,
  readPartitionTable,
} from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import type { SourceFormat } from '../image/source-format.js';
import { identifyVolume, type Volume } from '../image/volume.js';
import type { JsonObject } from '../platform/json.js';
import { type BootPartition, findBootPartition, type FoundBy } from './boot-partition.js';
import { checkConfig } from './config-check.js';
import { connectionValue, isNameIgnored } from './connection-file.js';
import { invalidJson, type JsonText, readJsonText } from './json-text.js';
import { parseKeyfile, unescapeKeyfileValue } from './keyfile.js';
import { type OsFacts, readOsFacts } from './os-facts.js';
import { problemText } from './problem.js';
import { lookIntoSource, type SourceBlocks } from './source-blocks.js';
import { connectionWithoutSecrets, withoutSecrets } from './secrets.js';
import { readSsidValue } from './wifi-values.js';

/** One partition and what it holds; `start` and `size` are bytes. */
interface InspectedPartition extends Partition {
  readonly fileSystem: Volume['fileSystem'] | null;
  readonly label: string | null;
}

/** One file of `system-connections`. */
export interface InspectedConnection {
  readonly file: string;
  /** Whether NetworkManager passes over it because of its name, as it does with `*.ignore`. */
  readonly isIgnored: boolean;
  readonly type: string | null;
  readonly ssid: string | null;
  /** Sections and keys with secrets hidden; null when the file is not a key file. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, string>>>> | null;
}

/** The boot partition of an image and what is configured in it. */
export interface InspectedBoot {
  readonly partition: number;
  readonly foundBy: FoundBy;
  readonly label: string;
  /** Bytes that are free for more files. */
  readonly free: number;
  /** config.json with secrets hidden; null when there is none or it cannot be read. */
  readonly config: JsonObject | null;
  readonly connections: readonly InspectedConnection[];
}

/** All that can be read from an image or a drive without changing it. */
export interface InspectedImage {
  /** What the user calls it: a path, a URL without secrets, or "standard input". */
  readonly path: string;
  readonly format: SourceFormat;
  /** Bytes unpacked; null where a packed image does not tell. */
  readonly size: number | null;
  readonly isDrive: boolean;
  /** Whether only what lies up to the boot partition was read, as it is of what is packed; then the rest is not known. */
  readonly isPartial: boolean;
  readonly table: Pick<PartitionTable, 'kind' | 'sectorSize'>;
  readonly partitions: readonly InspectedPartition[];
  /** Null when the image has no boot partition; `warnings` says why. */
  readonly boot: InspectedBoot | null;
  readonly os: OsFacts | null;
  readonly warnings: readonly string[];
}

/** What the looking goes by. */
interface InspectOptions {
  /** The number, name or label of the boot partition, where it is not to be looked for. */
  readonly partition?: string | undefined;
}

/** Looks into an image file that is not packed, or a drive; see `inspectSource`. */
export async function inspectImage(path: string): Promise<InspectedImage> {
  const { file, notices } = await openImageFile(path);
  try {
    await refuseCompressed(file, path);
    const table = await readPartitionTable(file);
    const inspection = await inspect({ reader: file, table, bootOnly: false }, {});
    const warnings = [...notices, ...inspection.warnings];
    return { path, format: 'raw', size: file.size, isDrive: file.isDrive, ...inspection, warnings };
  } catch (error) {
    throw whileDoing(`inspecting ${path}`, error);
  } finally {
    await file.close();
  }
}

/** Looks into an image or a drive; what is damaged or missing becomes a warning, but something that is no disk is a failure. */
export async function inspectSource(source: ImageSource, options: InspectOptions = {}): Promise<InspectedImage> {
  const { name, format, reader } = source;
  try {
    const inspection = await lookIntoSource(source, (blocks) => inspect(blocks, options));
    const size = format === 'zstd' ? undefined : source.size;
    return { path: name, format, size: size ?? null, isDrive: reader?.isDrive === true, ...inspection };
  } catch (error) {
    throw whileDoing(`inspecting ${name}`, error);
  }
}

async function inspect(
  blocks: SourceBlocks,
  options: InspectOptions,
): Promise<Pick<InspectedImage, 'isPartial' | 'table' | 'partitions' | 'boot' | 'os' | 'warnings'>> {
  const { reader, table, bootOnly, prepare } = blocks;
  const warnings: string[] = table.damage === undefined ? [] : [table.damage];
  if (table.end > reader.size) {
    warnings.push(`the image is truncated: it has ${reader.size} bytes, but its partitions take ${table.end}`);
  }
  for (const [one, other] of overlappingPartitions(table)) {
    warnings.push(`partitions ${one.number} and ${other.number} overlap`);
  }
  const orWarn = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof Failure) || isAboutAll(error)) throw error;
      warnings.push(error.message);
      return undefined;
    }
  };
  const partitions: InspectedPartition[] = [];
  for (const partition of table.partitions) {
    const isThere = !bootOnly && partition.start + partition.size <= reader.size;
    const volume = isThere ? await orWarn(identifyVolume(sliceOf(reader, partition.start, partition.size))) : undefined;
    partitions.push({ ...partition, fileSystem: volume?.fileSystem ?? null, label: volume?.label ?? null });
  }
  const search = { ...options, ...(prepare === undefined ? {} : { prepare }) };
  const found = await orWarn(findBootPartition(reader, table, search));
  const facts = found && (await readOsFacts(reader, bootOnly ? [] : table.partitions, found));
  const boot = found && (await inspectBoot(found, warnings, orWarn));
  return {
    isPartial: bootOnly,
    table: { kind: table.kind, sectorSize: table.sectorSize },
    partitions: partitions.map((one) => (one.number === found?.number ? withVolume(one, found) : one)),
    boot: boot ?? null,
    os: facts?.os ?? null,
    // What is wrong with config.json is found more than once.
    warnings: [...new Set([...warnings, ...(facts?.warnings ?? [])])],
  };
}

/** Whether it cannot be told beside other things, because it is about the whole image, or about what was asked for. */
function isAboutAll({ kind, code }: Failure): boolean {
  const codes = ['not-an-image', 'partition-not-found', 'partition-not-fat', 'archive-corrupt', 'source-changed'];
  return kind === 'interrupted' || kind === 'unreachable' || codes.includes(code);
}

function withVolume(partition: InspectedPartition, { files, label }: BootPartition): InspectedPartition {
  return { ...partition, fileSystem: `fat${files.bits}`, label };
}

async function inspectBoot(
  boot: BootPartition,
  warnings: string[],
  orWarn: <T>(work: Promise<T>) => Promise<T | undefined>,
): Promise<InspectedBoot> {
  const config = await orWarn(readConfig(boot));
  for (const problem of [...(config?.oddities ?? []), ...checkConfig(config?.value ?? {})]) {
    warnings.push(problemText(problem, 'config.json', config?.locate(problem.path)));
  }
  return {
    partition: boot.number,
    foundBy: boot.foundBy,
    label: boot.label,
    free: boot.files.freeBytes,
    config: config == null ? null : withoutSecrets(config.value),
    connections: (await orWarn(readConnections(boot))) ?? [],
  };
}

async function readConfig(boot: BootPartition): Promise<JsonText | null> {
  const bytes = await boot.files.read('config.json');
  return bytes === undefined ? null : readJsonText(bytes, 'config.json', invalidJson);
}

async function readConnections(boot: BootPartition): Promise<InspectedConnection[]> {
  const connections: InspectedConnection[] = [];
  for (const { name, isFolder } of (await boot.files.list('system-connections')) ?? []) {
    if (isFolder) continue;
    const content = await boot.files.read(`system-connections/${name}`);
    if (content !== undefined) connections.push(describeConnection(name, String(content)));
  }
  return connections.sort((a, b) => (a.file < b.file ? -1 : 1));
}

function describeConnection(file: string, text: string): InspectedConnection {
  const isIgnored = isNameIgnored(file);
  try {
    const keyfile = parseKeyfile(text, file);
    const ssid = connectionValue(keyfile, 'wifi', 'ssid');
    return {
      file,
      isIgnored,
      type: connectionValue(keyfile, 'connection', 'type') ?? null,
      ssid: ssid === undefined ? null : readSsidValue(unescapeKeyfileValue(ssid)).toString('utf8'),
      settings: connectionWithoutSecrets(keyfile),
    };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { file, isIgnored, type: null, ssid: null, settings: null };
  }
}
