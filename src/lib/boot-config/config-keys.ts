import type { Json } from '../platform/json.js';
import { uuidPattern } from '../platform/uuid.js';
import {
  countryShape,
  hostnameShape,
  hostOrUrl,
  isCertificateText,
  identifier,
  isDnsServer,
  isHost,
  milliseconds,
  plainText,
  portShape,
  ruleName,
  sshKeyShape,
  switchShape,
  url,
  words,
} from './config-values.js';
import { anything, choice, list, mapOf, type Shape, text, wholeNumber } from './shape.js';

/** What is known about one key of config.json. */
export interface ConfigKey {
  readonly meaning: string;
  readonly shape: Shape<unknown>;
  /** The first balenaOS release that reads it; undefined where that was long ago or is not known. */
  readonly since?: string;
  /** Whether its value must never be shown. */
  readonly isSecret?: true;
  /** When a change counts on a device that runs, or that only flashers read it, or nothing since OS 2.0. */
  readonly takesEffect: 'at once' | 'when the Supervisor restarts' | 'after a restart' | 'in a flasher' | 'never';
  /** The services of the OS that restart by themselves when it changes on a device that runs. */
  readonly restarts?: readonly string[];
  /** What holds where it is not set. */
  readonly default?: Json;
  /** What holds where it is not set, in words, as it is no value or not always the same. */
  readonly otherwise?: string;
  readonly example?: Json;
  /** The boards that read it, where not all do: a part of their slugs, and what they are called. */
  readonly boards?: { readonly slug: RegExp; readonly what: string };
}

const jetsonOrin = { slug: /orin|ornx/, what: 'boards with a Jetson Orin' };
const endpoint = { shape: hostOrUrl, takesEffect: 'after a restart' } as const;
const legacy = { takesEffect: 'never' } as const;

/**
 * The keys of config.json that the OS, its Supervisor or the cloud's generators are known to use, by their dotted path
 * (https://docs.balena.io/reference/OS/configuration, meta-balena, balena-supervisor, os-config).
 */
