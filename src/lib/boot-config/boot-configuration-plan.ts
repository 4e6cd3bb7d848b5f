import { posix } from 'node:path';
import { Failure } from '../failure/failure.js';
import type { BlockReader } from '../image/block-file.js';
import { partitionFull } from '../image/fat-file-system.js';
import type { FatPlacement } from '../image/fat-table.js';
import type { ChangedRanges, StagedChanges } from '../image/overlay.js';
import { type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import { environmentVariable } from '../platform/environment.js';
import {
  type BootConfigurationRequest,
  type BootFile,
  connectionsOf,
  layersOf,
  planAnswered,
  requireOneHostname,
} from './boot-configuration-request.js';
import { configurationWarnings } from './boot-configuration-warnings.js';
import { type BootPartition, type FindBootOptions, findBootPartition, type FoundBy } from './boot-partition.js';
import { changedConfig, requireGoodValues, shownChange, type ShownConfigChange } from './changed-config.js';
import { configChanges } from './config-json.js';
import type { ConnectionFile } from './connection-file.js';
import {
  connectionFolder,
  leftoverConnections,
  readConnectionFolder,
  requireNewConnections,
} from './connection-folder.js';
import { setConfigTxt } from './config-txt.js';
import { copiedByDevice } from './device-copies.js';
import type { FileContents } from './file-difference.js';
import { readExistingConfig } from './existing-config.js';
import { editedJson } from './json-edit.js';
import { type OsFacts, readOsFacts } from './os-facts.js';
import { type DeviceIdentity, identityIn } from './device-identity.js';
import { planReset } from './reset-boot.js';
import { splashPath } from './splash-logo.js';

/** What a plan does to one file of the boot partition. */
interface PlannedFile {
  readonly path: string;
  readonly action: 'create' | 'replace' | 'keep' | 'remove';
  /** Bytes it will have, or has, if it is removed. */
  readonly size: number;
}

/** A plan in words and numbers: safe to print, log and return as JSON. */
export interface BootConfigurationSummary {
  readonly partition: {
    readonly number: number;
    readonly start: number;
    readonly size: number;
    readonly foundBy: FoundBy;
  };
  readonly os: OsFacts;
  readonly files: readonly PlannedFile[];
  readonly config: readonly ShownConfigChange[];
  readonly warnings: readonly string[];
}

/** The changes that configure an image, as bytes to lay over it, and what they mean. */
export interface BootConfigurationPlan {
  /** What was planned, with the answers to what it asks. */
  readonly request: BootConfigurationRequest;
  readonly changes: ChangedRanges;
  /** The same in an order in which each file is old or new at any moment, unless there was no room for both. */
  readonly staged: StagedChanges;
  /** By what the device will be known. */
  readonly identity: DeviceIdentity;
  /** The files that were looked at, as they are and as they will be. They hold secrets. */
  readonly contents: readonly FileContents[];
  readonly summary: BootConfigurationSummary;
}

/** How an image is read for a plan. */
export interface PlanOptions extends Pick<FindBootOptions, 'partition' | 'prepare'> {
  /** The image's partition table, when it was read already. */
  readonly table?: PartitionTable;
  /** Nothing behind the boot partition is read; the OS version of a flasher then stays unknown. */
  readonly bootOnly?: boolean;
  /** New content is never put over old, also where there is no room for both: that then is a failure. */
  readonly besideOnly?: boolean;
}

/**
 * Plans the configuration of an image, or of its beginning up to the end of the boot partition, without writing anything: the result
 * can be applied to a copy or laid over a stream. The same image and request give the same bytes.
 */
export async function planBootConfiguration(
  reader: BlockReader,
  request: BootConfigurationRequest,
  options: PlanOptions = {},
): Promise<BootConfigurationPlan> {
  return planAnswered(request, (known) => planKnown(reader, known, options));
}

async function planKnown(
  reader: BlockReader,
  request: BootConfigurationRequest,
  options: PlanOptions,
): Promise<BootConfigurationPlan> {
  const table = options.table ?? (await readPartitionTable(reader));
  try {
    return await planWith(reader, request, { ...options, table, placement: 'beside' });
  } catch (error) {
    const isFull = error instanceof Failure && error.code === 'boot-partition-full';
    if (!isFull || options.besideOnly === true) throw error;
    return planWith(reader, request, { ...options, table, placement: 'over' });
  }
}

async function planWith(
  reader: BlockReader,
  request: BootConfigurationRequest,
  options: PlanOptions & { readonly table: PartitionTable; readonly placement: FatPlacement },
): Promise<BootConfigurationPlan> {
  const { table } = options;
  const boot = await findBootPartition(reader, table, { ...options, time: sourceDate() });
  const { os, warnings } = await readOsFacts(reader, options.bootOnly === true ? [] : table.partitions, boot);
  const layers = layersOf(request);
  const isReset = layers.some((layer) => layer.reset === true);
  const before = readExistingConfig(await boot.files.read('config.json'), {
    what: 'config.json in the image',
    os,
    replacesBroken: isReset || layers.some((layer) => layer.replacesBrokenConfig === true),
  });
  requireOneHostname(layers);
  const reset = isReset ? await planReset(boot, os, before.config) : undefined;
  const after = layers.reduce(changedConfig, reset?.config ?? before.config);
  const changes = configChanges(before.config, after);
  requireGoodValues(after, changes);

  const connections = connectionsOf(layers);
  const files = [
    ...connections.map(({ name, content }) => ({ path: `${connectionFolder}/${name}`, content })),
    ...(await otherFiles(layers, boot, os)),
  ];
  if (changes.length > 0 || before.madeAnew !== undefined) {
    files.unshift({ path: 'config.json', content: Buffer.from(editedJson(before.text, after)) });
  }
  requirePlaces(boot, files);
  const added = (reset?.removed ?? []).filter((path) => !files.some((file) => isSamePath(file.path, path)));
  const removed = new Set([...added, ...(await removedConnectionFiles(layers, boot, connections))]);
  const contents = [...(await removeFiles(boot, [...removed])), ...(await writeFiles(boot, files))];
  const folder = connections.length === 0 ? [] : await readConnectionFolder(boot);
  // What stands in for answers is not written, whoever takes such a plan for a good one.
  const isOnlyToLook = layers.some((layer) => layer.hasStandIns === true);
  return {
    request,
    changes: isOnlyToLook ? [] : await boot.overlay.changes(boot.start),
    staged: isOnlyToLook ? { before: [], stages: [] } : await boot.overlay.staged(boot.start),
    identity: identityIn(after),
    contents,
    summary: {
      partition: { number: boot.number, start: boot.start, size: boot.size, foundBy: boot.foundBy },
      os,
      files: contents.map(plannedFile),
      config: changes.map(shownChange),
      warnings: [
        ...(table.damage === undefined ? [] : [table.damage]),
        ...warnings,
        ...(reset?.warnings ?? []),
        ...configurationWarnings({ layers, boot, os, before, after, connections, connectionFolder: folder, files }),
        ...(options.bootOnly === true ? [] : await warningsAboutCopies(reader, table, contents)),
      ],
    },
  };
}

/** What FAT entries are dated: SOURCE_DATE_EPOCH (https://reproducible-builds.org), else the first day that FAT knows. */
function sourceDate(): Date {
  return new Date(Number(environmentVariable('SOURCE_DATE_EPOCH') ?? 0) * 1000 || 0);
}

/** What lies elsewhere on the boot partition: proxy, scripts, splash logo, config.txt, and files of the user's. */
async function otherFiles(
  layers: readonly BootConfigurationRequest[],
  boot: BootPartition,
  os: OsFacts,
): Promise<BootFile[]> {
  const splash = layers.findLast((layer) => layer.splash !== undefined)?.splash;
  const logos = ((await boot.files.list('splash')) ?? []).map((file) => file.name);
  const lines = layers.flatMap((layer) => layer.configTxt ?? []);
  return [
    ...layers.flatMap((layer) => layer.files ?? []),
    ...(splash === undefined ? [] : [{ path: splashPath(os, logos), content: splash }]),
    ...(lines.length === 0 ? [] : [await configTxtFile(boot, lines)]),
  ];
}

async function configTxtFile(boot: BootPartition, lines: readonly string[]): Promise<BootFile> {
  const content = await boot.files.read('config.txt');
  if (content === undefined) {
    throw new Failure('refused', 'no-config-txt', 'it has no config.txt: only images for a Raspberry Pi have one', {
      hint: 'Take configTxt out of the profile, or give an image for a Raspberry Pi',
    });
  }
  // Each byte is a letter, so that what is not UTF-8 stays as it is.
  return { path: 'config.txt', content: Buffer.from(setConfigTxt(content.toString('latin1'), lines), 'latin1') };
}

/** What of `system-connections` goes, because it is to be removed or belongs to something that is replaced. */
async function removedConnectionFiles(
  layers: readonly BootConfigurationRequest[],
  boot: BootPartition,
  written: readonly ConnectionFile[],
): Promise<string[]> {
  const removed = layers.flatMap((layer) => layer.removedConnections ?? []);
  if (removed.length === 0 && written.length === 0) return [];
  const folder = await readConnectionFolder(boot);
  if (layers.some((layer) => layer.onlyNewConnections === true)) requireNewConnections(folder, written);
  return leftoverConnections(folder, { removed, written }).map((name) => `${connectionFolder}/${name}`);
}

/** Where config.json has a partition of its own, it is all that an OS of that time reads there. */
function requirePlaces(boot: BootPartition, files: readonly BootFile[]): void {
  if (boot.system === boot.files) return;
  const others = files.filter(({ path }) => path !== 'config.json').map(({ path }) => path);
  if (others.length === 0) return;
  throw new Failure(
    'refused',
    'config-partition-only',
    `an OS before 2.0 has a partition for config.json alone (${boot.number}), and does not read ${others.join(', ')}`,
    { hint: 'Set keys of config.json only, or use an image of a newer OS' },
  );
}

/** A device that has started from a card has copied the connections, and never deletes a copy. */
async function warningsAboutCopies(
  reader: BlockReader,
  table: PartitionTable,
  contents: readonly FileContents[],
): Promise<string[]> {
  const removed = contents.flatMap(({ path, after }) =>
    after === undefined && path.startsWith(`${connectionFolder}/`) ? [posix.basename(path)] : [],
  );
  const copied = removed.length === 0 ? [] : await copiedByDevice(reader, table, removed);
  if (copied.length === 0) return [];
  return [
    `the device has started from this already and keeps its own copies of ${copied.join(', ')}: remove them there with nmcli connection delete`,
  ];
}

function isSamePath(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Frees their clusters first, so that what is put over old content may use them. Folders of the user's that are empty then go too. */
async function removeFiles(boot: BootPartition, paths: readonly string[]): Promise<FileContents[]> {
  const contents: FileContents[] = [];
  for (const path of paths) {
    contents.push({ path, before: await boot.files.read(path), after: undefined });
    await boot.files.remove(path);
    for (let folder = posix.dirname(path); folder !== '.' && !isImageFolder(folder); folder = posix.dirname(folder)) {
      if (((await boot.files.list(folder)) ?? []).length > 0) break;
      await boot.files.remove(folder);
    }
  }
  return contents;
}

/** Folders that an image may have empty. */
function isImageFolder(folder: string): boolean {
  return ['system-connections', 'system-proxy', 'dispatcher.d', 'splash'].includes(folder.toLowerCase());
}

async function writeFiles(boot: BootPartition, files: readonly BootFile[]): Promise<FileContents[]> {
  const missing = await boot.files.missingBytes(files);
  if (missing > 0) throw partitionFull(files.map((file) => file.path).join(', '), missing);
  const contents: FileContents[] = [];
  for (const { path, content } of files) {
    contents.push({ path, before: await boot.files.read(path), after: content });
    await boot.files.write(path, content);
  }
  return contents;
}

function plannedFile({ path, before, after }: FileContents): PlannedFile {
  const action =
    after === undefined ? 'remove' : before === undefined ? 'create' : after.equals(before) ? 'keep' : 'replace';
  return { path, action, size: (after ?? before)?.length ?? 0 };
}
