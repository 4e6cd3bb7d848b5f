import { Failure } from '../failure/failure.js';

/** A key file as NetworkManager reads it through GLib: sections of keys, values still escaped, both in file order. */
export type Keyfile = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * Parses a key file by GLib's rules: comments start with #, a section in brackets comes before the first key, a section that comes
 * twice is continued, of a key that comes twice the last counts, and only ASCII is white space. The failure names the line but not what stands in it.
 *
 * @param what the file, as the user knows it
 */
export function parseKeyfile(text: string, what: string): Keyfile {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '').replace(/^[ \t\v\f\r]+/, '');
    if (line === '' || line.startsWith('#')) continue;
    const name = /^\[([^[\]]+)\]\s*$/.exec(line)?.[1];
    if (name !== undefined) {
      section = sections.get(name) ?? new Map<string, string>();
      sections.set(name, section);
      continue;
    }
    const equals = line.indexOf('=');
    if (equals < 1 || section === undefined) {
      const why = equals < 1 ? 'is neither a [section] nor key=value' : 'comes before the first [section]';
      throw new Failure(
        'usage',
        'invalid-keyfile',
        `${what} is not a NetworkManager key file: line ${index + 1} ${why}`,
        {
          hint: 'A working one: nmcli connection export, or a file of /etc/NetworkManager/system-connections',
        },
      );
    }
    section.set(
      line.slice(0, equals).replace(/[ \t\v\f\r]+$/, ''),
      line.slice(equals + 1).replace(/^[ \t\v\f\r]+/, ''),
    );
  }
  return sections;
}

/** The keys of a section with their values as they are meant, not yet escaped; those without a value are left out. */
export type KeyfileSection = Readonly<Record<string, string | undefined>>;

/** The sections of a key file that is to be written. */
export type KeyfileSections = Readonly<Record<string, KeyfileSection>>;

/** Writes a key file; a section without keys stays, as it can mean something. */
export function keyfileText(sections: KeyfileSections): string {
  return Object.entries(sections)
    .map(([name, keys]) => {
      const lines = Object.entries(keys).flatMap(([key, value]) =>
        value === undefined ? [] : [`${key}=${escapeKeyfileValue(value)}`],
      );
      return [`[${name}]`, ...lines, ''].join('\n');
    })
    .join('\n');
}

/** Escapes one string value as `g_key_file_set_string` does: white space in front, line ends, and backslashes. */
export function escapeKeyfileValue(value: string): string {
  const leading = /^[ \t]*/.exec(value)?.[0] ?? '';
  return (
    leading.replaceAll(' ', '\\s').replaceAll('\t', '\\t') +
    value.slice(leading.length).replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
  );
}

/** Undoes the escapes of a string value; an escape that GLib does not know stays as it is. */
export function unescapeKeyfileValue(value: string): string {
  return value.replaceAll(/\\([sntr\\])/g, (_, letter: string) => escapes[letter] ?? letter);
}

const escapes: Readonly<Record<string, string>> = { s: ' ', n: '\n', t: '\t', r: '\r', '\\': '\\' };