export const configKeys: Readonly<Record<string, ConfigKey>> = {
  deviceType: {
    meaning: 'Device type that the device registers as.',
    shape: text('a device type slug', /^[a-z0-9][a-z0-9-]*$/),
    takesEffect: 'after a restart',
    otherwise: "the image's own",
    example: 'raspberrypi4-64',
  },
  hostname: {
    meaning: 'Name of the device on the network.',
    shape: hostnameShape,
    since: '2.0.0',
    takesEffect: 'at once',
    restarts: ['balena', 'balena-hostname', 'dnsmasq'],
    otherwise: 'the first seven digits of the UUID',
    example: 'kiosk-7',
  },
  developmentMode: {
    meaning: 'Opens the engine port and, unless os.sshKeys is set, root login without a password.',
    shape: switchShape,
    since: '2.85.0',
    takesEffect: 'at once',
    restarts: ['balena', 'balena-info', 'development-features'],
    default: false,
    example: true,
  },
  persistentLogging: {
    meaning: 'Keeps logs over restarts.',
    shape: switchShape,
    since: '2.0.0',
    takesEffect: 'after a restart',
    default: false,
    example: true,
  },
  country: {
    meaning: 'Country whose Wi-Fi rules hold.',
    shape: countryShape,
    since: '2.0.5',
    takesEffect: 'at once',
    restarts: ['balena-net-config'],
    otherwise: 'the rules of the network that it joins',
    example: 'DE',
  },
  ntpServers: {
    meaning: 'Time servers, separated by spaces.',
    shape: words('host names or addresses separated by spaces', isHost),
    since: '2.1.0',
    takesEffect: 'at once',
    restarts: ['balena-ntp-config'],
    default: '0.resinio.pool.ntp.org 1.resinio.pool.ntp.org 2.resinio.pool.ntp.org 3.resinio.pool.ntp.org',
    example: 'ntp.example.com 192.168.1.1',
  },
  dnsServers: {
    meaning: 'DNS servers in addition to those of the network, separated by spaces; "null" leaves out 8.8.8.8.',
    shape: text('addresses separated by spaces, or "null"', (value) =>
      value === 'null' ? true : value.split(' ').filter(Boolean).every(isDnsServer),
    ),
    since: '2.1.0',
    takesEffect: 'at once',
    restarts: ['balena-net-config', 'dnsmasq'],
    default: '8.8.8.8',
    example: '192.168.1.1 1.1.1.1',
  },
  balenaRootCA: {
    meaning: 'Certificates of a private authority to trust, PEM in base64; the whole system trusts them since 2.58.0.',
    shape: text('PEM certificates in base64, as base64 -w0 ca.pem prints them', isCertificateText),
    since: '2.12.6',
    takesEffect: 'at once',
    restarts: ['balena-supervisor'],
  },
  'os.sshKeys': {
    meaning: 'Public keys that may log in as root.',
    shape: list(sshKeyShape, 'a list of SSH public keys'),
    since: '2.20.0',
    takesEffect: 'at once',
    restarts: ['os-sshkeys'],
    otherwise: 'none',
    example: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me@home'],
  },
  'os.udevRules': {
    meaning: 'Texts of udev rules files by their names, without .rules.',
    shape: mapOf(text('the text of a rules file'), ruleName),
    since: '2.20.0',
    takesEffect: 'at once',
    restarts: ['os-udevrules'],
    otherwise: 'none',
    example: { '64-modem': 'ACTION=="add", SUBSYSTEM=="tty", SYMLINK+="modem"' },
  },
  'os.network.wifi.randomMacAddressScan': {
    meaning: 'Scans for Wi-Fi networks with random hardware addresses.',
    shape: switchShape,
    since: '2.27.0',
    takesEffect: 'at once',
    restarts: ['os-networkmanager'],
    otherwise: 'as NetworkManager does by itself',
    example: false,
  },
  'os.network.connectivity.uri': {
    meaning: 'URL that NetworkManager asks to find out about the internet; "null" never asks.',
    shape: text('a URL, or "null"', (value) => value === 'null' || URL.canParse(value)),
    since: '2.34.0',
    takesEffect: 'at once',
    restarts: ['os-networkmanager'],
    otherwise: '<apiEndpoint>/connectivity-check, and nothing is asked without apiEndpoint',
    example: 'https://check.example.com/',
  },
  'os.network.connectivity.interval': {
    meaning: 'Seconds between these questions, as text; "0" never asks.',
    shape: text('seconds as text, such as "3600"', /^\d+$/),
    since: '2.34.0',
    takesEffect: 'at once',
    restarts: ['os-networkmanager'],
    default: '3600',
    example: '600',
  },
  'os.network.connectivity.response': {
    meaning: 'The answer to expect.',
    shape: plainText,
    since: '2.34.0',
    takesEffect: 'after a restart',
    otherwise: 'any answer',
    example: 'online',
  },
  'os.fan.profile': {
    meaning: 'Fan profile of a Jetson Orin.',
    shape: choice('quiet', 'cool'),
    since: '6.1.24',
    takesEffect: 'at once',
    restarts: ['os-fan-profile'],
    otherwise: "the board's own",
    example: 'quiet',
    boards: jetsonOrin,
  },
  'os.power.mode': {
    meaning: 'Power mode of a Jetson Orin.',
    shape: choice('low', 'mid', 'high'),
    since: '6.1.24',
    takesEffect: 'after a restart',
    otherwise: "the board's own",
    example: 'mid',
    boards: jetsonOrin,
  },
  'os.kernel.extraFirmwareVol': {
    meaning: 'Volume in which the kernel looks for more firmware.',
    shape: text('the name of a volume', /^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
    since: '6.8.5',
    takesEffect: 'at once',
    restarts: ['os-extra-firmware'],
    default: 'extra-firmware',
    example: 'extra-firmware',
  },
  'installer.secureboot': {
    meaning: 'Installs with secure boot and disk encryption, where the OS has it.',
    shape: switchShape,
    since: '2.108.36',
    takesEffect: 'in a flasher',
    default: false,
    example: true,
  },
  'installer.migrate.force': {
    meaning: 'Lets the installer replace the system that it runs from.',
    shape: switchShape,
    since: '2.113.0',
    takesEffect: 'in a flasher',
    default: false,
    example: true,
  },
  'installer.target_devices': {
    meaning: 'Disks to install to, the first that is there, separated by spaces.',
    shape: words('device names such as nvme0n1 separated by spaces', (word) => !word.startsWith('/')),
    since: '6.1.15',
    takesEffect: 'in a flasher',
    otherwise: "the board's own list",
    example: 'nvme0n1 sda',
  },
  'installer.whitelist_pcr2': {
    meaning: 'How the installer treats register 2 of the TPM.',
    shape: switchShape,
    since: '6.5.0',
    takesEffect: 'in a flasher',
    example: true,
  },
  apiEndpoint: {
    meaning: 'API of the cloud that manages the device.',
    shape: url,
    takesEffect: 'at once',
    restarts: ['os-config'],
    otherwise: 'the device is unmanaged',
    example: 'https://api.balena-cloud.com',
  },
  applicationId: {
    meaning: 'Fleet to register in.',
    shape: identifier,
    takesEffect: 'after a restart',
    example: 1234567,
  },
  uuid: {
    meaning: 'Identity of the device.',
    shape: text('32 (or 62) lower-case hexadecimal digits', uuidPattern),
    takesEffect: 'after a restart',
    otherwise: 'made at the first start',
    example: '0123456789abcdef0123456789abcdef',
  },
  deviceId: {
    meaning: 'Number of a registered device.',
    shape: identifier,
    takesEffect: 'after a restart',
    otherwise: 'set when the device registers',
    example: 7654321,
  },
  registered_at: {
    meaning: 'When the device was registered, in seconds.',
    shape: wholeNumber('a moment in seconds'),
    takesEffect: 'after a restart',
    otherwise: 'set when the device registers',
    example: 1_767_225_600,
  },
  apiKey: {
    meaning: 'Key that registers the device; the device removes it then.',
    shape: plainText,
    isSecret: true,
    takesEffect: 'at once',
    restarts: ['prepare-openvpn'],
  },
  deviceApiKey: {
    meaning: "The device's own key.",
    shape: plainText,
    isSecret: true,
    takesEffect: 'after a restart',
    otherwise: 'made when the device registers',
  },
  deviceApiKeys: {
    meaning: "The device's keys by API host.",
    shape: mapOf(plainText),
    isSecret: true,
    takesEffect: 'after a restart',
    otherwise: 'none',
  },
  registryEndpoint: { meaning: 'Registry of the cloud.', ...endpoint, example: 'registry2.balena-cloud.com' },
  deltaEndpoint: { meaning: 'Delta server of the cloud.', ...endpoint, example: 'https://delta.balena-cloud.com' },
  vpnEndpoint: { meaning: 'VPN of the cloud.', ...endpoint, example: 'cloudlink.balena-cloud.com' },
  logsEndpoint: { meaning: 'Log server of the cloud.', ...endpoint, example: 'https://logs.balena-cloud.com' },
  vpnPort: {
    meaning: 'Port of the VPN.',
    shape: portShape,
    takesEffect: 'after a restart',
    default: 443,
    example: 443,
  },
  listenPort: {
    meaning: "Port of the Supervisor's API.",
    shape: portShape,
    takesEffect: 'at once',
    restarts: ['balena-supervisor'],
    default: 48_484,
    example: 48_484,
  },
  appUpdatePollInterval: {
    meaning: 'Time between two questions for updates, in milliseconds.',
    shape: milliseconds(60_000),
    takesEffect: 'when the Supervisor restarts',
    default: 900_000,
    example: 900_000,
  },
  apiTimeout: {
    meaning: 'How long the Supervisor waits for the API, in milliseconds.',
    shape: milliseconds(),
    takesEffect: 'when the Supervisor restarts',
    default: 900_000,
    example: 900_000,
  },
  bootstrapRetryDelay: {
    meaning: 'Time between two tries to register, in milliseconds.',
    shape: milliseconds(),
    takesEffect: 'when the Supervisor restarts',
    default: 30_000,
    example: 30_000,
  },
  initialDeviceName: {
    meaning: 'Name to register the device with.',
    shape: plainText,
    takesEffect: 'after a restart',
    otherwise: 'a name that the cloud makes up',
    example: 'Kiosk 7',
  },
  applicationName: { meaning: 'Name of the fleet.', shape: plainText, ...legacy },
  userId: { meaning: 'Owner of the fleet.', shape: wholeNumber('a number'), ...legacy },
  username: { meaning: 'Owner of the fleet.', shape: plainText, ...legacy },
  version: { meaning: 'OS version that the configuration was made for.', shape: plainText, ...legacy },
  mixpanelToken: { meaning: 'Analytics of the cloud.', shape: plainText, isSecret: true, ...legacy },
  pubnubSubscribeKey: { meaning: 'Logs of old clouds.', shape: plainText, isSecret: true, ...legacy },
  pubnubPublishKey: { meaning: 'Logs of old clouds.', shape: plainText, isSecret: true, ...legacy },
  wifiSsid: { meaning: 'Wi-Fi of OS 1.x.', shape: plainText, ...legacy },
  wifiKey: { meaning: 'Wi-Fi of OS 1.x.', shape: plainText, isSecret: true, ...legacy },
  network: { meaning: 'Network of OS 1.x.', shape: anything, ...legacy },
  files: { meaning: 'Network files of OS 1.x.', shape: anything, isSecret: true, ...legacy },
  connectivity: { meaning: 'Network of OS 1.x.', shape: anything, ...legacy },
};
