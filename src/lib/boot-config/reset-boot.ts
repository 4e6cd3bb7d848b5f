import type { JsonObject } from '../platform/json.js';
import { allFiles, type BootPath, type Fingerprint, isChangedSince, readFingerprint } from './boot-fingerprint.js';
import type { BootPartition } from './boot-partition.js';
import { isDevelopment } from './config-check.js';
import { configValue } from './config-json.js';
import { connectionFolder } from './connection-folder.js';
import { isNameIgnored } from './connection-file.js';
import type { OsFacts } from './os-facts.js';

/** What brings a boot partition back to what its image came with. */
export interface BootReset {
  readonly config: JsonObject;
  /** Paths of the files that go. */
  readonly removed: readonly string[];
  /** What cannot be brought back. */
  readonly warnings: readonly string[];
}

/** Folders whose files are configuration, whatever they are. */
const configured = [`${connectionFolder}/`, 'system-proxy/', 'dispatcher.d/'] as const;

/** What boot loaders keep on the boot partition: they need it, and some make it themselves. */
const bootState = /^(bootcount\.env|resinos_uenv\.txt|uboot\.env|bootenv|(.*\/)?grubenv)$/;

/** Longer files are kernels and firmware, which nobody configures. */
const longestSetting = 1024 * 1024;

/**
 * Finds what differs from the image as it came. The image's own list of its files tells which are its own; without one, only what davit knows
 * how to write goes. What is changed cannot be brought back, and is named.
 */
export async function planReset(boot: BootPartition, os: OsFacts, config: JsonObject): Promise<BootReset> {
  const files = await allFiles(boot.files);
  const fingerprint = await readFingerprint(boot.files);
  const isUpdated = fingerprint !== undefined && (await isChangedSince(fingerprint, boot.files, 'os-release'));
  const isOwn = (path: string) => fingerprint?.has(path.toLowerCase()) ?? isSample(path);
  const isConfigured = (path: string) => configured.some((folder) => path.toLowerCase().startsWith(folder));
  const isAdded = ({ path }: BootPath) =>
    !isOwn(path) && (isConfigured(path) || (fingerprint !== undefined && !isUpdated && !isBootFile(path)));
  const isDevelopmentImage = await isDevelopmentBuild(boot);
  return {
    config: defaultConfig(os, config, isDevelopmentImage),
    removed: files
      .filter(isAdded)
      .map(({ path }) => path)
      .sort(),
    warnings: [
      ...(fingerprint === undefined
        ? ['it has no list of its own files: of added files only networks, proxy and dispatcher scripts are removed']
        : []),
      ...(isUpdated
        ? [
            'its OS was updated since it was made: of added files only networks, proxy and dispatcher scripts are removed',
          ]
        : []),
      ...(fingerprint === undefined || isUpdated ? [] : await changedFiles(boot, files, fingerprint)),
      ...files
        .filter(({ path }) => fingerprint !== undefined && isOwn(path) && isLiveNetwork(path))
        .map(({ path }) => `${path} stays, as it belongs to the image; take it out with: davit network remove`),
      ...(isDevelopment(config) && !isDevelopmentImage
        ? ['development mode goes too, as the image does not say that it was built with it; add --dev to keep it']
        : []),
    ],
  };
}

/** The config.json of an image that nobody configured (meta-balena's `init_config_json`): keys in this order. */
function defaultConfig(os: OsFacts, config: JsonObject, isDevelopmentImage: boolean): JsonObject {
  const deviceType = os.deviceType?.slug ?? configValue(config, 'deviceType');
  return {
    ...(isDevelopmentImage ? { developmentMode: true } : {}),
    ...(deviceType === undefined ? {} : { deviceType }),
    persistentLogging: false,
  };
}

/** Files for people, which switch nothing on; also by the names that they had before balenaOS 2. */
function isSample(path: string): boolean {
  return /(\.ignore|\/readme[^/]*|\/resin-sample)$/i.test(path);
}

function isBootFile(path: string): boolean {
  const lower = path.toLowerCase();
  return lower === 'config.json' || lower.endsWith('.fingerprint') || bootState.test(lower);
}

function isLiveNetwork(path: string): boolean {
  const [folder, name] = path.toLowerCase().split('/');
  return folder === connectionFolder && name !== undefined && !isNameIgnored(name) && !isSample(path);
}

async function changedFiles(boot: BootPartition, files: readonly BootPath[], fingerprint: Fingerprint) {
  const warnings: string[] = [];
  for (const { path, size } of files) {
    if (size > longestSetting || isBootFile(path) || !(await isChangedSince(fingerprint, boot.files, path))) continue;
    warnings.push(`${path} was changed and cannot be brought back: take it from a fresh copy of the image`);
  }
  const there = new Set(files.map(({ path }) => path.toLowerCase()));
  const missing = [...fingerprint.keys()].filter((path) => !there.has(path) && !isBootFile(path));
  return [...warnings, ...missing.map((path) => `${path} is missing and cannot be brought back`)];
}

/** Whether the image was built for development; since 2.85 no image says so. */
async function isDevelopmentBuild(boot: BootPartition): Promise<boolean> {
  const release = String((await boot.files.read('os-release')) ?? '');
  return /^VARIANT(_ID)?="?dev(elopment)?"?\s*$/im.test(release);
}
