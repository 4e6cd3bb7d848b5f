import { isIP } from 'node:net';
import type { JsonObject } from '../platform/json.js';
import { anything, choice, either, list, mapOf, type Shape, text, truth, wholeNumber } from './shape.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** What is known about one key of config.json. */
export interface ConfigKey {
  readonly meaning: string;
  readonly shape: Shape<unknown>;
  /** The first balenaOS release that reads it; undefined where that was long ago or is not known. */
  readonly since?: string;
  /** Whether its value must never be shown. */
  readonly isSecret?: true;
  /** When a change counts on a device that runs: at once, after a restart, only in a flasher, or never since OS 2.0. */
  readonly takesEffect: 'at once' | 'after a restart' | 'in a flasher' | 'never';
}

/** One RFC 1123 label, as mDNS and the OS take it. */
export function isHostname(value: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value);
}

/** A host name of one or more labels, or an address. */
export function isHost(value: string): boolean {
  const labels = value.replace(/\.$/, '').split('.');
  return isIP(value) !== 0 || (value.length <= 253 && labels.every((label) => isHostname(label.replaceAll('_', 'x'))));
}

/** What dnsmasq takes as a server: an address, perhaps with `#port`, perhaps for one domain only (`/corp/10.0.0.1`). */
export function isDnsServer(value: string): boolean {
  const match = /^(?:\/[^/\s]+\/)?([^#/\s]+)(?:#(\d{1,5}))?$/.exec(value);
  return isIP(match?.[1]?.replace(/%.*$/, '') ?? '') !== 0 && Number(match?.[2] ?? 1) <= 65_535;
}

/** DNS servers as config.json has them; the OS takes the text "null" for none at all, not even 8.8.8.8. */
export function dnsServersText(servers: readonly string[] | 'none'): string {
  return servers === 'none' ? 'null' : servers.join(' ');
}

/** A host name of the device itself. */
export const hostnameShape = text('one host name label: letters, digits and inner hyphens, 63 at most', isHostname);

/** A country as Wi-Fi rules know it. */
export const countryShape = text('a country code of two capital letters', /^[A-Z]{2}$/);

/** A list of SSH public keys as authorized_keys has them. */
export const sshKeyShape = text('an SSH public key', (value) => parseSshPublicKey(value) !== undefined);

/** A port of TCP or UDP. */
export const portShape = wholeNumber('a port number', 1, 65_535);

// The OS compares by jq's text output, so that old files with "true" in quotes still work.
const switchShape = either('true or false', truth, choice('true', 'false'));
const plainText = text('text');
const url = text('a URL with http or https', (value) =>
  /^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : ''),
);
const hostOrUrl = text('a host name or a URL', (value) => isHost(value) || URL.canParse(value));
const milliseconds = (least = 0) =>
  wholeNumber(`a time in milliseconds${least > 0 ? `, ${least} at least` : ''}`, least);
const identifier = wholeNumber('a positive number', 1);
const words = (mustBe: string, isGood: (word: string) => boolean) =>
  text(mustBe, (value) => value.split(' ').filter(Boolean).every(isGood));
/** The name of a udev rules file without its ending. */
export const ruleName = text('letters, digits, dots, hyphens and underscores', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/);

/**
 * The keys of config.json that the OS, its Supervisor or the cloud's generators are known to use, by their dotted path
 * (https://docs.balena.io/reference/OS/configuration, meta-balena, balena-supervisor, os-config).
 */
export const configKeys: Readonly<Record<string, ConfigKey>> = {
  deviceType: {
    meaning: 'Device type that the device registers as.',
    shape: text('a device type slug', /^[a-z0-9][a-z0-9-]*$/),
    takesEffect: 'after a restart',
  },
  hostname: {
    meaning: 'Name of the device on the network; without it the first seven digits of its UUID.',
    shape: hostnameShape,
    takesEffect: 'at once',
  },
  developmentMode: {
    meaning: 'Opens the engine port and, unless os.sshKeys is set, root login without a password.',
    shape: switchShape,
    since: '2.85.0',
    takesEffect: 'at once',
  },
  persistentLogging: { meaning: 'Keeps logs over restarts.', shape: switchShape, takesEffect: 'after a restart' },
  country: {
    meaning: 'Country whose Wi-Fi rules hold.',
    shape: countryShape,
    since: '2.0.5',
    takesEffect: 'at once',
  },
  ntpServers: {
    meaning: 'Time servers, separated by spaces.',
    shape: words('host names or addresses separated by spaces', isHost),
    since: '2.1.0',
    takesEffect: 'at once',
  },
  dnsServers: {
    meaning: 'DNS servers in addition to those of the network, separated by spaces; "null" leaves out 8.8.8.8.',
    shape: text('addresses separated by spaces, or "null"', (value) =>
      value === 'null' ? true : value.split(' ').filter(Boolean).every(isDnsServer),
    ),
    since: '2.1.0',
    takesEffect: 'at once',
  },
  balenaRootCA: {
    meaning: 'Certificates of a private authority to trust, PEM in base64.',
    shape: text('a PEM certificate in base64', (value) =>
      Buffer.from(value, 'base64').toString('latin1').includes('-----BEGIN CERTIFICATE-----'),
    ),
    since: '2.12.6',
    takesEffect: 'at once',
  },
  'os.sshKeys': {
    meaning: 'Public keys that may log in as root.',
    shape: list(sshKeyShape, 'a list of SSH public keys'),
    since: '2.20.0',
    takesEffect: 'at once',
  },
  'os.udevRules': {
    meaning: 'Texts of udev rules files by their names, without .rules.',
    shape: mapOf(text('the text of a rules file'), ruleName),
    since: '2.20.0',
    takesEffect: 'at once',
  },
  'os.network.wifi.randomMacAddressScan': {
    meaning: 'Scans for Wi-Fi networks with random hardware addresses.',
    shape: switchShape,
    since: '2.27.0',
    takesEffect: 'at once',
  },
  'os.network.connectivity.uri': {
    meaning: 'URL that NetworkManager asks to find out about the internet; "null" never asks.',
    shape: text('a URL, or "null"', (value) => value === 'null' || URL.canParse(value)),
    since: '2.34.0',
    takesEffect: 'at once',
  },
  'os.network.connectivity.interval': {
    meaning: 'Seconds between these questions, as text; "0" never asks.',
    shape: text('seconds as text, such as "3600"', /^\d+$/),
    since: '2.34.0',
    takesEffect: 'at once',
  },
  'os.network.connectivity.response': {
    meaning: 'The answer to expect.',
    shape: plainText,
    since: '2.34.0',
    takesEffect: 'after a restart',
  },
  'os.fan.profile': {
    meaning: 'Fan profile of a Jetson Orin.',
    shape: choice('quiet', 'cool'),
    since: '6.1.24',
    takesEffect: 'at once',
  },
  'os.power.mode': {
    meaning: 'Power mode of a Jetson Orin.',
    shape: choice('low', 'mid', 'high'),
    since: '6.1.24',
    takesEffect: 'after a restart',
  },
  'os.kernel.extraFirmwareVol': {
    meaning: 'Volume in which the kernel looks for more firmware.',
    shape: text('the name of a volume', /^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
    since: '6.8.5',
    takesEffect: 'at once',
  },
  'installer.secureboot': {
    meaning: 'Installs with secure boot and disk encryption, where the OS has it.',
    shape: switchShape,
    since: '2.108.36',
    takesEffect: 'in a flasher',
  },
  'installer.migrate.force': {
    meaning: 'Lets the installer replace the system that it runs from.',
    shape: switchShape,
    since: '2.113.0',
    takesEffect: 'in a flasher',
  },
  'installer.target_devices': {
    meaning: 'Disks to install to, the first that is there, separated by spaces.',
    shape: words('device names such as nvme0n1 separated by spaces', (word) => !word.startsWith('/')),
    since: '6.1.15',
    takesEffect: 'in a flasher',
  },
  'installer.whitelist_pcr2': {
    meaning: 'How the installer treats register 2 of the TPM.',
    shape: switchShape,
    since: '6.5.0',
    takesEffect: 'in a flasher',
  },
  apiEndpoint: {
    meaning: 'API of the cloud that manages the device; without it the device is unmanaged.',
    shape: url,
    takesEffect: 'at once',
  },
  applicationId: { meaning: 'Fleet to register in.', shape: identifier, takesEffect: 'after a restart' },
  uuid: {
    meaning: 'Identity of the device; made at the first start when it is missing.',
    shape: text('32 (or 62) lower-case hexadecimal digits', /^([0-9a-f]{32}|[0-9a-f]{62})$/),
    takesEffect: 'after a restart',
  },
  deviceId: { meaning: 'Number of a registered device.', shape: identifier, takesEffect: 'after a restart' },
  registered_at: {
    meaning: 'When the device was registered, in seconds.',
    shape: wholeNumber('a moment in seconds'),
    takesEffect: 'after a restart',
  },
  apiKey: {
    meaning: 'Key that registers the device; the device removes it then.',
    shape: plainText,
    isSecret: true,
    takesEffect: 'at once',
  },
  deviceApiKey: { meaning: "The device's own key.", shape: plainText, isSecret: true, takesEffect: 'after a restart' },
  deviceApiKeys: {
    meaning: "The device's keys by API host.",
    shape: mapOf(plainText),
    isSecret: true,
    takesEffect: 'after a restart',
  },
  registryEndpoint: { meaning: 'Registry of the cloud.', shape: hostOrUrl, takesEffect: 'after a restart' },
  deltaEndpoint: { meaning: 'Delta server of the cloud.', shape: hostOrUrl, takesEffect: 'after a restart' },
  vpnEndpoint: { meaning: 'VPN of the cloud.', shape: hostOrUrl, takesEffect: 'after a restart' },
  logsEndpoint: { meaning: 'Log server of the cloud.', shape: hostOrUrl, takesEffect: 'after a restart' },
  vpnPort: { meaning: 'Port of the VPN.', shape: portShape, takesEffect: 'after a restart' },
  listenPort: { meaning: "Port of the Supervisor's API.", shape: portShape, takesEffect: 'at once' },
  appUpdatePollInterval: {
    meaning: 'Time between two questions for updates, in milliseconds.',
    shape: milliseconds(60_000),
    takesEffect: 'after a restart',
  },
  apiTimeout: {
    meaning: 'How long the Supervisor waits for the API.',
    shape: milliseconds(),
    takesEffect: 'after a restart',
  },
  bootstrapRetryDelay: {
    meaning: 'Time between two tries to register, in milliseconds.',
    shape: milliseconds(),
    takesEffect: 'after a restart',
  },
  initialDeviceName: { meaning: 'Name to register the device with.', shape: plainText, takesEffect: 'after a restart' },
  applicationName: { meaning: 'Name of the fleet.', shape: plainText, takesEffect: 'never' },
  userId: { meaning: 'Owner of the fleet.', shape: wholeNumber('a number'), takesEffect: 'never' },
  username: { meaning: 'Owner of the fleet.', shape: plainText, takesEffect: 'never' },
  version: { meaning: 'OS version that the configuration was made for.', shape: plainText, takesEffect: 'never' },
  mixpanelToken: { meaning: 'Analytics of the cloud.', shape: plainText, isSecret: true, takesEffect: 'never' },
  pubnubSubscribeKey: { meaning: 'Logs of old clouds.', shape: plainText, isSecret: true, takesEffect: 'never' },
  pubnubPublishKey: { meaning: 'Logs of old clouds.', shape: plainText, isSecret: true, takesEffect: 'never' },
  wifiSsid: { meaning: 'Wi-Fi of OS 1.x.', shape: plainText, takesEffect: 'never' },
  wifiKey: { meaning: 'Wi-Fi of OS 1.x.', shape: plainText, isSecret: true, takesEffect: 'never' },
  network: { meaning: 'Network of OS 1.x.', shape: anything, takesEffect: 'never' },
  files: { meaning: 'Network files of OS 1.x.', shape: anything, isSecret: true, takesEffect: 'never' },
  connectivity: { meaning: 'Network of OS 1.x.', shape: anything, takesEffect: 'never' },
};

/** JSON Schema of config.json; keys that are not known are allowed. */
export function configSchema(): JsonObject {
  const entries = Object.entries(configKeys).map(([key, one]) => ({ path: key.split('.'), schema: keySchema(one) }));
  return groupSchema(entries);
}

interface KeySchema {
  readonly path: readonly string[];
  readonly schema: JsonObject;
}

function groupSchema(entries: readonly KeySchema[]): JsonObject {
  const names = [...new Set(entries.map(({ path }) => path[0] ?? ''))];
  const properties = names.map((name) => {
    const own = entries
      .filter(({ path }) => path[0] === name)
      .map(({ path, schema }) => ({ path: path.slice(1), schema }));
    return [name, own[0]?.path.length === 0 ? own[0].schema : groupSchema(own)] as const;
  });
  return { type: 'object', properties: Object.fromEntries(properties) };
}

function keySchema({ meaning, since, shape, takesEffect, isSecret }: ConfigKey): JsonObject {
  const release = since === undefined ? '' : ` Since balenaOS ${since}.`;
  const effect = takesEffect === 'never' ? ' Not read since OS 2.0.' : ` Takes effect ${takesEffect}.`;
  return { description: meaning + release + effect, ...(isSecret ? { writeOnly: true } : {}), ...shape.schema };
}
