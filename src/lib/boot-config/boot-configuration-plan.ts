import { Failure } from '../failure/failure.js';
import type { BlockReader } from '../image/block-file.js';
import { partitionFull } from '../image/fat-file-system.js';
import type { ChangedRanges } from '../image/overlay.js';
import { type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import { environmentVariable } from '../platform/environment.js';
import type { Json, JsonObject } from '../platform/json.js';
import { type BootPartition, findBootPartition, type FoundBy } from './boot-partition.js';
import { checkConfig, idleConfigKeys, isDevelopment } from './config-check.js';
import { invalidConfig } from './config-file.js';
import { configChanges, configText, configValue, mergePatch } from './config-json.js';
import { type ConnectionFile, connectionWarnings } from './connection-file.js';
import { invalidJson, locateInJson, parseJsonObject } from './json-text.js';
import { type OsFacts, readOsFacts } from './os-facts.js';
import { type Path, problemText } from './problem.js';
import { hostnameIn } from './read-hostname.js';
import { withoutSecret } from './secrets.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** What is to be in the boot partition; everything left out stays as it is in the image. */
export interface BootConfigurationRequest {
  /** Laid over config.json as JSON Merge Patch does: objects are merged and null removes. The fields below come after it. */
  readonly config?: JsonObject;
  readonly developmentMode?: boolean;
  readonly hostname?: string;
  /** Added to the keys that are there. */
  readonly sshKeys?: readonly string[];
  readonly persistentLogging?: boolean;
  readonly dnsServers?: string;
  readonly ntpServers?: string;
  readonly country?: string;
  readonly connections?: readonly ConnectionFile[];
  /** What was doubtful about the files that this was read from; told again with the plan. */
  readonly warnings?: readonly string[];
}

/** What a plan does to one file of the boot partition. */
interface PlannedFile {
  readonly path: string;
  readonly action: 'create' | 'replace' | 'keep';
  /** Bytes it will have. */
  readonly size: number;
}

/** One key of config.json that a plan changes; secrets are hidden, and null is a key that is not there. */
interface PlannedConfigChange {
  readonly key: string;
  readonly before: Json;
  readonly after: Json;
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
  readonly config: readonly PlannedConfigChange[];
  readonly warnings: readonly string[];
}

/** The changes that configure an image, as bytes to lay over it, and what they mean. */
export interface BootConfigurationPlan {
  readonly changes: ChangedRanges;
  /** The hostname that the device will have, if config.json sets one then. */
  readonly hostname: string | undefined;
  readonly summary: BootConfigurationSummary;
}

/** How an image is read for a plan. */
export interface PlanOptions {
  /** The image's partition table, when it was read already. */
  readonly table?: PartitionTable;
  /** Nothing behind the boot partition is read; the OS version of a flasher then stays unknown. */
  readonly bootOnly?: boolean;
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
  const table = options.table ?? (await readPartitionTable(reader));
  const boot = await findBootPartition(reader, table, { time: sourceDate() });
  const { os, warnings } = await readOsFacts(reader, options.bootOnly === true ? [] : table.partitions, boot);
  const before = await readConfig(boot, os);
  const after = changedConfig(before.config, request);
  const changes = configChanges(before.config, after);
  requireGoodValues(after, changes);

  const files = [...connectionFiles(request)];
  if (changes.length > 0 || !before.exists) {
    files.unshift({ path: 'config.json', content: Buffer.from(configText(after, before.text)) });
  }
  const planned = await writeFiles(boot, files);
  return {
    changes: await boot.overlay.changes(boot.start),
    hostname: hostnameIn(after),
    summary: {
      partition: { number: boot.number, start: boot.start, size: boot.size, foundBy: boot.foundBy },
      os,
      files: planned,
      config: changes.map((change) => ({
        key: change.key,
        before: withoutSecret(change.key, change.before ?? null),
        after: withoutSecret(change.key, change.after ?? null),
      })),
      warnings: [
        ...(table.damage === undefined ? [] : [table.damage]),
        ...warnings,
        ...(request.warnings ?? []),
        ...warningsAbout(after, os, boot, before.exists),
        ...warningsAboutConfig(after, before.text, os),
        ...warningsAboutRequest(request),
        ...(request.connections ?? []).flatMap((connection) => connectionWarnings(connection, os)),
      ],
    },
  };
}

/** What FAT entries are dated: SOURCE_DATE_EPOCH (https://reproducible-builds.org), else the first day that FAT knows. */
function sourceDate(): Date {
  return new Date(Number(environmentVariable('SOURCE_DATE_EPOCH') ?? 0) * 1000 || 0);
}

interface ExistingConfig {
  readonly config: JsonObject;
  readonly text: string;
  readonly exists: boolean;
}

async function readConfig(boot: BootPartition, os: OsFacts): Promise<ExistingConfig> {
  const bytes = await boot.files.read('config.json');
  if (bytes === undefined) {
    const config = os.deviceType === undefined ? {} : { deviceType: os.deviceType.slug };
    return { config, text: '', exists: false };
  }
  const config = parseJsonObject(bytes, 'config.json in the image', invalidJson);
  return { config, text: String(bytes), exists: true };
}

function changedConfig(config: JsonObject, request: BootConfigurationRequest): JsonObject {
  const { developmentMode, hostname, persistentLogging, dnsServers, ntpServers, country } = request;
  const wishes = { developmentMode, hostname, persistentLogging, country, dnsServers, ntpServers };
  const patch = Object.entries(wishes).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  const merged = mergePatch(mergePatch(config, request.config ?? {}), Object.fromEntries(patch));
  return withSshKeys(merged, request.sshKeys ?? []);
}

function withSshKeys(config: JsonObject, added: readonly string[]): JsonObject {
  if (added.length === 0) return config;
  const existing = configValue(config, 'os.sshKeys');
  const keys = isList(existing) ? [...existing] : [];
  const bodies = new Set(keys.map((key) => (typeof key === 'string' ? parseSshPublicKey(key)?.body : undefined)));
  for (const key of added) {
    const body = parseSshPublicKey(key)?.body;
    // One that is no key is kept for the check that follows, which refuses it.
    if (body !== undefined && bodies.has(body)) continue;
    bodies.add(body);
    keys.push(key);
  }
  return mergePatch(config, { os: { sshKeys: keys } });
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** What is set must be good; what was bad in the image already is warned about. */
function requireGoodValues(config: JsonObject, changes: readonly { readonly key: string }[]): void {
  const isChanged = (path: Path) => {
    const place = `${path.join('.')}.`;
    return changes.some(({ key }) => `${key}.`.startsWith(place) || place.startsWith(`${key}.`));
  };
  const problems = checkConfig(config).filter(({ path, because }) => isChanged(path) || isChanged(because ?? path));
  if (problems.length === 0) return;
  throw invalidConfig(
    problems.map((problem) => problemText(problem)),
    'Correct the flag or the file that sets it',
  );
}

function connectionFiles(request: BootConfigurationRequest): { path: string; content: Buffer }[] {
  const all = request.connections ?? [];
  const names = all.map((one) => one.name.toLowerCase());
  const twice = all.find((one, index) => names.indexOf(one.name.toLowerCase()) !== index);
  if (twice !== undefined) {
    throw new Failure('usage', 'same-connection-twice', `two connections are named ${twice.name}`, {
      hint: 'Rename one of the files; one name is one connection',
    });
  }
  return all.map(({ name, content }) => ({ path: `system-connections/${name}`, content }));
}

async function writeFiles(
  boot: BootPartition,
  files: readonly { readonly path: string; readonly content: Buffer }[],
): Promise<PlannedFile[]> {
  const sizes = files.map(({ path, content }) => ({ path, size: content.length }));
  const missing = await boot.files.missingBytes(sizes);
  if (missing > 0) throw partitionFull(files.map((file) => file.path).join(', '), missing);
  const planned: PlannedFile[] = [];
  for (const { path, content } of files) {
    const existing = await boot.files.read(path);
    const action = existing === undefined ? 'create' : existing.equals(content) ? 'keep' : 'replace';
    await boot.files.write(path, content);
    planned.push({ path, action, size: content.length });
  }
  return planned;
}

function warningsAbout(config: JsonObject, os: OsFacts, boot: BootPartition, hadConfig: boolean): string[] {
  const sshKeys = configValue(config, 'os.sshKeys');
  const hasNoKeys = !Array.isArray(sshKeys) || sshKeys.length === 0;
  const warnings: readonly (readonly [boolean, string])[] = [
    [!hadConfig, 'the image had no config.json; one was made'],
    [
      boot.foundBy === 'config.json' || boot.foundBy === 'device-type.json',
      `no partition is named or labelled as a boot partition; partition ${boot.number} was taken because of its ${boot.foundBy}`,
    ],
    [
      !isDevelopment(config) && hasNoKeys && configValue(config, 'apiEndpoint') === undefined,
      'nobody will be able to log in: production mode without an SSH key. Add --ssh-key or --dev',
    ],
    [
      os.kind === 'flasher',
      'this is a flasher image: booted, it overwrites the internal disk of the computer without asking',
    ],
  ];
  return warnings.flatMap(([applies, text]) => (applies ? [text] : []));
}

/** What will have no effect, and what was bad before and stays. */
function warningsAboutConfig(config: JsonObject, textBefore: string, os: OsFacts): string[] {
  const locate = locateInJson(Buffer.from(textBefore));
  const bad = checkConfig(config).map((problem) =>
    problemText(problem, 'config.json in the image', locate(problem.path)),
  );
  return [...bad, ...idleConfigKeys(config, os).map((problem) => problemText(problem))];
}

function warningsAboutRequest({ config = {}, connections = [] }: BootConfigurationRequest): string[] {
  const hasOldWifi = 'wifiSsid' in config && connections.length === 0;
  return hasOldWifi ? ['wifiSsid and wifiKey in config.json have no effect since OS 2.0: use --wifi-ssid'] : [];
}
