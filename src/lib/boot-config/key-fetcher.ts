import { createHash } from 'node:crypto';
import type { KeySource } from './key-source.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** Fetches the keys of users, each user once, and remembers what to tell about them. */
export class KeyFetcher {
  readonly #signal: AbortSignal | undefined;
  readonly #fetched = new Map<string, Promise<string[]>>();
  readonly #notes: string[] = [];

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Who may log in because of it, by fingerprints, for people to compare. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  /** All keys that a user has published, as lines of authorized_keys; fails rather than give fewer. */
  readonly fetch = (source: KeySource): Promise<string[]> => {
    const word = `${source.service}:${source.user}`;
    const keys = this.#fetched.get(word) ?? this.#fetchNow(source, word);
    this.#fetched.set(word, keys);
    return keys;
  };

  async #fetchNow(source: KeySource, word: string): Promise<string[]> {
    // HTTP takes a while to load, and few need it here.
    const { fetchPublishedKeys } = await import('./published-keys.js');
    const keys = await fetchPublishedKeys(source, this.#signal ?? new AbortController().signal);
    const prints = keys.map((key) => `${fingerprintOf(key)} (${parseSshPublicKey(key)?.type ?? ''})`);
    this.#notes.push(`who has the SSH keys of ${word} may log in as root: ${prints.join(', ')}`);
    return keys;
  }
}

/** The fingerprint of a key as `ssh-keygen -l` prints it. */
function fingerprintOf(key: string): string {
  const body = Buffer.from(parseSshPublicKey(key)?.body ?? '', 'base64');
  return `SHA256:${createHash('sha256').update(body).digest('base64').replace(/=+$/, '')}`;
}
