import { Failure } from '../failure/failure.js';
import { type KeySource, keySourceIn } from './key-source.js';

const hint = 'Give a public key file such as ~/.ssh/id_ed25519.pub, or its one line in quotes';

/** How many length-prefixed parts a key of each type has after its type (RFC 4253 6.6, RFC 5656, OpenSSH PROTOCOL.u2f). */
const partsByType: Readonly<Record<string, number>> = {
  'ssh-ed25519': 1,
  'ssh-rsa': 2,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
};

/**
 * The type and base64 body of a line as authorized_keys holds it (options, type, key, comment), or undefined when it is no such line:
 * the body must be a whole key of the type that it says.
 */
export function parseSshPublicKey(line: string): { readonly type: string; readonly body: string } | undefined {
  if (/[\r\n\0]/.test(line)) return undefined;
  const words = line.trim().split(/\s+/);
  const at = words.findIndex((word) => word in partsByType);
  const [type, body] = [words[at], words[at + 1]];
  if (type === undefined || body === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(body)) return undefined;
  const parts = lengthPrefixedParts(Buffer.from(body, 'base64'));
  const isWhole = parts?.length === 1 + (partsByType[type] ?? 0) && parts[0]?.toString('latin1') === type;
  return isWhole && parts.every((part) => part.length > 0) ? { type, body } : undefined;
}

/** Where keys come from that do not stand in the word itself. */
export interface KeySources {
  /** Reads a file by the path that the word is. */
  readonly readFile: (path: string) => Promise<Buffer>;
  /** Fetches the keys that a user has published; left out, they are not fetched, and there are none. */
  readonly fetchKeys?: (source: KeySource) => Promise<readonly string[]>;
}

/** The public keys that a word stands for: a key itself, a text with one on each line, a file with such a text, or a user at GitHub or GitLab. */
export async function readSshPublicKeys(word: string, sources: KeySources): Promise<string[]> {
  const source = keySourceIn(word);
  if (source !== undefined) return [...((await sources.fetchKeys?.(source)) ?? [])];
  if (parseSshPublicKey(word) !== undefined) return [word.trim()];
  if (isPrivateKey(word)) throw privateKey('the SSH key', 'Give the public key that belongs to it');
  // No file is called so; and a text that is taken for a path is shown.
  if (/[\r\n]/.test(word)) return publicKeysIn(word, 'the SSH key');
  if (/^(ssh|ecdsa|sk)-\S+\s/.test(word)) {
    throw new Failure('usage', 'invalid-ssh-key', 'the SSH key is cut off or not a public key', {
      hint,
    });
  }
  const text = String(await sources.readFile(word));
  if (isPrivateKey(text)) throw privateKey(word, `Give the public key beside it: --ssh-key ${word}.pub`);
  return publicKeysIn(text, word);
}

function isPrivateKey(text: string): boolean {
  return text.includes('PRIVATE KEY-----');
}

function privateKey(what: string, wayOut: string): Failure {
  const message = `${what} is a private key, which must not leave this computer`;
  return new Failure('refused', 'private-key', message, { hint: wayOut });
}

/** The keys of a text, one on each line; fails for anything else in it, and for none. */
export function publicKeysIn(text: string, what: string): string[] {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const badLine = lines.findIndex((line) => parseSshPublicKey(line) === undefined);
  if (lines.length === 0 || badLine !== -1) {
    const where = lines.length === 0 ? 'holds no key' : `holds something else than a public key (entry ${badLine + 1})`;
    throw new Failure('usage', 'invalid-ssh-key', `${what} ${where}`, { hint });
  }
  return lines;
}

function lengthPrefixedParts(blob: Buffer): Buffer[] | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  while (at < blob.length) {
    if (at + 4 > blob.length) return undefined;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) return undefined;
    parts.push(blob.subarray(at + 4, end));
    at = end;
  }
  return parts;
}
