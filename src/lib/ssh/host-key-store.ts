import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { folders } from '../platform/environment.js';
import { shellWord } from '../platform/shell-word.js';
import { changeSharedFile, readSharedFile } from '../platform/shared-file.js';
import { isUuid } from '../platform/uuid.js';
import { type HostKey, isAbout, isSameKey, type KnownHost, parseKnownHost, parseKnownHosts } from './known-hosts.js';

/** A device whose key is pinned. */
export interface PinnedDevice {
  /** Undefined as long as nobody could ask the device. */
  readonly uuid: string | undefined;
  /** What else it was called when it was met: host names, addresses; `[name]:port` where the port is not 22222. */
  readonly names: readonly string[];
  readonly hostKey: HostKey;
}

/**
 * Pinned host keys, in a known-hosts file of davit's own in OpenSSH's format: a line for each device that lists its UUID, once it is known,
 * and the names under which it was met. Lines of other kinds, such as `@revoked`, are honoured and kept.
 */
export class HostKeyStore {
  readonly file: string;

  constructor(file = hostKeyFile()) {
    this.file = file;
  }

  /** Everything that is known. Fails when a line cannot be understood: it may be the one that would have warned. */
  async entries(): Promise<KnownHost[]> {
    const text = (await this.#read()) ?? '';
    const known = parseKnownHosts(text);
    const understood = new Set(known.map((one) => one.line));
    const damaged = text.split('\n').findIndex((line, at) => !/^\s*(?:#|$)/.test(line) && !understood.has(at + 1)) + 1;
    if (damaged === 0) return known;
    throw new Failure('failed', 'host-key-file-damaged', `line ${damaged} of ${this.file} is not a host key`, {
      hint: `Remove it, and davit pins the key of that device again: sed -i ${damaged}d ${shellWord(this.file)}`,
    });
  }

  /** The keys that one of these names may show; none when no such device has been met. */
  async find(...names: readonly string[]): Promise<HostKey[]> {
    return keysFor(await this.entries(), names);
  }

  /** All devices that were met. */
  async devices(): Promise<PinnedDevice[]> {
    return (await this.entries()).flatMap(({ marker, patterns, hostKey }) =>
      marker === undefined
        ? { uuid: patterns.find(isUuid), names: patterns.filter((one) => !isUuid(one) && !isPattern(one)), hostKey }
        : [],
    );
  }

  /** Pins the first key of a device and returns the keys that are pinned now: another process may have been first. */
  async pinFirst(name: string, shown: HostKey): Promise<readonly HostKey[]> {
    let pinned: readonly HostKey[] = [];
    await this.#change((lines) => {
      pinned = keysFor(lines.flatMap(parsed), [name]);
      if (pinned.length > 0) return undefined;
      pinned = [shown];
      return named(lines, shown, [name]);
    });
    return pinned;
  }

  /** Pins a key in place of whatever was pinned under a name. */
  async replace(name: string, shown: HostKey): Promise<void> {
    await this.#change((lines) => named(without(lines, [name]), shown, [name]));
  }

  /**
   * Puts a key that is pinned under a name under the UUID of its device as well. Returns the key that the UUID has already, if it is another
   * one; that stays pinned unless it may be replaced.
   */
  async identify(uuid: string, shown: HostKey, mayReplace: boolean): Promise<HostKey | undefined> {
    let other: HostKey | undefined;
    await this.#change((lines) => {
      const known = lines.flatMap(parsed).filter((one) => one.marker === undefined && isAbout(one, uuid));
      other = known.find((one) => !isSameKey(one.hostKey, shown))?.hostKey;
      if (other !== undefined && !mayReplace) return undefined;
      if (other === undefined && known.length > 0) return undefined;
      const names = [...new Set([uuid, ...known.flatMap((one) => one.patterns)])];
      return named(without(lines, names), shown, names);
    });
    return mayReplace ? undefined : other;
  }

  /** Puts the key of a device that was given another name under that, in place of what was pinned under it before. */
  async rename(uuid: string | undefined, from: string, to: string): Promise<void> {
    await this.#change((lines) => {
      const all = lines.flatMap(parsed).filter((one) => one.marker === undefined);
      const device =
        all.find((one) => uuid !== undefined && isAbout(one, uuid)) ?? all.find((one) => isAbout(one, from));
      if (device === undefined) return undefined;
      const kept = device.patterns.filter((name) => name !== from && name !== to);
      return named(without(lines, [from, to]), device.hostKey, [...kept, to]);
    });
  }

  /** Forgets a device by any of its names, for when a fresh system is about to make a new key; returns whether it was known. */
  async forget(name: string): Promise<boolean> {
    // Nothing is made where nothing is pinned.
    if ((await this.find(name)).length === 0) return false;
    await this.#change((lines) => {
      return lines.filter((line) => !parsed(line).some((one) => one.marker === undefined && isAbout(one, name)));
    });
    return true;
  }

  async #read(): Promise<string | undefined> {
    try {
      return await readSharedFile(this.file);
    } catch (error) {
      throw whileDoing(`reading the pinned host keys in ${this.file}`, error);
    }
  }

  async #change(change: (lines: readonly string[]) => readonly string[] | undefined): Promise<void> {
    try {
      await changeSharedFile(this.file, (text = '') => {
        const lines = change(text.split('\n').filter((line) => line.trim() !== ''));
        return lines === undefined ? undefined : lines.map((line) => `${line}\n`).join('');
      });
    } catch (error) {
      throw whileDoing(`changing the pinned host keys in ${this.file}`, error);
    }
  }
}

