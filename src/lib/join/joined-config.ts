import { type ConfigChange, configChanges, configValue } from '../boot-config/config-json.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';

/** Keys of a cloud that os-config forgets to take away, so that they would outlive it. */
const leftovers: ReadonlySet<string> = new Set([
  'applicationName',
  'initialDeviceName',
  'logsEndpoint',
  'pubnubPublishKey',
  'pubnubSubscribeKey',
  'userId',
  'username',
  'vpnEndpoint',
  'vpnPort',
]);

/** What the device is known by to clouds, which a configuration may bring along. */
const identity: ReadonlySet<string> = new Set(['uuid', 'deviceApiKeys']);

/** What only an installer or an OS before 2.0 reads; some of it is secret, and none of it is of use. */
const useless: ReadonlySet<string> = new Set(['installer', 'wifiSsid', 'wifiKey', 'network', 'files', 'connectivity']);

/** What a device is to have when it has joined. */
export interface JoinedConfig {
  readonly config: JsonObject;
  /** What the device has of its own, where the configuration says something else: `before` stays, `after` does not count. */
  readonly kept: readonly ConfigChange[];
  /** Keys of the configuration that nothing would read. */
  readonly ignored: readonly string[];
}

/** What decides what is taken from where. */
export interface JoinRules {
  /** The keys that belong to a cloud, besides those that are known here. */
  readonly cloudKeys: readonly string[];
  /** The device's own type, whichever the configuration names. */
  readonly deviceType: string | undefined;
  /** Keys of the device's own that the configuration decides all the same, as dotted paths. */
  readonly take: readonly string[];
}

/**
 * The configuration of a device that joins: what belongs to a cloud is replaced as a whole, as `os-config join` does, and what says how
 * the device itself is stays: mode, hostname, SSH keys, servers. Only what the device says nothing of comes from the
 * configuration, and its mode never: without one it is in production mode.
 *
 * @param own the device's config.json
 * @param given the configuration that a cloud made
 */
export function joinedConfig(own: JsonObject, given: JsonObject, rules: JoinRules): JoinedConfig {
  const cloud = new Set([...rules.cloudKeys, ...leftovers]);
  const isOf =
    (keys: ReadonlySet<string>) =>
    ([key]: readonly [string, Json]) =>
      keys.has(key);
  const entries = Object.entries(given).filter(([, value]) => value !== null);
  const wanted = entries.filter((entry) => !isOf(useless)(entry));
  const ofCloud = wanted.filter((entry) => isOf(cloud)(entry) || isOf(identity)(entry));
  const offered = Object.fromEntries(wanted.filter((entry) => !ofCloud.includes(entry)));
  const staying = Object.fromEntries(Object.entries(own).filter((entry) => !isOf(cloud)(entry)));
  const { developmentMode, ...fillable } = offered;
  const deviceApiKeys = rememberedKeys(own, given);
  const config: JsonObject = {
    ...rules.take.reduce((own, key) => withTaken(own, offered, key), filled(staying, fillable)),
    ...Object.fromEntries(ofCloud),
    ...(rules.deviceType === undefined ? {} : { deviceType: rules.deviceType }),
    ...(deviceApiKeys === undefined ? {} : { deviceApiKeys }),
  };
  const isOn = developmentMode === true || developmentMode === 'true';
  return {
    config,
    kept: configChanges(staying, offered).filter(({ key, before, after }) => {
      const isDifferentMode = key === 'developmentMode' && before === undefined && isOn;
      if (rules.take.some((taken) => `${key}.`.startsWith(`${taken}.`))) return false;
      return after !== undefined && (before !== undefined || isDifferentMode);
    }),
    ignored: entries.filter(isOf(useless)).map(([key]) => key),
  };
}

/** A configuration with what another one adds to it; what both have stays. */
function filled(own: JsonObject, offered: JsonObject): JsonObject {
  const added = Object.entries(offered).flatMap(([key, value]) => {
    const mine = Object.hasOwn(own, key) ? own[key] : undefined;
    if (mine === undefined) return [[key, value] as const];
    return isJsonObject(mine) && isJsonObject(value) ? [[key, filled(mine, value)] as const] : [];
  });
  return { ...own, ...Object.fromEntries(added) };
}

/** A configuration with what another one has at a dotted path, if it has anything there. */
function withTaken(own: JsonObject, offered: JsonObject, path: string): JsonObject {
  const value = configValue(offered, path);
  return value === undefined ? own : withValue(own, path.split('.'), value);
}

function withValue(config: JsonObject, [key = '', ...rest]: readonly string[], value: Json): JsonObject {
  if (rest.length === 0) return { ...config, [key]: value };
  return { ...config, [key]: withValue(objectIn(config[key]), rest, value) };
}

/** The keys that the device has at each cloud, as `os-config leave` remembers them; undefined where it has none. */
function rememberedKeys(own: JsonObject, given: JsonObject): JsonObject | undefined {
  const { apiEndpoint, deviceApiKey } = own;
  const present =
    typeof apiEndpoint === 'string' && deviceApiKey !== undefined ? { [hostOf(apiEndpoint)]: deviceApiKey } : {};
  const all = { ...objectIn(own.deviceApiKeys), ...objectIn(given.deviceApiKeys), ...present };
  return Object.keys(all).length === 0 ? undefined : all;
}

/** How os-config names a cloud in `deviceApiKeys`: the URL without its scheme. */
export function hostOf(apiEndpoint: string): string {
  return apiEndpoint.replace(/^https?:\/\//, '');
}

function objectIn(value: Json | undefined): JsonObject {
  return value !== undefined && isJsonObject(value) ? value : {};
}
