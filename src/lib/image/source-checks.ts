import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { percentDecoded } from '../platform/percent-decoded.js';
import { listedSum } from './checksum-list.js';
import {
  type MinisignKey,
  minisigned,
  type MinisignSignature,
  parseMinisignKey,
  parseMinisignSignature,
  requireMinisign,
  requireMinisignKey,
} from './minisign.js';
import { checkOpenPgp } from './openpgp-signature.js';
import { httpUrl, shownLocation } from './source-location.js';

/** What a source is to be compared with. */
export interface SourceCheckRequest {
  /** SHA-256 of the file or of what is in it. */
  readonly sha256?: string | undefined;
  /** A list of checksums, as a path or URL; `auto` looks beside the source, `none` ignores what is beside it. */
  readonly checksums?: string | undefined;
  /** A public key of minisign, or the file that holds it. */
  readonly minisignKey?: string | undefined;
  /** A file with public keys of OpenPGP. */
  readonly gpgKey?: string | undefined;
  /** The signature, as a path or URL, where it does not lie beside what is signed. */
  readonly signature?: string | undefined;
}

/** What a source has to be, so that it is the right one. */
export interface SourceChecks {
  /** The SHA-256 that its file or its content has to have. */
  readonly sum: ExpectedSum | undefined;
  /** Signatures of its file. */
  readonly signatures: readonly FileSignature[];
  /** Signatures that hold already, because they are of the list that the sum comes from. */
  readonly held: readonly HeldSignature[];
}

/** A SHA-256 and who says so. */
export interface ExpectedSum {
  readonly digest: string;
  /** `--sha256`, or the list of checksums. */
  readonly from: string;
}

/** A signature of a file that has yet to be read. */
export type FileSignature =
  | { readonly kind: 'minisign'; readonly signature: MinisignSignature; readonly key: MinisignKey }
  | { readonly kind: 'gpg'; readonly signature: SmallFile; readonly keys: Buffer };

/** A signature of a list of checksums. */
export interface HeldSignature {
  readonly kind: FileSignature['kind'];
  readonly name: string;
  readonly of: string;
}

/** A check as it is announced: who says what is right. */
export interface PlannedCheck {
  readonly kind: 'sha256' | FileSignature['kind'];
  readonly from: string;
}

/** A small file, read whole. */
interface SmallFile {
  readonly name: string;
  readonly bytes: Buffer;
}

const largestSmallFile = 4 * 1024 * 1024;
const suffixes = { minisign: ['.minisig'], gpg: ['.sig', '.asc', '.gpg', '.sign'] } as const;

/**
 * Finds out what a source is to be compared with, and checks the signature of a list of checksums. Beside a local file `<file>.sha256`,
 * `<file>.sha256sum` and `SHA256SUMS` are used without being asked for; nobody is asked for more than the image at a URL unless it is wished.
 */
export async function findSourceChecks(
  location: string,
  request: SourceCheckRequest,
  signal: AbortSignal,
): Promise<SourceChecks> {
  const list = request.sha256 === undefined ? await findList(location, request.checksums, signal) : undefined;
  const sum = request.sha256 === undefined ? list?.sum : { digest: parseDigest(request.sha256), from: '--sha256' };
  const signatures: FileSignature[] = [];
  const held: HeldSignature[] = [];
  for (const kind of ['minisign', 'gpg'] as const) {
    const named = kind === 'minisign' ? request.minisignKey : request.gpgKey;
    if (named === undefined) continue;
    const keys = await readKey(kind, named, signal);
    const { file, isOfList } = await findSignature(location, kind, list, request, signal);
    if (isOfList && list !== undefined) {
      await requireSigned(await prepare(kind, file, keys), list.file.bytes);
      held.push({ kind, name: file.name, of: list.file.name });
    } else signatures.push(await prepare(kind, file, keys));
  }
  if (request.signature !== undefined && signatures.length + held.length === 0) {
    throw new Failure('usage', 'key-missing', '--signature needs a key to check it with', {
      hint: 'Add --minisign-key or --gpg-key',
    });
  }
  return { sum, signatures, held };
}

/** What checks there are, for people to read. */
export function plannedChecks({ sum, signatures, held }: SourceChecks): PlannedCheck[] {
  return [
    ...(sum === undefined ? [] : [{ kind: 'sha256', from: sum.from } as const]),
    ...signatures.map(({ kind, signature }) => ({ kind, from: signature.name })),
    ...held.map(({ kind, name }) => ({ kind, from: name })),
  ];
}

interface FoundList {
  readonly sum: ExpectedSum;
  readonly file: SmallFile;
  readonly location: string;
}

