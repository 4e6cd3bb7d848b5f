import { readFile } from 'node:fs/promises';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';

/** A private key as it lies in a file. */
export interface PrivateKeyFile {
  readonly file: string;
  readonly text: string;
  readonly isEncrypted: boolean;
  /** Whether it only says which key of a security token (FIDO) is to be used. */
  readonly isOnToken: boolean;
}

/** Reads a private key. One that is not wanted by name and is absent, unreadable or only a public key is one that is not offered. */
export async function readPrivateKey(file: string, isWanted: boolean): Promise<PrivateKeyFile | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (!isWanted && systemErrorCode(error) !== undefined) return undefined;
    throw whileDoing(`reading the private key ${file}`, error);
  }
  if (!isWanted && !text.includes('PRIVATE KEY')) return undefined;
  const isOnToken = openSshKey(text)?.publicKey?.toString('latin1', 4).startsWith('sk-') === true;
  return { file, text, isEncrypted: isEncrypted(text), isOnToken };
}

/**
 * The public half of a key, in SSH wire format, from the file beside it, from the file itself when that is a public key, or from what an
 * OpenSSH private key says before its encrypted part.
 */
export async function readPublicKey(file: string): Promise<Buffer | undefined> {
  for (const candidate of [`${file}.pub`, file]) {
    const text = await readFile(candidate, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const body = /^(?:ssh|ecdsa|sk)-\S+ ([A-Za-z0-9+/=]+)/.exec(text)?.[1];
    if (body !== undefined) return Buffer.from(body, 'base64');
    const publicKey = openSshKey(text)?.publicKey;
    if (publicKey !== undefined) return publicKey;
  }
  return undefined;
}

/** Whether a private key needs a passphrase, in OpenSSH's own format or in PEM. */
function isEncrypted(text: string): boolean {
  const key = openSshKey(text);
  return key === undefined ? text.includes('ENCRYPTED') : key.cipher !== 'none';
}

const magic = Buffer.from('openssh-key-v1\0');

/** What an OpenSSH private key says in the clear (openssh/PROTOCOL.key): cipher, key derivation and its options, number of keys, public key. */
function openSshKey(text: string): { readonly cipher: string; readonly publicKey: Buffer | undefined } | undefined {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(text)?.[1];
  if (body === undefined) return undefined;
  const bytes = Buffer.from(body, 'base64');
  if (!bytes.subarray(0, magic.length).equals(magic)) return undefined;
  let at = magic.length;
  const next = () => {
    if (at + 4 > bytes.length) return undefined;
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    return bytes.subarray(start, at);
  };
  const cipher = next()?.toString('latin1') ?? 'none';
  next();
  next();
  at += 4;
  return { cipher, publicKey: next() };
}
