import { createHash, createHmac } from 'node:crypto';

/** A public host key. */
export interface HostKey {
  /** The SSH name of the key's type: `ssh-ed25519`. */
  readonly type: string;
  /** The public key in SSH wire format, base64. */
  readonly key: string;
}

/** A line of a known-hosts file that says something about a key (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
export interface KnownHost {
  readonly marker: 'revoked' | 'cert-authority' | undefined;
  /** Host names with wildcards and negations, or one hashed name. */
  readonly patterns: readonly string[];
  readonly hostKey: HostKey;
  /** Counted from 1. */
  readonly line: number;
}

/** What a known-hosts file says. Like OpenSSH, passes over lines that it cannot understand. */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split('\n').flatMap((line, index) => parseKnownHost(line, index + 1) ?? []);
}

/** What one line says; undefined when that is nothing. */
export function parseKnownHost(text: string, line: number): KnownHost | undefined {
  const words = text.trim().split(/\s+/);
  const marker = words[0]?.startsWith('@') === true ? words.shift()?.slice(1) : undefined;
  if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') return undefined;
  const [hosts = '', type, key] = words;
  if (hosts.startsWith('#') || type === undefined || key === undefined) return undefined;
  const bytes = Buffer.from(key, 'base64');
  // The key says itself what it is; a line that says otherwise is damaged, as is one that has lost its end.
  if (!isWhole(bytes) || keyType(bytes) !== type) return undefined;
  return { marker, patterns: hosts.split(','), hostKey: hostKeyOf(bytes), line };
}

/** Whether a line is about a host; `name` is as OpenSSH writes it, `[name]:port` where the port is not 22. */
export function isAbout({ patterns }: KnownHost, name: string): boolean {
  const wanted = name.toLowerCase();
  const matching = patterns.filter((pattern) => matches(pattern.replace(/^!/, ''), wanted));
  return matching.length > 0 && matching.every((pattern) => !pattern.startsWith('!'));
}

function matches(pattern: string, name: string): boolean {
  const hashed = /^\|1\|([^|]+)\|([^|]+)$/.exec(pattern);
  if (hashed !== null) {
    const [, salt = '', hash = ''] = hashed;
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  return matchesWildcards(pattern.toLowerCase(), name);
}

/** As match_pattern() of OpenSSH has it; a regular expression could be made to take for ever. */
function matchesWildcards(pattern: string, name: string): boolean {
  let [at, star, retryFrom] = [0, -1, 0];
  for (let index = 0; index < name.length;) {
    if (pattern[at] === '*') {
      star = at++;
      retryFrom = index;
    } else if (pattern[at] === '?' || pattern[at] === name[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++retryFrom;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}

/** Whether bytes are a sequence of at least two strings of SSH, each after its length. */
function isWhole(bytes: Buffer): boolean {
  let at = 0;
  let strings = 0;
  for (; at + 4 <= bytes.length; strings++) at += 4 + bytes.readUInt32BE(at);
  return at === bytes.length && strings >= 2;
}

/** A public key in SSH wire format (RFC 4253 6.6). */
export function hostKeyOf(bytes: Buffer): HostKey {
  return { type: keyType(bytes), key: bytes.toString('base64') };
}

function keyType(bytes: Buffer): string {
  return bytes.toString('latin1', 4, 4 + bytes.readUInt32BE(0));
}

export function isSameKey(one: HostKey, other: HostKey): boolean {
  return one.type === other.type && one.key === other.key;
}

/** The fingerprint as OpenSSH prints it. */
export function fingerprint({ key }: HostKey): string {
  const digest = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}
