import { Failure } from '../failure/failure.js';
import { type BlockReader, sliceOf } from '../image/block-file.js';
import { readExt4File, readExt4Label } from '../image/ext4-reader.js';
import type { Partition } from '../image/partition-table.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import type { BootPartition } from './boot-partition.js';
import { invalidJson, parseJsonObject } from './json-text.js';

/** The board an image is for. */
interface DeviceType {
  readonly slug: string;
  readonly name: string;
  readonly arch: string;
}

/** What an image says about itself. */
export interface OsFacts {
  /** `flasher`: when booted, it writes the OS it carries to the computer's internal disk. `direct`: it is the OS. */
  readonly kind: 'flasher' | 'direct';
  readonly deviceType?: DeviceType;
  readonly osName?: string;
  readonly osVersion?: string;
}

const rootNames: readonly string[] = ['flash-rootA', 'resin-rootA', 'balena-rootA'];

/**
 * Reads what an image says about itself, with the partitions among which the root file system of a flasher is; what is missing or damaged
 * becomes a warning, as none of it is needed.
 */
export async function readOsFacts(
  reader: BlockReader,
  partitions: readonly Partition[],
  boot: BootPartition,
): Promise<{ readonly os: OsFacts; readonly warnings: readonly string[] }> {
  const names = new Set((await boot.files.list('/'))?.map((file) => file.name));
  const isFlasher =
    names.has('balena-image-flasher') || names.has('resin-image-flasher') || boot.label === 'flash-boot';
  const warnings: string[] = [];
  const orWarn = async <T>(work: Promise<T | undefined>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      warnings.push(error.message);
      return undefined;
    }
  };
  const deviceType = await orWarn(readDeviceType(boot));
  const release = await orWarn(readRelease(reader, partitions, boot, isFlasher));
  const { NAME: osName, VERSION: osVersion } = release ?? {};
  const os: OsFacts = {
    kind: isFlasher ? 'flasher' : 'direct',
    ...(deviceType === undefined ? {} : { deviceType }),
    ...(osName === undefined ? {} : { osName }),
    ...(osVersion === undefined ? {} : { osVersion }),
  };
  return { os, warnings };
}

/** Whether it is balenaOS, whose releases the versions in this module's documents are. */
export function isBalenaOs({ osName }: Pick<OsFacts, 'osName'>): boolean {
  return /^(balena|resin) ?os$/i.test(osName ?? '');
}

/** Whether an OS version is older than a release; revisions do not count, and a version that cannot be read is not older. */
export function isOlderThan(version: string | undefined, release: string): boolean {
  const [own, other] = [numbersOf(version ?? ''), numbersOf(release)];
  if (own.length < 2) return false;
  const at = other.findIndex((number, index) => number !== (own[index] ?? 0));
  return at >= 0 && (own[at] ?? 0) < (other[at] ?? 0);
}

function numbersOf(version: string): number[] {
  return (/^\d+(\.\d+)*/.exec(version)?.[0] ?? '').split('.').filter(Boolean).map(Number);
}

async function readDeviceType(boot: BootPartition): Promise<DeviceType | undefined> {
  const bytes = await boot.files.read('device-type.json');
  if (bytes === undefined) return undefined;
  const document = parseJsonObject(bytes, 'device-type.json on the boot partition', invalidJson);
  const slug = textIn(document, 'slug');
  return slug === undefined
    ? undefined
    : { slug, name: textIn(document, 'name') ?? slug, arch: textIn(document, 'arch') ?? 'unknown' };
}

/** A direct image has os-release on its boot partition; a flasher has it in its root file system only. */
async function readRelease(
  reader: BlockReader,
  partitions: readonly Partition[],
  boot: BootPartition,
  isFlasher: boolean,
): Promise<Record<string, string> | undefined> {
  const onBoot = await boot.files.read('os-release');
  if (onBoot !== undefined || !isFlasher) return onBoot && parseRelease(String(onBoot));
  for (const partition of partitions) {
    const root = sliceOf(reader, partition.start, partition.size);
    if (!(await isRoot(partition, root))) continue;
    const inRoot = await readExt4File(root, '/etc/os-release');
    return inRoot && parseRelease(String(inRoot));
  }
  return undefined;
}

async function isRoot(partition: Partition, volume: BlockReader): Promise<boolean> {
  if (partition.name !== undefined) return rootNames.includes(partition.name);
  return rootNames.includes((await readExt4Label(volume)) ?? '');
}

/** The assignments of an os-release file; values may stand in quotes. */
function parseRelease(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => /^([A-Z_]+)=(["']?)(.*)\2\s*$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match === null ? [] : [[match[1] ?? '', match[3] ?? '']])));
}

function textIn(document: JsonObject, key: string): string | undefined {
  const value = document[key];
  return typeof value === 'string' && !isJsonObject(value) ? value : undefined;
}
