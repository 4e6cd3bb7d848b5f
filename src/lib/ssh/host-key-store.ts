import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';

/** The key a device showed when davit first met it. */
export interface PinnedHostKey {
  /** The SSH name of the key's type: `ssh-ed25519`. */
  readonly type: string;
  /** The public key in SSH wire format, base64. */
  readonly key: string;
}

/**
 * Pinned host keys, one JSON file per device in `host-keys` of davit's data folder, so that any number of davits can pin
 * different devices at once without a lock. `device` is the identity a key belongs to; see `hostKeyOwner`.
 */
export class HostKeyStore {
  readonly #folder: string;

  constructor(folder = path.join(folders.data(), 'host-keys')) {
    this.#folder = folder;
  }

  /** The pinned key, or undefined when the device has never been met. */
  async find(device: string): Promise<PinnedHostKey | undefined> {
    const file = this.#file(device);
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw whileDoing(`reading the pinned host key in ${file}`, error);
    }
    const pinned = parsePin(text);
    if (pinned === undefined) {
      throw new Failure('failed', 'host-key-file-damaged', `${file} does not hold a pinned host key`, {
        hint: `Remove it to pin the device's key again: rm ${file}`,
      });
    }
    return pinned;
  }

  /** Pins the first key of a device and returns the one that is pinned now: another process may have been first. */
  async pinFirst(device: string, pin: PinnedHostKey): Promise<PinnedHostKey> {
    const temporary = await this.#writeTemporary(device, pin);
    try {
      // Unlike rename, link refuses to replace a file: of two first meetings exactly one wins.
      await link(temporary, this.#file(device));
      return pin;
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw whileDoing(`pinning the host key of ${device}`, error);
      return (await this.find(device)) ?? pin;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Pins a key in place of whatever was pinned. */
  async replace(device: string, pin: PinnedHostKey): Promise<void> {
    const temporary = await this.#writeTemporary(device, pin);
    try {
      await rename(temporary, this.#file(device));
    } catch (error) {
      await rm(temporary, { force: true });
      throw whileDoing(`pinning the host key of ${device}`, error);
    }
  }

  /** Forgets a device's key, for when a fresh system is about to make a new one; returns whether there was one. */
  async forget(device: string): Promise<boolean> {
    try {
      await rm(this.#file(device));
      return true;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return false;
      throw whileDoing(`forgetting the host key of ${device}`, error);
    }
  }

  #file(device: string): string {
    return path.join(this.#folder, `${encodeURIComponent(device)}.json`);
  }

  async #writeTemporary(device: string, pin: PinnedHostKey): Promise<string> {
    const temporary = `${this.#file(device)}.${randomBytes(6).toString('hex')}`;
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, `${JSON.stringify({ version: 1, device, ...pin }, null, 2)}\n`, { mode: 0o600 });
    } catch (error) {
      throw whileDoing(`pinning the host key of ${device} in ${this.#folder}`, error);
    }
    return temporary;
  }
}

/**
 * Under which name a device's key is pinned: its host name without `.local`, or its address when that is all that is known.
 * This is the one place that changes when the UUID becomes the identity.
 */
export function hostKeyOwner(device: { readonly name: string; readonly port: number }): string {
  const name = device.name
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/\.local$/, '');
  return device.port === 22222 ? name : `${name}:${device.port}`;
}

/** The pin of a public key in SSH wire format (RFC 4253 6.6: its first string is the type). */
export function pinOf(key: Buffer): PinnedHostKey {
  return { type: key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1'), key: key.toString('base64') };
}

/** The fingerprint as OpenSSH prints it. */
export function fingerprint(pin: PinnedHostKey): string {
  const digest = createHash('sha256').update(Buffer.from(pin.key, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

function parsePin(text: string): PinnedHostKey | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(parsed) || typeof parsed.type !== 'string' || typeof parsed.key !== 'string') return undefined;
  return { type: parsed.type, key: parsed.key };
}
