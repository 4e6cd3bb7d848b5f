import type { BootPartition } from './boot-partition.js';
import { connectionType, isNameIgnored, whyNameIgnored } from './connection-file.js';
import { findConnection, readConnectionFolder, type StoredConnection, storedConnections } from './connection-folder.js';
import { connectionText } from './connection-text.js';
import { connectionWarnings } from './connection-warnings.js';
import { type Keyfile, keyfileText, unescapeKeyfileValue } from './keyfile.js';
import type { Network } from './network.js';
import { networkOfKeyfile } from './network-of-keyfile.js';
import type { OsFacts } from './os-facts.js';
import { isSecretKey } from './secret-names.js';
import { connectionWithoutSecrets } from './secrets.js';
import type { JsonObject } from '../platform/json.js';

/** A network of an image in a few words. */
export interface ListedNetwork {
  readonly name: string;
  /** As a profile calls it, else NetworkManager's word; null for a file that says none. */
  readonly type: string | null;
  /** What it does: SSID, addresses, access point name. */
  readonly description: string;
  /** Why NetworkManager passes over it; null when it does not. */
  readonly ignoredBecause: string | null;
  /** Its files in `system-connections`: its own, those of its ports, and certificates. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

/** A network of an image as data, with its secrets hidden. */
export interface ShownNetwork extends ListedNetwork {
  /** What it can be called in a profile: its name without what a name there cannot have. */
  readonly profileName: string;
  /** As a profile has it, with a question in place of each secret; null where a profile has no words for it. */
  readonly network: JsonObject | null;
  /** What the network leaves unsaid, as NetworkManager has it, by section. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Its key file, and those of its ports, by name. */
  readonly keyfiles: Readonly<Record<string, string>>;
}

/** Lists the networks of a boot partition, in the order of their names; ports belong to their bridge or bond. */
export async function listNetworks(boot: BootPartition, os: OsFacts): Promise<ListedNetwork[]> {
  const all = await readAll(boot);
  const heads = all.stored.filter(({ portOf }) => portOf === undefined);
  const networks = await Promise.all(heads.map(async (one) => listed(one, await dataOf(one, all), all, os)));
  return [...networks, ...all.others.map(unreadable)].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Shows one network of a boot partition; fails with `network-not-found`. */
export async function showNetwork(boot: BootPartition, os: OsFacts, name: string): Promise<ShownNetwork> {
  const all = await readAll(boot);
  const found = findConnection(all.stored, name);
  const data = await dataOf(found, all);
  const keyfiles = [found, ...portsOf(found, all)].map((one) => [one.name, shownText(one.keyfile)] as const);
  return {
    ...listed(found, data, all, os),
    profileName: found.name
      .replace(/\.nmconnection$/, '')
      .replaceAll(/[^A-Za-z0-9_ -]/g, '-')
      .slice(0, 40),
    network: data.network === undefined ? null : withQuestions(data.network, found.name),
    settings: connectionWithoutSecrets(data.settings),
    keyfiles: Object.fromEntries(keyfiles),
  };
}

interface AllNetworks {
  readonly stored: readonly StoredConnection[];
  /** Names of files that NetworkManager would try to read as connections, and fail. */
  readonly others: readonly string[];
  readonly fileBeside: (name: string) => Buffer | undefined;
}

async function readAll(boot: BootPartition): Promise<AllNetworks> {
  const folder = await readConnectionFolder(boot);
  const stored = storedConnections(folder);
  const isStored = (name: string) => stored.some((one) => one.name === name);
  return {
    stored,
    others: folder.map(({ name }) => name).filter((name) => !isStored(name) && !isNameIgnored(name)),
    fileBeside: (name) => folder.find((file) => file.name.toLowerCase() === name.toLowerCase())?.content,
  };
}

function portsOf({ name }: StoredConnection, { stored }: AllNetworks): StoredConnection[] {
  return stored.filter((one) => one.portOf === name);
}

function dataOf(one: StoredConnection, all: AllNetworks) {
  const ports = portsOf(one, all).map(({ keyfile }) => keyfile);
  return networkOfKeyfile(one.keyfile, { name: one.name, ports, fileBeside: all.fileBeside });
}

function listed(
  one: StoredConnection,
  { network }: { readonly network: Network | undefined },
  all: AllNetworks,
  os: OsFacts,
): ListedNetwork {
  const { name, keyfile, certificates } = one;
  const ports = portsOf(one, all);
  return {
    name,
    type: network?.type ?? connectionType(keyfile) ?? null,
    description: connectionText(keyfile, network),
    ignoredBecause: whyNameIgnored(name) ?? null,
    files: [name, ...ports.map((port) => port.name), ...certificates],
    warnings: isNameIgnored(name)
      ? []
      : [one, ...ports].flatMap((file) => connectionWarnings(file, { os, fileBeside: all.fileBeside })),
  };
}

function unreadable(name: string): ListedNetwork {
  const description = 'not a NetworkManager key file';
  const warning = `system-connections/${name} is ${description}: it makes no network`;
  return { name, type: null, description, ignoredBecause: null, files: [name], warnings: [warning] };
}

/** A key file without comments and secrets, which comments may be too. */
function shownText(keyfile: Keyfile): string {
  const sections = Object.entries(connectionWithoutSecrets(keyfile)).map(([section, keys]) => {
    const values = Object.entries(keys).map(([key, value]) => [key, unescapeKeyfileValue(value)] as const);
    return [section, Object.fromEntries(values)] as const;
  });
  return keyfileText(Object.fromEntries(sections));
}

const questions: Readonly<Record<string, string>> = {
  key: 'Key',
  password: 'Password',
  pin: 'PIN',
  privateKey: 'Private key',
  presharedKey: 'Preshared key',
  privateKeyPassword: 'Password of the private key',
};

/** A network in which each secret is a question, so that it can be used as it is and asks for them. */
function withQuestions(network: object, name: string): JsonObject {
  const shown = (key: string, value: unknown): JsonObject[string] => {
    if (isSecretKey(key)) return { prompt: `${questions[key] ?? key} of ${name}` };
    if (Array.isArray(value)) return value.map((item: unknown) => shown(key, item));
    if (typeof value === 'object' && value !== null) return withQuestions(value, name);
    // In a profile ${ begins a variable.
    if (typeof value === 'string') return value.replaceAll('${', () => '$${');
    return typeof value === 'number' || typeof value === 'boolean' ? value : null;
  };
  return Object.fromEntries(Object.entries(network).map(([key, value]) => [key, shown(key, value)]));
}
