import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { configValue } from './config-json.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** A key of config.json whose value the OS would not understand; the value itself is left out, as it may be a secret. */
export interface ConfigProblem {
  readonly key: string;
  /** What the value has to be, to follow "must be". */
  readonly mustBe: string;
}

/** One RFC 1123 label, as mDNS and the OS take it. */
export function isHostname(value: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value);
}

/**
 * Checks the keys that the OS and its Supervisor read (https://docs.balena.io/reference/OS/configuration); keys that are not known
 * are not judged.
 */
export function checkConfig(config: JsonObject): ConfigProblem[] {
  return Object.entries(checks).flatMap(([key, { isGood, mustBe }]) => {
    const value = configValue(config, key);
    return value === undefined || isGood(value) ? [] : [{ key, mustBe }];
  });
}

/** Top-level keys that neither the OS, its Supervisor nor the cloud's generator is known to use: most likely mistyped. */
export function unknownConfigKeys(config: JsonObject): string[] {
  return Object.keys(config).filter((key) => !Object.hasOwn(checks, key) && !uncheckedKeys.has(key));
}

/** What one key has to be. */
interface ConfigCheck {
  readonly isGood: (value: Json) => boolean;
  readonly mustBe: string;
}

const text = (mustBe: string, isGood: (value: string) => boolean = () => true): ConfigCheck => ({
  isGood: (value) => typeof value === 'string' && isGood(value),
  mustBe,
});
const number = (mustBe: string, least = 0, most = Number.MAX_SAFE_INTEGER): ConfigCheck => ({
  isGood: (value) => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
  mustBe,
});
// The OS compares by jq's text output, so that old files with "true" in quotes still work.
const truth: ConfigCheck = {
  isGood: (value) => typeof value === 'boolean' || value === 'true' || value === 'false',
  mustBe: 'true or false',
};
const object: ConfigCheck = { isGood: isJsonObject, mustBe: 'an object' };
const url = text('a URL with http or https', (value) =>
  /^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : ''),
);
const port = number('a port number', 1, 65535);

const checks: Readonly<Record<string, ConfigCheck>> = {
  deviceType: text('a device type slug', (value) => /^[a-z0-9][a-z0-9-]*$/.test(value)),
  hostname: text('one host name label: letters, digits and inner hyphens, 63 at most', isHostname),
  developmentMode: truth,
  persistentLogging: truth,
  country: text('a country code of two capital letters', (value) => /^[A-Z]{2}$/.test(value)),
  ntpServers: text('server names separated by spaces'),
  dnsServers: text('addresses separated by spaces, or "null"'),
  uuid: text('32 (or 62) lower-case hexadecimal digits', (value) => /^([0-9a-f]{32}|[0-9a-f]{62})$/.test(value)),
  apiEndpoint: url,
  apiKey: text('text'),
  deviceApiKey: text('text'),
  deviceApiKeys: object,
  applicationId: number('a number', 1),
  deviceId: number('a number', 1),
  registered_at: number('a moment in seconds'),
  listenPort: port,
  vpnPort: port,
  appUpdatePollInterval: number('a time in milliseconds, 60000 at least', 60_000),
  balenaRootCA: text('a PEM certificate in base64', (value) =>
    Buffer.from(value, 'base64').toString('latin1').includes('-----BEGIN CERTIFICATE-----'),
  ),
  os: object,
  'os.sshKeys': {
    isGood: (value) =>
      Array.isArray(value) &&
      value.every((key: unknown) => typeof key === 'string' && parseSshPublicKey(key) !== undefined),
    mustBe: 'a list of SSH public keys',
  },
  'os.udevRules': {
    isGood: (value) => isJsonObject(value) && Object.values(value).every((rule) => typeof rule === 'string'),
    mustBe: 'an object of rule texts by name',
  },
  'os.network.wifi.randomMacAddressScan': truth,
  'os.network.connectivity.uri': text('a URL, or "null"'),
  'os.network.connectivity.interval': text('seconds as text, such as "3600"', (value) => /^\d+$/.test(value)),
  installer: object,
  'installer.secureboot': truth,
  'installer.migrate.force': truth,
  'installer.target_devices': text('device names separated by spaces'),
};

/** Known keys that are not checked. */
const uncheckedKeys: ReadonlySet<string> = new Set([
  ...['applicationName', 'userId', 'username', 'version', 'initialDeviceName', 'apiTimeout', 'bootstrapRetryDelay'],
  ...['registryEndpoint', 'deltaEndpoint', 'vpnEndpoint', 'logsEndpoint', 'mixpanelToken'],
  ...['pubnubSubscribeKey', 'pubnubPublishKey', 'wifiSsid', 'wifiKey', 'network', 'files', 'connectivity'],
]);
