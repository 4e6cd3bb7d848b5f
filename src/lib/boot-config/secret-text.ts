import { hidden, isSecretConnectionValue, secretNames } from './secret-names.js';

// Hiding too much does no harm: these rules hide to the end of a line wherever something is called like a secret.
const assignment = new RegExp(
  `^(.*?(?<!ssh_?|public[-_]?)(?:${secretNames}|pin|authorization|cookie)\\d*["'}\\])]*[ \\t]*(?::=|[:=]+)[ \\t]*)(.*)$`,
  'i',
);
/** `password s3cret` in a .netrc, `--token s3cret` on a command line. */
const argument = /((?:^|[\s"'(-])[\w-]*(?:pass(?:words?|phrases?|wds?)|psks?|secrets?|tokens?))([ \t]+)\S+/gi;
const anywhere: readonly (readonly [RegExp, string])[] = [
  // Name and password of a URL; a token can stand there without a name.
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"'<>]+@/gi, `$1${hidden}@`],
  [/\b(bearer|basic)[ \t]+[\w.~+/=-]{6,}/gi, `$1 ${hidden}`],
  // Name and password for curl and wget, and the one of sshpass.
  [/((?:^|\s)(?:-u|--user|--proxy-user)(?:[ \t]+|=))\S+/g, `$1${hidden}`],
  [/(\bsshpass[ \t]+-p[ \t]*)\S+/g, `$1${hidden}`],
  // Password hashes of crypt(5), JSON web tokens, and tokens of GitHub.
  [/\$[0-9a-z]{1,8}\$[\w./$=,-]{8,}/gi, hidden],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, hidden],
  [/\bgh[pousr]_\w{8,}|\bgithub_pat_\w+/g, hidden],
];

/** A text of any number of lines in which no secret can be read. */
export function textWithoutSecrets(text: string): string {
  return linesWithoutSecrets(text.split('\n')).join('\n');
}

/** Hides what is a secret wherever it stands: passwords in URLs, tokens, private keys. */
function valueWithoutSecrets(value: string): string {
  if (value.includes('PRIVATE KEY-----')) return hidden;
  return anywhere.reduce((text, [pattern, instead]) => text.replaceAll(pattern, instead), value);
}

/** The lines of a text in which no secret can be read, as many as there were: what is called like a secret is hidden, and what looks like one. */
export function linesWithoutSecrets(lines: readonly string[]): string[] {
  let isKey = false;
  /** Indentation of a secret whose value stands on the lines below it, as in YAML and JSON. */
  let below: number | undefined;
  return lines.map((line) => {
    if (line.includes('PRIVATE KEY-----')) {
      isKey = line.includes('-----BEGIN ') && !line.includes('-----END ');
      // Somebody put it on one line, perhaps with other things.
      return /^\s*-----(BEGIN|END) [A-Z0-9 ]*PRIVATE KEY-----\s*$/.test(line) ? line : hidden;
    }
    if (isKey) return hidden;
    if (line.trim() !== '' && below !== undefined && indentOf(line) > below) return hidden;
    below = undefined;
    const [, name, value = ''] = assignment.exec(line) ?? [];
    if (name === undefined) return valueWithoutSecrets(line.replaceAll(argument, `$1$2${hidden}`));
    if (/^([[{(|>"'\\][+-]?\d*)?$/.test(value.trim())) below = indentOf(line);
    return value.trim() === '' ? valueWithoutSecrets(line) : valueWithoutSecrets(name) + hidden;
  });
}

/** The same for the key file of a connection, whose secrets are known by section and key. */
export function connectionLinesWithoutSecrets(lines: readonly string[]): string[] {
  let section = '';
  return lines.map((line) => {
    section = /^\s*\[([^[\]]+)\]/.exec(line)?.[1] ?? section;
    const [, key, value] = /^(\s*[^=#[\s][^=]*=\s*)(.*)$/.exec(line) ?? [];
    // A comment may well be a setting that was switched off.
    if (key === undefined || value === undefined) return linesWithoutSecrets([line])[0] ?? '';
    return isSecretConnectionValue(section, key.replace(/\s*=\s*$/, '').trim(), value)
      ? key + hidden
      : key + valueWithoutSecrets(value);
  });
}

function indentOf(line: string): number {
  return /^\s*/.exec(line)?.[0].length ?? 0;
}
