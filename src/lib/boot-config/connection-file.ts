import { readFile as readFileOfSystem } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { requireFatName } from '../image/fat-name.js';
import { type Keyfile, parseKeyfile, unescapeKeyfileValue } from './keyfile.js';
import { isWifiKey } from './wifi-values.js';

/** A NetworkManager connection, or a certificate that one needs, for the boot partition's `system-connections`. */
export interface ConnectionFile {
  readonly name: string;
  readonly content: Buffer;
  /** The connection without which this one has no use: that of a bridge for a port, that which a certificate is for. */
  readonly partOf?: string;
}

/** The long names of sections and their short ones; NetworkManager takes either. */
const aliases: Readonly<Record<string, string>> = {
  '802-3-ethernet': 'ethernet',
  '802-11-wireless': 'wifi',
  '802-11-wireless-security': 'wifi-security',
};

/**
 * Reads a connection file of the user's and checks that NetworkManager will take it; its bytes stay as they are.
 *
 * @param readFile reads the file by its path
 */
export async function readConnectionFile(
  file: string,
  readFile: (path: string) => Promise<Buffer> = readKeyFile,
): Promise<ConnectionFile> {
  const name = path.basename(file);
  requireReadName(name);
  requireFatName(name);
  return connectionFile(name, await readFile(file), file);
}

/** The same for a file that was read already and is to have another name. */
export function connectionFile(name: string, content: Buffer, file: string): ConnectionFile {
  requireReadName(name);
  requireFatName(name);
  checkConnection(parseKeyfile(decode(content, file), file), file);
  return { name, content };
}

/** Whether a text looks like a key file, and not like YAML: the first line that says something is a section. */
export function looksLikeKeyfile(content: Buffer): boolean {
  return /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*[ \t]*\[[^[\]\n]+\][ \t]*\r?(?:\n|$)/.test(content.toString('latin1'));
}

async function readKeyFile(file: string): Promise<Buffer> {
  try {
    return await readFileOfSystem(file);
  } catch (error) {
    throw whileDoing(`reading the connection file ${file}`, error);
  }
}

/** Why NetworkManager passes over a file of this name without a word, or undefined where it does not (`nm_keyfile_utils_ignore_filename`). */
export function whyNameIgnored(name: string): string | undefined {
  if (name.startsWith('.')) return 'its name begins with a dot';
  const end = /(~|\.swpx?|\.pem|\.der)$/.exec(name)?.[0];
  if (end !== undefined) return `its name ends in ${end}`;
  return /\.[A-Za-z0-9]{6}$/.test(name) ? 'its name ends in a dot and six letters or digits' : undefined;
}

/** Whether NetworkManager passes over a file of this name without a word. */
export function isNameIgnored(name: string): boolean {
  return whyNameIgnored(name) !== undefined;
}

/** A key's value, still escaped, in a section that may be spelled long or short. */
export function connectionValue(keyfile: Keyfile, section: string, key: string): string | undefined {
  for (const [name, keys] of keyfile) {
    const value = keys.get(key);
    if ((aliases[name] ?? name) === section && value !== undefined) return value;
  }
  return undefined;
}

/** The sections of a key file by their short names. */
export function connectionSections(keyfile: Keyfile): Keyfile {
  const sections = new Map<string, Map<string, string>>();
  for (const [name, keys] of keyfile) {
    const short = aliases[name] ?? name;
    sections.set(short, new Map([...(sections.get(short) ?? []), ...keys]));
  }
  return sections;
}

/** The type of a connection by its short name: `wifi`, `ethernet`, `gsm`. */
export function connectionType(keyfile: Keyfile): string | undefined {
  const type = connectionValue(keyfile, 'connection', 'type');
  return type && (aliases[type] ?? type);
}

function requireReadName(name: string): void {
  if (!isNameIgnored(name)) return;
  const stem = name.replace(/^\.+/, '').replace(/(~|\.[^.]*)$/, '') || 'connection';
  throw new Failure('refused', 'ignored-file-name', `NetworkManager silently ignores a file named ${name}`, {
    hint: `Rename it, for example to ${stem}.nmconnection`,
  });
}

function decode(bytes: Buffer, file: string): string {
  try {
    // A byte-order mark is no comment and no section to GLib; it must not be overlooked here.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new Failure('usage', 'invalid-keyfile', `${file} is not UTF-8 text`, {
      hint: 'Give a NetworkManager key file',
      cause: error,
    });
  }
}

function checkConnection(keyfile: Keyfile, file: string): void {
  const bad = (why: string, hint: string) => new Failure('usage', 'invalid-keyfile', `${file} ${why}`, { hint });
  if (!keyfile.has('connection')) {
    throw bad('has no [connection] section', 'NetworkManager needs [connection] with id= and type=');
  }
  if (connectionValue(keyfile, 'connection', 'type') === undefined) {
    throw bad('has no type in [connection]', 'Add, for example, type=wifi or type=ethernet');
  }
  const psk = connectionValue(keyfile, 'wifi-security', 'psk');
  const isPersonal = connectionValue(keyfile, 'wifi-security', 'key-mgmt') === 'wpa-psk';
  if (isPersonal && psk !== undefined && !isWifiKey(unescapeKeyfileValue(psk))) {
    throw bad(
      'has a psk that NetworkManager refuses',
      'A psk has 8 to 63 printable ASCII characters or 64 hexadecimal digits',
    );
  }
}