async function findList(
  location: string,
  wanted: string | undefined,
  signal: AbortSignal,
): Promise<FoundList | undefined> {
  const isUrl = httpUrl(location) !== undefined;
  if (wanted === 'none' || (wanted === undefined && (isUrl || location === '-'))) return undefined;
  const name = baseName(location);
  if (wanted !== undefined && wanted !== 'auto') {
    const file = await readSmall(wanted, signal);
    const digest = file && listedSum(file.bytes.toString(), name, location === '-' || isOfOneFile(wanted));
    if (file !== undefined && digest !== undefined) return { sum: { digest, from: file.name }, file, location: wanted };
    const why = file === undefined ? 'it does not exist' : `it has no SHA-256 of ${name}`;
    throw new Failure('not-found', 'checksum-not-found', `reading checksums from ${shownLocation(wanted)}: ${why}`, {
      hint: 'Give a file as sha256sum writes it, or the sum itself with --sha256',
    });
  }
  const candidates = [beside(location, '.sha256'), beside(location, '.sha256sum'), sibling(location, 'SHA256SUMS')];
  for (const candidate of candidates) {
    const file = await readSmall(candidate, signal);
    const digest = file && listedSum(file.bytes.toString(), name, isOfOneFile(candidate));
    if (file !== undefined && digest !== undefined)
      return { sum: { digest, from: file.name }, file, location: candidate };
  }
  if (wanted === undefined) return undefined;
  const tried = candidates.map(shownLocation).join(', ');
  throw new Failure(
    'not-found',
    'checksum-not-found',
    `nothing beside ${shownLocation(location)} has its SHA-256: not ${tried}`,
    {
      hint: 'Name the file or URL with --checksums, or give the sum with --sha256',
    },
  );
}

async function findSignature(
  location: string,
  kind: FileSignature['kind'],
  list: FoundList | undefined,
  request: SourceCheckRequest,
  signal: AbortSignal,
): Promise<{ readonly file: SmallFile; readonly isOfList: boolean }> {
  const isListNamed = request.checksums !== undefined && request.checksums !== 'auto';
  const ofList = list === undefined ? [] : suffixes[kind].map((suffix) => beside(list.location, suffix));
  const ofImage = location === '-' ? [] : suffixes[kind].map((suffix) => beside(location, suffix));
  const candidates = request.signature === undefined ? [...ofImage, ...ofList] : [request.signature];
  for (const candidate of candidates) {
    const file = await readSmall(candidate, signal);
    const isOfList = request.signature === undefined ? ofList.includes(candidate) : isListNamed;
    if (file !== undefined) return { file, isOfList };
  }
  const words = `no signature of ${shownLocation(location)} was found`;
  const tried = candidates.length === 0 ? '' : `: not ${candidates.map(shownLocation).join(', ')}`;
  throw new Failure('not-found', 'signature-not-found', `${words}${tried}`, {
    hint: 'Name its file or URL with --signature',
  });
}

async function prepare(kind: FileSignature['kind'], file: SmallFile, keys: Buffer): Promise<FileSignature> {
  if (kind === 'gpg') return { kind, signature: file, keys };
  const key = parseMinisignKey(keys.toString());
  const signature = parseMinisignSignature(file.bytes.toString(), file.name);
  requireMinisignKey(signature, key);
  return Promise.resolve({ kind, signature, key });
}

async function requireSigned(one: FileSignature, bytes: Buffer): Promise<void> {
  if (one.kind === 'minisign') {
    requireMinisign(one.signature, one.key, minisigned(one.signature, bytes));
    return;
  }
  const check = await checkOpenPgp(one.signature, one.keys);
  try {
    await check.update(bytes);
    await check.finish();
  } finally {
    await check.close();
  }
}

async function readKey(kind: FileSignature['kind'], named: string, signal: AbortSignal): Promise<Buffer> {
  if (kind === 'minisign' && /^RW[\w+/]{54}$/.test(named)) return Buffer.from(named);
  const file = await readSmall(named, signal);
  if (file !== undefined) return file.bytes;
  throw new Failure('not-found', 'key-not-found', `the public key ${shownLocation(named)} does not exist`, {
    hint:
      kind === 'minisign' ? 'Give the file of the key, or the key itself' : 'Give the file of the key: gpg --export',
  });
}

/** Reads a small file or URL; undefined when there is none. */
async function readSmall(location: string, signal: AbortSignal): Promise<SmallFile | undefined> {
  const url = httpUrl(location);
  if (url !== undefined) {
    const { readSmallUrl } = await import('./small-url.js');
    const bytes = await readSmallUrl(url, largestSmallFile, signal);
    return bytes && { name: shownLocation(location), bytes };
  }
  try {
    const { size } = await stat(location);
    if (size > largestSmallFile) throw tooLarge(location);
    return { name: location, bytes: await readFile(location) };
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw whileDoing(`reading ${location}`, error);
  }
}

function tooLarge(name: string): Failure {
  return new Failure('usage', 'file-too-large', `${name} is too large for a list of checksums, a signature or a key`, {
    hint: 'Check what is named with --checksums, --signature and the keys',
  });
}

function parseDigest(text: string): string {
  const digest = text
    .trim()
    .toLowerCase()
    .replace(/^sha256:/, '');
  if (/^[\da-f]{64}$/.test(digest)) return digest;
  throw new Failure('usage', 'invalid-checksum', 'the value of --sha256 is not a SHA-256', {
    hint: 'Give 64 hexadecimal digits, as sha256sum prints them',
  });
}

function baseName(location: string): string {
  const url = httpUrl(location);
  return url === undefined ? path.basename(location) : percentDecoded(path.posix.basename(url.pathname));
}

function beside(location: string, suffix: string): string {
  const url = httpUrl(location);
  if (url === undefined) return `${location}${suffix}`;
  url.pathname += suffix;
  return url.href;
}

function sibling(location: string, name: string): string {
  const url = httpUrl(location);
  return url === undefined ? path.join(path.dirname(location), name) : new URL(name, url.href).href;
}

function isOfOneFile(location: string): boolean {
  return /\.sha256(sum)?$/i.test(httpUrl(location)?.pathname ?? location);
}
