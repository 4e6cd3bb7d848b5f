import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { Flags } from '@oclif/core';
import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { readConfigFile } from '../boot-config/config-file.js';
import { dnsServersText } from '../boot-config/config-values.js';
import { readConnectionFile } from '../boot-config/connection-file.js';
import { readSshPublicKeys } from '../boot-config/ssh-public-key.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { askSecret } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { environmentVariable } from '../platform/environment.js';

const helpGroup = 'CONFIGURATION';

/** The flags that say what goes into the boot partition, for every command that configures. None of them takes a secret. */
export const bootConfigurationFlags = {
  profile: Flags.string({
    char: 'p',
    summary: 'YAML file with the configuration; flags and their environment variables override it.',
    helpValue: '<file>',
    env: 'DAVIT_PROFILE',
    helpGroup,
  }),
  dev: Flags.boolean({
    summary: 'Switch development mode on (or off, with --no-dev): open engine port, root login.',
    allowNo: true,
    env: 'DAVIT_DEV',
    helpGroup,
  }),
  hostname: Flags.string({
    summary: 'Name of the device on the network.',
    helpValue: '<name>',
    env: 'DAVIT_HOSTNAME',
    helpGroup,
  }),
  'ssh-key': Flags.string({
    summary: 'Public key that may log in as root: a file or the key itself. Can be repeated.',
    helpValue: '<file|key>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup,
  }),
  'wifi-ssid': Flags.string({
    summary: 'Wi-Fi network to join; its key comes from --wifi-key-file or DAVIT_WIFI_KEY, or is asked for.',
    helpValue: '<name>',
    env: 'DAVIT_WIFI_SSID',
    helpGroup,
  }),
  'wifi-key-file': Flags.string({
    summary: 'File with the Wi-Fi key, or - for standard input.',
    helpValue: '<file|->',
    dependsOn: ['wifi-ssid'],
    helpGroup,
  }),
  'wifi-open': Flags.boolean({
    summary: 'The Wi-Fi network has no key.',
    dependsOn: ['wifi-ssid'],
    exclusive: ['wifi-key-file'],
    helpGroup,
  }),
  'wifi-hidden': Flags.boolean({
    summary: 'The Wi-Fi network does not announce its name.',
    dependsOn: ['wifi-ssid'],
    helpGroup,
  }),
  network: Flags.string({
    summary: 'NetworkManager connection file to put in. Can be repeated.',
    helpValue: '<file>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup,
  }),
  config: Flags.string({
    summary: 'JSON file laid over config.json: objects are merged, null removes a key. Other flags override it.',
    helpValue: '<file>',
    helpGroup,
  }),
  'persistent-logging': Flags.boolean({
    summary: 'Keep logs over reboots (or not, with --no-persistent-logging).',
    allowNo: true,
    env: 'DAVIT_PERSISTENT_LOGGING',
    helpGroup,
  }),
  dns: Flags.string({
    summary: 'DNS servers, separated by spaces or commas; none leaves out 8.8.8.8 too.',
    helpValue: '<addresses>',
    env: 'DAVIT_DNS',
    helpGroup,
  }),
  ntp: Flags.string({
    summary: 'Time servers, separated by spaces or commas.',
    helpValue: '<names>',
    env: 'DAVIT_NTP',
    helpGroup,
  }),
  country: Flags.string({
    summary: 'Country code for Wi-Fi rules, such as DE.',
    helpValue: '<code>',
    env: 'DAVIT_COUNTRY',
    helpGroup,
  }),
};

/** The values of `bootConfigurationFlags` after parsing. */
export interface BootConfigurationFlagValues {
  readonly profile: string | undefined;
  readonly dev: boolean | undefined;
  readonly hostname: string | undefined;
  readonly 'ssh-key': readonly string[] | undefined;
  readonly 'wifi-ssid': string | undefined;
  readonly 'wifi-key-file': string | undefined;
  readonly 'wifi-open': boolean;
  readonly 'wifi-hidden': boolean;
  readonly network: readonly string[] | undefined;
  readonly config: string | undefined;
  readonly 'persistent-logging': boolean | undefined;
  readonly dns: string | undefined;
  readonly ntp: string | undefined;
  readonly country: string | undefined;
}

/** What turning the flags into a request needs of the command. */
export interface RequestContext {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  /** Whether something else, such as the image, comes from standard input. */
  readonly standardInputIsTaken?: boolean;
}

