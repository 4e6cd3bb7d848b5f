import { Failure } from '../failure/failure.js';
import { type BlockReader, sliceOf } from '../image/block-file.js';
import { readExt4File, readExt4Label } from '../image/ext4-reader.js';
import type { Partition } from '../image/partition-table.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import type { BootPartition } from './boot-partition.js';
import { configValue } from './config-json.js';
import { diskNames, usualTargets } from './flasher-targets.js';
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
  /** Of a flasher: the disks of which it overwrites the first there is, as the kernel names them, where that is known. */
  readonly targetDisks?: readonly string[];
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
  const description = await orWarn(readDescription(boot));
  const deviceType = description && deviceTypeIn(description);
  const isFlasher = await tellsFlasher(boot, description);
  const root = isFlasher ? await orWarn(findRoot(reader, partitions)) : undefined;
  const release = await orWarn(readRelease(boot, root));
  const { NAME: osName, VERSION: osVersion } = release ?? {};
  const targetDisks = isFlasher ? await orWarn(readTargets(boot, root, deviceType)) : undefined;
  const os: OsFacts = {
    kind: isFlasher ? 'flasher' : 'direct',
    ...(deviceType === undefined ? {} : { deviceType }),
    ...(osName === undefined ? {} : { osName }),
    ...(osVersion === undefined ? {} : { osVersion }),
    ...(targetDisks === undefined ? {} : { targetDisks }),
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

/** Flag files tell what an image is; the label and `device-type.json`, which two kinds of image may share, only where there is none. */
async function tellsFlasher(boot: BootPartition, description: JsonObject | undefined): Promise<boolean> {
  const names = new Set((await boot.system.list('/'))?.map(({ name }) => name.toLowerCase()));
  const labels = new Set([boot.label, await boot.system.label()]);
  if (names.has('balena-image-flasher') || names.has('resin-image-flasher')) return true;
  if (names.has('balena-image') || names.has('resin-image')) return false;
  if (labels.has('flash-boot') || labels.has('flash-conf')) return true;
  if (labels.has('resin-boot')) return false;
  const yocto = description?.yocto;
  return isJsonObject(yocto) && (textIn(yocto, 'image') ?? '').includes('flasher');
}

async function readDescription(boot: BootPartition): Promise<JsonObject | undefined> {
  const bytes = await boot.system.read('device-type.json');
  return bytes && parseJsonObject(bytes, 'device-type.json on the boot partition', invalidJson);
}

function deviceTypeIn(description: JsonObject): DeviceType | undefined {
  const slug = textIn(description, 'slug');
  return slug === undefined
    ? undefined
    : { slug, name: textIn(description, 'name') ?? slug, arch: textIn(description, 'arch') ?? 'unknown' };
}

/** A direct image has os-release on its boot partition; a flasher has it in its root file system only. */
async function readRelease(
  boot: BootPartition,
  root: BlockReader | undefined,
): Promise<Record<string, string> | undefined> {
  const bytes = (await boot.system.read('os-release')) ?? (root && (await readExt4File(root, '/etc/os-release')));
  return bytes && assignments(String(bytes));
}

/** What config.json says goes before what the flasher was built with (`resin-init-flasher` of meta-balena). */
async function readTargets(
  boot: BootPartition,
  root: BlockReader | undefined,
  deviceType: DeviceType | undefined,
): Promise<readonly string[] | undefined> {
  const config = await boot.files.read('config.json');
  const wished = config && configValue(parseJsonObject(config, 'config.json', invalidJson), 'installer.target_devices');
  if (typeof wished === 'string') return diskNames(wished);
  const built = root && (await readExt4File(root, '/etc/resin-init-flasher.conf'));
  const internal = built && assignments(String(built)).INTERNAL_DEVICE_KERNEL;
  return internal === undefined ? usualTargets(deviceType?.slug) : diskNames(internal);
}

async function findRoot(reader: BlockReader, partitions: readonly Partition[]): Promise<BlockReader | undefined> {
  for (const partition of partitions) {
    if (partition.start + partition.size > reader.size) continue;
    const root = sliceOf(reader, partition.start, partition.size);
    if (await isRoot(partition, root)) return root;
  }
  return undefined;
}

async function isRoot(partition: Partition, volume: BlockReader): Promise<boolean> {
  if (partition.name !== undefined) return rootNames.includes(partition.name);
  return rootNames.includes((await readExt4Label(volume)) ?? '');
}

/** The assignments of a file such as os-release; values may stand in quotes. */
function assignments(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => /^([A-Z_]+)=(["']?)(.*)\2\s*$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match === null ? [] : [[match[1] ?? '', match[3] ?? '']])));
}

function textIn(document: JsonObject, key: string): string | undefined {
  const value = document[key];
  return typeof value === 'string' && !isJsonObject(value) ? value : undefined;
}
