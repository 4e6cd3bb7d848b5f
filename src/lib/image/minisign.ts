import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { Failure } from '../failure/failure.js';

/** A public key of minisign or signify. */
export interface MinisignKey {
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** A signature of minisign: of the bytes themselves, or of their BLAKE2b-512. */
export interface MinisignSignature {
  /** What the user calls it. */
  readonly name: string;
  readonly isOfHash: boolean;
  readonly keyId: Buffer;
  readonly signature: Buffer;
  /** A comment that is signed, too; signify has none. */
  readonly trusted: { readonly comment: string; readonly signature: Buffer } | undefined;
}

/** What precedes the 32 bytes of an Ed25519 key in SubjectPublicKeyInfo (RFC 8410, section 4). */
const keyPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Reads a public key: the line of base64, or the file that has it below a comment.
 *
 * @see https://jedisct1.github.io/minisign/#public-key-format
 */
export function parseMinisignKey(text: string): MinisignKey {
  const bytes = Buffer.from(dataLines(text)[0] ?? '', 'base64');
  if (bytes.length !== 42 || bytes.toString('latin1', 0, 2) !== 'Ed') {
    throw new Failure('usage', 'invalid-public-key', 'it is not a public key of minisign', {
      hint: 'Give the file minisign.pub or its second line, which begins with RW',
    });
  }
  const der = Buffer.concat([keyPrefix, bytes.subarray(10)]);
  return { id: bytes.subarray(2, 10), key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

/**
 * Reads a signature file.
 *
 * @see https://jedisct1.github.io/minisign/#signature-format
 */
export function parseMinisignSignature(text: string, name: string): MinisignSignature {
  const [line = '', global] = dataLines(text);
  const bytes = Buffer.from(line, 'base64');
  const algorithm = bytes.toString('latin1', 0, 2);
  const comment = /^trusted comment: (.*)$/m.exec(text)?.[1]?.replace(/\r$/, '');
  if (bytes.length !== 74 || !['Ed', 'ED'].includes(algorithm) || (comment === undefined) !== (global === undefined)) {
    throw badSignature(name, 'it is not a signature of minisign');
  }
  const trusted =
    comment === undefined || global === undefined ? undefined : { comment, signature: Buffer.from(global, 'base64') };
  return {
    name,
    isOfHash: algorithm === 'ED',
    keyId: bytes.subarray(2, 10),
    signature: bytes.subarray(10),
    trusted,
  };
}

/** Fails with `invalid-signature` when a signature is by another key, or its comment is not the one that was signed. */
export function requireMinisignKey(signature: MinisignSignature, key: MinisignKey): void {
  const { name, keyId, trusted } = signature;
  if (!keyId.equals(key.id)) throw badSignature(name, 'it was made with another key');
  if (trusted === undefined) return;
  const signed = Buffer.concat([signature.signature, Buffer.from(trusted.comment)]);
  if (!verify(null, signed, key.key, trusted.signature)) throw badSignature(name, 'its comment was changed');
}

/**
 * Fails with `invalid-signature` when bytes are not the signed ones.
 *
 * @param signed the BLAKE2b-512 where the signature is of that, otherwise all the bytes
 */
export function requireMinisign(signature: MinisignSignature, key: MinisignKey, signed: Buffer): void {
  requireMinisignKey(signature, key);
  if (!verify(null, signed, key.key, signature.signature))
    throw badSignature(signature.name, 'it is not of these bytes');
}

/** What a signature of bytes in memory is checked against. */
export function minisigned(signature: MinisignSignature, bytes: Buffer): Buffer {
  return signature.isOfHash ? createHash('blake2b512').update(bytes).digest() : bytes;
}

/** The failure for a signature that does not hold. */
export function badSignature(name: string, why: string): Failure {
  return new Failure('failed', 'invalid-signature', `the signature ${name} does not hold: ${why}`, {
    hint: 'Get the image and its signature again from the place that you trust, and check the key',
  });
}

function dataLines(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^(un)?trusted comment:/.test(line));
}
