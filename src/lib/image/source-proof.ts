import { Failure } from '../failure/failure.js';
import type { ChunkStream } from './chunk-stream.js';
import { type MinisignSignature, requireMinisign } from './minisign.js';
import { checkOpenPgp, type OpenPgpCheck } from './openpgp-signature.js';
import type { ExpectedSum, SourceChecks } from './source-checks.js';
import { ThreadHash } from './thread-hash.js';

/** What was found out about a source by reading it. */
export interface SourceFindings {
  /** SHA-256 of the image as it is, unpacked and unchanged; null when nobody asked for it. */
  readonly sha256: string | null;
  /** What it was compared with; all of it holds. */
  readonly checks: readonly PassedCheck[];
}

/** A comparison that went well. */
export interface PassedCheck {
  readonly kind: 'sha256' | 'minisign' | 'gpg';
  /** Who says what is right: `--sha256`, a list of checksums, a signature. */
  readonly from: string;
  /** What it is right of: the file as it is, the image in it, or the list of checksums that the sum is from. */
  readonly of: 'file' | 'content' | 'list';
}

/** Signatures of the bytes themselves, which minisign made until 2020, need all of them in memory. */
const largestHeld = 64 * 1024 * 1024;

/** What is known of a source that nothing was proven of. */
export const noFindings: SourceFindings = { sha256: null, checks: [] };

/** The file that a proof is about. */
interface ProvenFile {
  /** What the user calls it. */
  readonly name: string;
  /** Bytes, where that is known. */
  readonly size: number | undefined;
  readonly isPacked: boolean;
}

interface Begun {
  readonly file: ProvenFile;
  /** Where there is something to hash. */
  readonly hash: ThreadHash | undefined;
  readonly openPgp: readonly OpenPgpCheck[];
}

/**
 * Proves that a source is the right one while it is read: what is hashed are the very bytes that are written, which a reading beforehand
 * would not tell, and nothing is read twice. Whoever writes waits for `finish` before anything boots.
 */
export class SourceProof {
  readonly checks: SourceChecks;
  readonly #isToBeTold: boolean;
  #begun: Begun | undefined;
  #rest: ChunkStream | undefined;
  /** The bytes themselves, for signatures of them. */
  readonly #held: Buffer[] = [];
  #heldSize = 0;

  /** @param isToBeTold whether the SHA-256 of the image is wished also where there is nothing to compare it with */
  constructor(checks: SourceChecks, isToBeTold: boolean) {
    this.checks = checks;
    this.#isToBeTold = isToBeTold;
  }

  /** Begins once it is known what the source is. Fails when it can be told already that a signature cannot be checked. */
  async begin(file: ProvenFile): Promise<void> {
    const { signatures } = this.checks;
    for (const one of signatures) {
      const isTooLarge = one.kind === 'minisign' && !one.signature.isOfHash && (file.size ?? 0) > largestHeld;
      if (isTooLarge) throw tooLargeToHold(file.name, one.signature);
    }
    // Programs are started last, when nothing else can go wrong.
    const openPgp: OpenPgpCheck[] = [];
    for (const one of signatures) if (one.kind === 'gpg') openPgp.push(await checkOpenPgp(one.signature, one.keys));
    const ofFile = signatures.some((one) => one.kind === 'minisign') ? ['blake2b512'] : [];
    // What is not packed is its own content.
    const algorithms = file.isPacked ? [['sha256'], ['sha256', ...ofFile]] : [['sha256', ...ofFile]];
    this.#begun = { file, openPgp, hash: this.readsContent ? new ThreadHash(algorithms) : undefined };
  }

