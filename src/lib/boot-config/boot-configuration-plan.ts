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
import { setConfigTxt } from './config-txt.js';
import { type ConnectionFile, connectionWarnings } from './connection-file.js';
import { invalidJson, locateInJson, parseJsonObject } from './json-text.js';
import { isBalenaOs, isOlderThan, type OsFacts, readOsFacts } from './os-facts.js';
import { type Path, placed, problemText } from './problem.js';
import { hostnameIn } from './read-hostname.js';
import { withoutSecret } from './secrets.js';
import { splashPath } from './splash-logo.js';
import { parseSshPublicKey } from './ssh-public-key.js';
import { unitFieldsIn } from './unit-fields.js';

/** A file of the boot partition; the path has no slash in front. */
export interface BootFile {
  readonly path: string;
  readonly content: Buffer;
}

/** What is to be in the boot partition; everything left out stays as it is in the image. */
export interface BootConfigurationRequest {
  /** What holds where this request says nothing, as a profile does under the flags. */
  readonly under?: BootConfigurationRequest;
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
  readonly files?: readonly BootFile[];
  /** A PNG image to show when the device starts. */
  readonly splash?: Buffer;
  /** Lines of a Raspberry Pi's config.txt. */
  readonly configTxt?: readonly string[];
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
  const layers = layersOf(request);
  requireOneHostname(layers);
  const after = layers.reduce(changedConfig, before.config);
  const changes = configChanges(before.config, after);
  requireGoodValues(after, changes);

  const connections = connectionsOf(layers);
  const files = [
    ...connections.map(({ name, content }) => ({ path: `system-connections/${name}`, content })),
    ...(await otherFiles(layers, boot, os)),
  ];
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
        ...layers.flatMap((layer) => layer.warnings ?? []),
        ...warningsAbout(after, os, boot, before.exists),
        ...warningsAboutConfig(after, before.text, os),
        ...layers.flatMap((layer) => warningsAboutOldWifi(layer, connections)),
        ...connections.flatMap((connection) => connectionWarnings(connection, os)),
        ...warningsAboutFiles(files, os),
      ],
    },
  };
}

/** A request and what lies under it, the lowest first. */
function layersOf({ under, ...own }: BootConfigurationRequest): BootConfigurationRequest[] {
  return [...(under === undefined ? [] : layersOf(under)), own];
}

/** A hostname in a profile can be a pattern, to be filled in for each unit of a batch. */
function requireOneHostname(layers: readonly BootConfigurationRequest[]): void {
  const hostname = layers.findLast((layer) => layer.hostname !== undefined)?.hostname;
  const [field] = unitFieldsIn(hostname ?? '');
  if (field === undefined) return;
  throw new Failure(
    'usage',
    'unit-needed',
    `the hostname ${hostname ?? ''} needs a unit with its own ${field}, and there is none here`,
    {
      hint: 'Give a name with --hostname',
    },
  );
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
    problems.map((problem) => placed(problem)),
    'Correct the flag or the file that sets it',
  );
}

/** The connections of all layers; one of a higher layer takes the place of one with its name below. */
function connectionsOf(layers: readonly BootConfigurationRequest[]): ConnectionFile[] {
  const nameOf = ({ name }: ConnectionFile) => name.toLowerCase();
  return layers.reduce<ConnectionFile[]>((below, { connections = [] }) => {
    const names = connections.map(nameOf);
    const twice = connections.find((one, index) => names.indexOf(nameOf(one)) !== index);
    if (twice !== undefined) {
      throw new Failure('usage', 'same-connection-twice', `two connections are named ${twice.name}`, {
        hint: 'Rename one of the files; one name is one connection',
      });
    }
    return [...below.filter((one) => !names.includes(nameOf(one))), ...connections];
  }, []);
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
  const isManaged = configValue(config, 'apiEndpoint') !== undefined;
  const deviceType = configValue(config, 'deviceType');
  const hasNoKeys = !Array.isArray(sshKeys) || sshKeys.length === 0;
  const warnings: readonly (readonly [boolean, string])[] = [
    [!hadConfig, 'the image had no config.json; one was made'],
    [
      boot.foundBy === 'config.json' || boot.foundBy === 'device-type.json',
      `no partition is named or labelled as a boot partition; partition ${boot.number} was taken because of its ${boot.foundBy}`,
    ],
    [
      !isDevelopment(config) && hasNoKeys && !isManaged,
      'nobody will be able to log in: production mode without an SSH key. Add --ssh-key or --dev',
    ],
    [
      typeof deviceType === 'string' && os.deviceType !== undefined && deviceType !== os.deviceType.slug,
      `deviceType in config.json is ${JSON.stringify(deviceType)}, but the image is for ${os.deviceType?.slug ?? 'another'}`,
    ],
    [
      isManaged && configValue(config, 'apiKey') === undefined && configValue(config, 'deviceApiKey') === undefined,
      'the device will not be able to register: apiEndpoint without apiKey or deviceApiKey',
    ],
    [
      !isManaged && configValue(config, 'apiKey') !== undefined,
      'apiKey has no use without apiEndpoint: the device will not be managed',
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

function warningsAboutOldWifi(
  { config = {} }: BootConfigurationRequest,
  connections: readonly ConnectionFile[],
): string[] {
  const isOld = 'wifiSsid' in config && connections.length === 0;
  return isOld ? ['wifiSsid and wifiKey in config.json have no effect since OS 2.0: use --wifi-ssid'] : [];
}

function warningsAboutFiles(files: readonly BootFile[], os: OsFacts): string[] {
  const since = [
    ['dispatcher.d/', '3.1.3', 'scripts in dispatcher.d have'],
    ['system-proxy/', '2.0.7', 'a proxy has'],
  ] as const;
  return since.flatMap(([folder, release, what]) =>
    files.some(({ path }) => path.startsWith(folder)) && isBalenaOs(os) && isOlderThan(os.osVersion, release)
      ? [`${what} no effect before balenaOS ${release}, and this is ${os.osVersion ?? 'older'}`]
      : [],
  );
}
