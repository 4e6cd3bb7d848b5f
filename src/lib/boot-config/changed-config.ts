import type { Json, JsonObject } from '../platform/json.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { checkConfig } from './config-check.js';
import { withEdits } from './config-edit.js';
import { invalidConfig } from './config-file.js';
import { type ConfigChange, configValue, mergePatch } from './config-json.js';
import { type Path, placed } from './problem.js';
import { withoutSecret } from './secrets.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** A configuration with what a request asks for; what it does not name stays. */
export function changedConfig(config: JsonObject, request: BootConfigurationRequest): JsonObject {
  const { developmentMode, hostname, persistentLogging, dnsServers, ntpServers, country, udevRules } = request;
  const wishes = {
    developmentMode,
    hostname,
    persistentLogging,
    country,
    dnsServers,
    ntpServers,
    os: udevRules && { udevRules },
  };
  const patch = Object.entries(wishes).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  const merged = mergePatch(mergePatch(config, request.config ?? {}), Object.fromEntries(patch));
  return withEdits(withSshKeys(merged, request.sshKeys ?? []), request.edits ?? []);
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
export function requireGoodValues(config: JsonObject, changes: readonly ConfigChange[]): void {
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

/** One key of config.json that is changed; secrets are hidden, and null is a key that is not there. */
export interface ShownConfigChange {
  readonly key: string;
  readonly before: Json;
  readonly after: Json;
}

/** A change as it may be shown. */
export function shownChange({ key, before = null, after = null }: ConfigChange): ShownConfigChange {
  return { key, before: withoutSecret(key, before), after: withoutSecret(key, after) };
}