/** Where davit keeps pinned host keys, given its data folder. */
export function hostKeyFile(dataFolder = folders.data()): string {
  return path.join(dataFolder, 'known_hosts');
}

/** Under which name a key is pinned: the host name without `.local`, or the address; with the port where it is not the device's usual one. */
export function pinnedName(name: string, port: number): string {
  const bare = name
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/\.local$/, '')
    // Nothing that has a meaning in the file; host names and addresses have none of these.
    .replace(/[\s,*?!|@#]/g, (one) => `%${one.charCodeAt(0).toString(16)}`);
  return port === 22222 ? bare : `[${bare}]:${port}`;
}

function isPattern(text: string): boolean {
  return /^[!|]|[*?]/.test(text);
}

function keysFor(known: readonly KnownHost[], names: readonly string[]): HostKey[] {
  return known
    .filter((one) => one.marker === undefined && names.some((name) => isAbout(one, name)))
    .map((one) => one.hostKey);
}

function parsed(line: string): KnownHost[] {
  const known = parseKnownHost(line, 0);
  return known === undefined ? [] : [known];
}

/** The lines without these names; a device that has no other is forgotten. */
function without(lines: readonly string[], names: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [known] = parsed(line);
    if (known?.marker !== undefined || known?.patterns.some((one) => names.includes(one)) !== true) return line;
    const kept = known.patterns.filter((one) => !names.includes(one));
    return kept.length === 0 ? [] : lineFor(kept, known.hostKey);
  });
}

/** The lines with these names for a key, on the line that it has already if it has one. */
function named(lines: readonly string[], hostKey: HostKey, names: readonly string[]): string[] {
  const isOf = (line: string) =>
    parsed(line).some(
      (one) => one.marker === undefined && isSameKey(one.hostKey, hostKey) && !one.patterns.some(isPattern),
    );
  const before = lines.filter(isOf).flatMap((line) => parsed(line).flatMap((one) => one.patterns));
  return [...lines.filter((line) => !isOf(line)), lineFor([...new Set([...before, ...names])], hostKey)];
}

function lineFor(names: readonly string[], { type, key }: HostKey): string {
  // The UUID first, for people who look.
  return `${[...names.filter(isUuid), ...names.filter((name) => !isUuid(name))].join(',')} ${type} ${key}`;
}
