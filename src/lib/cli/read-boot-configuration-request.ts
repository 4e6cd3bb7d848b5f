import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { readConfigFile } from '../boot-config/config-file.js';
import { dnsServersText } from '../boot-config/config-values.js';
import { readConnectionFile } from '../boot-config/connection-file.js';
import type { ReadProfile } from '../boot-config/profile.js';
import { KeyFetcher } from '../boot-config/key-fetcher.js';
import { readSshPublicKeys } from '../boot-config/ssh-public-key.js';
import { askSecret, requireTerminal } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { readUserFile } from '../platform/read-user-file.js';
import type { BootConfigurationFlagValues } from './boot-configuration-flags.js';
import { readWifi, wifiConnection } from './wifi-from-flags.js';

/** A parsed command line: the values of its flags, and which of them were on it and not in the environment. */
export interface ParsedFlags {
  readonly flags: BootConfigurationFlagValues;
  readonly raw: readonly { readonly type: string; readonly flag?: string }[];
}

/** What turning the flags into a request needs of the command. */
export interface RequestContext {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  /** Whether something else, such as the image, comes from standard input. */
  readonly standardInputIsTaken?: boolean;
  /** Whether the request is only looked at, so that nobody has to be there to answer what it asks. */
  readonly isOnlyToLook?: boolean;
}

/**
 * Turns the flags into a request: reads the files they name, with what the environment says under what the command line says, and the
 * profile under both. Secrets never come from a command line; those that have to be asked for come later, see `BootConfigurationRequest`.
 */
export async function readBootConfigurationRequest(
  { flags, raw }: ParsedFlags,
  context: RequestContext,
): Promise<BootConfigurationRequest> {
  const { streams, signal } = context;
  const given = new Set(raw.flatMap(({ type, flag }) => (type === 'flag' && flag !== undefined ? [flag] : [])));
  const isGiven = (name: string) => given.has(name);
  const read = (what: string, hint: string) => async (file: string) =>
    (await readUserFile(file, { what, hint, signal })).bytes;
  const { config, network = [] } = flags;
  const configFile = config === undefined ? undefined : await readConfigFile(config, signal);
  const sshKeys: string[] = [];
  const keyFetcher = new KeyFetcher(signal);
  const keySources = { readFile: read('the SSH key', keyHint), fetchKeys: keyFetcher.fetch };
  for (const key of flags['ssh-key'] ?? []) sshKeys.push(...(await readSshPublicKeys(key, keySources)));
  const files = await Promise.all(
    network.map((file) => readConnectionFile(file, read('the connection file', 'Check the path'))),
  );
  const profile = flags.profile === undefined ? undefined : await readProfileUnder(flags.profile, context);
  const wifi = await readWifi(flags, context);

  const isWifiGiven = isGiven('wifi-ssid');
  const warnings = [...(configFile?.warnings ?? []), ...keyFetcher.notes, ...(wifi?.key?.warnings ?? [])];
  const assemble = async (under: BootConfigurationRequest | undefined, key: string | undefined) => {
    const connections = wifi === undefined ? [] : await wifiConnection(wifi, key);
    const environment = {
      ...settingsOf(flags, (name) => !isGiven(name)),
      ...(isWifiGiven || connections.length === 0 ? {} : { connections }),
    };
    const own = [...(isWifiGiven ? connections : []), ...files];
    const below = under === undefined ? {} : { under: { ...under, origin: 'profile' as const } };
    const isInEnvironment = Object.keys(environment).length > 0;
    return {
      ...(isInEnvironment ? { under: { ...below, ...environment, origin: 'environment' as const } } : below),
      ...configFile,
      ...settingsOf(flags, isGiven),
      ...(flags['ssh-key'] === undefined ? {} : { sshKeys }),
      ...(own.length === 0 ? {} : { connections: own }),
      ...(warnings.length === 0 ? {} : { warnings }),
    };
  };

  const known = await assemble(profile?.request, wifi?.key?.value);
  const { ask } = profile ?? {};
  if (ask === undefined && wifi?.key?.ask === undefined) return known;
  const later = async () => {
    const insteadOfAsking = insteadOfPrompt;
    const under =
      ask === undefined
        ? profile?.request
        : await ask((message) => askSecret({ message, insteadOfAsking, signal }, streams));
    return assemble(under, await (wifi?.key?.ask?.() ?? wifi?.key?.value));
  };
  return { ...known, later };
}

/** What the flags say that stands for itself, of those that are wanted. */
function settingsOf(
  flags: BootConfigurationFlagValues,
  isIn: (name: string) => boolean,
): Pick<
  BootConfigurationRequest,
  'developmentMode' | 'hostname' | 'persistentLogging' | 'dnsServers' | 'ntpServers' | 'country'
> {
  const value = <N extends keyof BootConfigurationFlagValues>(name: N) => (isIn(name) ? flags[name] : undefined);
  const [developmentMode, hostname, country] = [value('dev'), value('hostname'), value('country')];
  const [persistentLogging, dns, ntp] = [value('persistent-logging'), value('dns'), value('ntp')];
  return {
    ...(developmentMode === undefined ? {} : { developmentMode }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(persistentLogging === undefined ? {} : { persistentLogging }),
    ...(dns === undefined ? {} : { dnsServers: dnsServersText(dns === 'none' ? dns : words(dns)) }),
    ...(ntp === undefined ? {} : { ntpServers: words(ntp).join(' ') }),
    ...(country === undefined ? {} : { country }),
  };
}

const insteadOfPrompt = 'it by an environment variable or a file: ${NAME} or file: in the profile';

/** Reads the profile that lies under the flags; it is heavy, so it is loaded where there is one. Fails where nobody can answer its questions. */
async function readProfileUnder(
  file: string,
  { streams, signal, isOnlyToLook = false }: RequestContext,
): Promise<ReadProfile> {
  const { readProfile } = await import('../boot-config/profile.js');
  const profile = await readProfile(file, { signal });
  const [message] = profile.questions;
  if (message !== undefined && !isOnlyToLook)
    requireTerminal({ message, insteadOfAsking: insteadOfPrompt, signal }, streams);
  return profile;
}

const keyHint = 'Give a public key file such as ~/.ssh/id_ed25519.pub, or its one line in quotes';

function words(list: string): string[] {
  return list.split(/[\s,]+/).filter(Boolean);
}
