import { Failure } from '../failure/failure.js';
import { nearestName } from '../platform/nearest-name.js';
import type { BootPartition } from './boot-partition.js';
import { type ConnectionFile, connectionValue, isNameIgnored } from './connection-file.js';
import { type Keyfile, parseKeyfile, unescapeKeyfileValue } from './keyfile.js';

/** The folder of the boot partition whose files a device copies to NetworkManager. */
export const connectionFolder = 'system-connections';

/** A file of `system-connections` that is a key file, with what belongs to it. */
export interface StoredConnection {
  readonly name: string;
  readonly content: Buffer;
  readonly keyfile: Keyfile;
  /** Names of the certificates and keys of the folder that it uses. */
  readonly certificates: readonly string[];
  /** The connection that it is a port of. */
  readonly portOf: string | undefined;
}

/** What is in `system-connections`, in the order of names. */
export async function readConnectionFolder(boot: BootPartition): Promise<ConnectionFile[]> {
  const files: ConnectionFile[] = [];
  for (const { name, isFolder } of (await boot.files.list(connectionFolder)) ?? []) {
    const content = isFolder ? undefined : await boot.files.read(`${connectionFolder}/${name}`);
    if (content !== undefined) files.push({ name, content });
  }
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The key files among the files of the folder; what is none, such as a certificate or a text for people, is passed over. */
export function storedConnections(folder: readonly ConnectionFile[]): StoredConnection[] {
  const parsed = folder.flatMap((file) => {
    const keyfile = keyfileOrNone(file);
    return keyfile?.has('connection') === true ? [{ ...file, keyfile }] : [];
  });
  return parsed.map(({ name, content, keyfile }) => ({
    name,
    content,
    keyfile,
    certificates: certificatesOf(keyfile, folder),
    portOf: parsed.find((one) => one.name !== name && isPortOf(keyfile, one.keyfile))?.name,
  }));
}

/**
 * The files that go when connections are removed, or when others take their place: with each its ports, and certificates that no
 * connection uses that stays or is written. Fails with `network-not-found`.
 */
export function leftoverConnections(
  folder: readonly ConnectionFile[],
  { removed, written }: { readonly removed: readonly string[]; readonly written: readonly ConnectionFile[] },
): string[] {
  const stored = storedConnections(folder);
  const isWritten = ({ name }: { readonly name: string }) => written.some((file) => isSameName(file.name, name));
  const replaced = stored.filter(isWritten);
  const heads = [...removed.map((name) => findConnection(stored, name)), ...replaced].map(({ name }) => name);
  const isHead = (name = '') => heads.includes(name);
  const going = stored.filter((one) => !isWritten(one) && (isHead(one.name) || isHead(one.portOf)));
  const staying = folder.filter((file) => !isWritten(file) && !going.some(({ name }) => name === file.name));
  const used = new Set(storedConnections([...staying, ...written]).flatMap((one) => one.certificates));
  const certificates = new Set([...going, ...replaced].flatMap((one) => one.certificates));
  return [...going.map(({ name }) => name), ...certificates].filter((name) => !used.has(name) && !isWritten({ name }));
}

/** A connection by its name, whatever its case; fails with `network-not-found`, naming one that is like it. */
export function findConnection(stored: readonly StoredConnection[], name: string): StoredConnection {
  const found = stored.find((one) => isSameName(one.name, name));
  if (found !== undefined) return found;
  const names = stored.filter((one) => one.portOf === undefined && !isNameIgnored(one.name)).map((one) => one.name);
  const near = nearestName(name, names);
  const known = names.length === 0 ? 'It has none' : `It has ${names.join(', ')}`;
  throw new Failure('not-found', 'network-not-found', `there is no network named ${name} in it`, {
    hint: near === undefined ? known : `Did you mean ${near}? ${known}`,
  });
}

/** Fails with `network-exists` for a connection that would take the place of one that is there. */
export function requireNewConnections(folder: readonly ConnectionFile[], written: readonly ConnectionFile[]): void {
  const existing = written.find(({ name }) => folder.some((file) => isSameName(file.name, name)));
  if (existing === undefined) return;
  throw new Failure('refused', 'network-exists', `it has a network named ${existing.name} already`, {
    hint: 'Use --force to put this one in its place, or give another name',
  });
}

function isSameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function keyfileOrNone({ name, content }: ConnectionFile): Keyfile | undefined {
  try {
    return parseKeyfile(String(content), name);
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** Files of the folder that are named by their paths, on whichever of the two places where a device has them. */
function certificatesOf(keyfile: Keyfile, folder: readonly ConnectionFile[]): string[] {
  const values = [...keyfile.values()].flatMap((keys) => [...keys.values()]);
  const named = values.flatMap((value) => {
    const name = /^(?:file:\/\/)?\/.*\/system-connections\/([^/]+)$/.exec(unescapeKeyfileValue(value))?.[1];
    return name === undefined ? [] : folder.filter((file) => isSameName(file.name, name)).map((file) => file.name);
  });
  return [...new Set(named)];
}

/** NetworkManager takes the UUID, the name or the interface of the other connection; since 1.46 it also calls a master a controller. */
function isPortOf(port: Keyfile, other: Keyfile): boolean {
  const master = connectionValue(port, 'connection', 'controller') ?? connectionValue(port, 'connection', 'master');
  const names = ['uuid', 'id', 'interface-name'].map((key) => connectionValue(other, 'connection', key));
  return master !== undefined && names.includes(master);
}