  /** Whether there is anything to compare with. */
  get #isAsked(): boolean {
    return this.checks.sum !== undefined || this.checks.signatures.length > 0;
  }

  /** Whether the image is to be given to `takeContent`. Hashing costs about as much as unpacking, so it is not done unasked. */
  get readsContent(): boolean {
    return this.#isToBeTold || this.#isAsked;
  }

  /** Whether the packed file as it is has to go through `passFile`. */
  get readsFile(): boolean {
    return this.#isAsked && this.#begun?.file.isPacked === true;
  }

  /** Passes the packed file as it is through; what is left of it when nobody wants more is read by `finish`. */
  passFile(file: ChunkStream): AsyncGenerator<Buffer> {
    this.#rest = file;
    return this.#passOn(file);
  }

  /** Takes the next bytes of the image, which lie in shared memory and may change again when this is done. */
  async takeContent(bytes: Buffer): Promise<void> {
    const { file, hash } = this.#required;
    await Promise.all([hash?.addShared(0, bytes), file.isPacked ? undefined : this.#takeSigned(bytes)]);
  }

  /** Compares once all of the image was taken. Fails with `checksum-mismatch` or `invalid-signature`. */
  async finish(): Promise<SourceFindings> {
    const { file, hash, openPgp } = this.#required;
    // Decoders stop where the image ends, which may be before the file does.
    const rest = this.#rest && this.#passOn(this.#rest);
    while (rest !== undefined && (await rest.next()).done !== true);
    const digests = (await hash?.digests()) ?? [];
    const content = digests[0]?.[0] ?? '';
    const [ofFile = '', blakeOfFile = ''] = digests[file.isPacked ? 1 : 0] ?? [];
    const { sum, signatures, held } = this.checks;
    const passed: PassedCheck[] = held.map(({ kind, name }) => ({ kind, from: name, of: 'list' }));
    if (sum !== undefined) {
      if (sum.digest !== ofFile && sum.digest !== content) throw mismatch(file, sum, ofFile, content);
      passed.push({ kind: 'sha256', from: sum.from, of: sum.digest === ofFile ? 'file' : 'content' });
    }
    for (const one of signatures) {
      if (one.kind !== 'minisign') continue;
      const { signature, key } = one;
      requireMinisign(signature, key, signature.isOfHash ? Buffer.from(blakeOfFile, 'hex') : Buffer.concat(this.#held));
    }
    for (const check of openPgp) await check.finish();
    for (const { kind, signature } of signatures) passed.push({ kind, from: signature.name, of: 'file' });
    return { sha256: content, checks: passed };
  }

  async close(): Promise<void> {
    await this.#begun?.hash?.close();
    for (const check of this.#begun?.openPgp ?? []) await check.close();
  }

  get #required(): Begun {
    if (this.#begun === undefined) throw new Error('a proof begins when its source is opened');
    return this.#begun;
  }

  async *#passOn(file: ChunkStream): AsyncGenerator<Buffer> {
    const { hash } = this.#required;
    for (let chunk = await file.next(); chunk !== undefined; chunk = await file.next()) {
      await hash?.add(1, chunk);
      await this.#takeSigned(chunk);
      yield chunk;
    }
  }

  /** Gives bytes of the file to what is not made of a hash of them. */
  async #takeSigned(bytes: Buffer): Promise<void> {
    const { file, openPgp } = this.#required;
    for (const one of this.checks.signatures) {
      if (one.kind !== 'minisign' || one.signature.isOfHash) continue;
      this.#heldSize += bytes.length;
      if (this.#heldSize > largestHeld) throw tooLargeToHold(file.name, one.signature);
      this.#held.push(Buffer.from(bytes));
    }
    for (const check of openPgp) await check.update(bytes);
  }
}

function mismatch(file: ProvenFile, sum: ExpectedSum, ofFile: string, content: string): Failure {
  const found = file.isPacked ? `${ofFile}, and unpacked ${content}` : ofFile;
  const words = `${file.name} has the SHA-256 ${found}; ${sum.from} says ${sum.digest}`;
  return new Failure('failed', 'checksum-mismatch', words, {
    hint: 'Get the image again; if the list is of another one, --checksums none ignores it',
  });
}

function tooLargeToHold(name: string, signature: MinisignSignature): Failure {
  const words = `${signature.name} is of all the bytes of ${name}, which is too large for that`;
  return new Failure('refused', 'signature-unsupported', words, {
    hint: 'Sign its hash, as minisign does since 0.10 unless told otherwise, or a list of checksums',
  });
}