/** Turns the flags into a request: reads the files they name, and gets the Wi-Fi key without it ever being on a command line. */
export async function readBootConfigurationRequest(
  flags: BootConfigurationFlagValues,
  context: RequestContext,
): Promise<BootConfigurationRequest> {
  const { profile, dev, hostname, config, network, dns, ntp, country } = flags;
  const persistentLogging = flags['persistent-logging'];
  const sshKeys = flags['ssh-key'];
  const ssid = flags['wifi-ssid'];
  // Questions come last, so that nobody answers one in vain.
  const configFile = config === undefined ? {} : await readConfigFile(config);
  const keys = sshKeys && { sshKeys: (await Promise.all(sshKeys.map((key) => readSshPublicKeys(key)))).flat() };
  const files = await Promise.all((network ?? []).map((file) => readConnectionFile(file)));
  const under = profile === undefined ? {} : { under: await readProfileUnder(profile, context) };
  const connections = [...(ssid === undefined ? [] : await wifiConnection(ssid, flags, context)), ...files];
  return {
    ...under,
    ...configFile,
    ...(dev === undefined ? {} : { developmentMode: dev }),
    ...(hostname === undefined ? {} : { hostname }),
    ...keys,
    ...(persistentLogging === undefined ? {} : { persistentLogging }),
    ...(dns === undefined ? {} : { dnsServers: dnsServersText(dns === 'none' ? dns : words(dns)) }),
    ...(ntp === undefined ? {} : { ntpServers: words(ntp).join(' ') }),
    ...(country === undefined ? {} : { country }),
    ...(connections.length === 0 ? {} : { connections }),
  };
}

/** Reads the profile that lies under the flags; it is heavy, so it is loaded where there is one. */
async function readProfileUnder(file: string, { streams, signal }: RequestContext): Promise<BootConfigurationRequest> {
  const { readProfile } = await import('../boot-config/profile.js');
  const insteadOfAsking = 'it by an environment variable or a file: ${NAME} or file: in the profile';
  const prompt = (message: string) => askSecret({ message, insteadOfAsking, signal }, streams);
  return (await readProfile(file, { prompt, signal })).request;
}

/** The file that balena's dashboard and CLI use, so that a later change by either replaces this one instead of adding to it. */
const wifiConnectionName = 'resin-wifi';

async function wifiConnection(ssid: string, flags: BootConfigurationFlagValues, context: RequestContext) {
  const key = await wifiKey(ssid, flags, context);
  const network = {
    type: 'wifi',
    ssid,
    ...(key === undefined ? { security: 'open' as const } : { key }),
    ...(flags['wifi-hidden'] ? { hidden: true } : {}),
  } as const;
  const [{ networkDataShape }, { networkFiles }] = await Promise.all([
    import('../boot-config/network.js'),
    import('../boot-config/network-files.js'),
  ]);
  const [problem] = networkDataShape.problems(network, []);
  if (problem === undefined) return networkFiles(wifiConnectionName, network);
  if (problem.path.at(-1) === 'ssid') {
    throw new Failure('usage', 'invalid-ssid', `--wifi-ssid ${problem.message}`, { hint: 'Check --wifi-ssid' });
  }
  throw new Failure('usage', 'invalid-wifi-key', `the Wi-Fi key ${problem.message}`, {
    hint: 'Check what --wifi-key-file holds; a line end after the key does no harm',
  });
}

async function wifiKey(
  ssid: string,
  flags: BootConfigurationFlagValues,
  { streams, signal, standardInputIsTaken = false }: RequestContext,
): Promise<string | undefined> {
  if (flags['wifi-open']) return undefined;
  const source = flags['wifi-key-file'];
  const fromEnvironment = environmentVariable('DAVIT_WIFI_KEY');
  if (source === undefined && fromEnvironment !== undefined) return fromEnvironment;
  if (source === undefined) {
    const insteadOfAsking =
      '--wifi-key-file <file> (or - for standard input), --wifi-open, or the key in DAVIT_WIFI_KEY';
    return askSecret({ message: `Key of the Wi-Fi network ${ssid}`, insteadOfAsking, signal }, streams);
  }
  if (source === '-' && standardInputIsTaken) {
    throw new Failure(
      'usage',
      'standard-input-twice',
      'the image and the Wi-Fi key cannot both come from standard input',
      {
        hint: 'Give the key with --wifi-key-file <file>',
      },
    );
  }
  const content =
    source === '-'
      ? await pipeline(streams.stdin, (stream) => text(stream), { signal })
      : await readKeyFile(source, signal);
  const key = content.replace(/\r?\n$/, '');
  if (key !== '') return key;
  const from = source === '-' ? 'standard input' : source;
  throw new Failure('usage', 'invalid-wifi-key', `there is no Wi-Fi key in ${from}`, {
    hint: 'Use --wifi-open for a network without a key',
  });
}

async function readKeyFile(file: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(file, { encoding: 'utf8', signal });
  } catch (error) {
    throw whileDoing(`reading the Wi-Fi key file ${file}`, error);
  }
}

function words(list: string): string[] {
  return list.split(/[\s,]+/).filter(Boolean);
}
