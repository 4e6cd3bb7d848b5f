import { createHash, type Hash } from 'node:crypto';
import { Failure, interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { type HttpAnswer, httpGet, type HttpLimits } from './http.js';
import { shownUrl, statusFailure } from './http-failure.js';
import {
  firstByteOf,
  type HttpIdentity,
  identityOf,
  identityText,
  requireSame,
  retryAfterMs,
  urlChanged,
} from './http-identity.js';
import { waitAtMost } from './wait.js';

/** How a file is read from a server. */
export interface HttpFileOptions {
  readonly limits?: HttpLimits;
  /** How long to wait before each try to go on; as many tries as there are delays may bring nothing before it is given up. */
  readonly retryDelaysMs?: readonly number[];
  /** Called before each wait. */
  readonly onRetry?: (retry: HttpRetry) => void;
  readonly signal: AbortSignal;
}

/** A connection that was lost, and what is done about it. */
export interface HttpRetry {
  readonly failure: Failure;
  /** Where it goes on, in bytes of the file. */
  readonly offset: number;
  /** How many tries in a row have brought nothing. */
  readonly tries: number;
  readonly delayMs: number;
}

/** At once at first, two minutes in all: long enough for a switch or a router to start anew. */
const defaultRetryDelaysMs: readonly number[] = [0, 1000, 2000, 4000, 8000, 15_000, 30_000, 30_000, 30_000];
/** A server that is busy when the file is opened is given this many chances. */
const mostBusyAnswers = 3;
const longestRetryAfterMs = 60_000;
/** Small reads are made of blocks of this size, a few of which are kept: a zip's directory is read in bits of 50 bytes. */
const blockSize = 256 * 1024;
const mostSpans = 4;

interface Span {
  readonly start: number;
  readonly bytes: Buffer;
}

/**
 * A file on a web server, read in order or, where the server serves ranges, in any order. Reading goes on where a connection was lost, and
 * only if the file is proven to be the same: by the server's ETag or date, or by reading and hashing once more what was read before.
 */
export class HttpFile {
  /** The URL without secrets. */
  readonly name: string;
  /** Bytes of the file, where the server tells. */
  readonly size: number | undefined;
  /** Whether any bytes can be read in any order. */
  readonly hasRanges: boolean;
  /** Equal for two openings only if they are of the same file; undefined when the server gives nothing to tell it by. */
  readonly identity: string | undefined;
  /** What the server says that it is. */
  readonly contentType: string | undefined;
  readonly #url: URL;
  readonly #options: HttpFileOptions;
  readonly #first: HttpIdentity;
  /** The answer to opening it, until its body is read. */
  #opened: HttpAnswer | undefined;
  /** Where the last answer came from: a mirror or a signed address that a redirect led to. */
  #location: URL;
  #notBefore = 0;
  #spans: Span[] = [];

  /** Asks a server for a file. Fails with the kind of its answer, and with `unreachable` when there is none. */
  static async open(url: URL, options: HttpFileOptions): Promise<HttpFile> {
    for (let tries = 1; ; tries += 1) {
      // Asking for all of it as a range tells whether the server serves ranges; an empty file has none.
      const answer = await httpGet(url, { ...options, headers: { range: 'bytes=0-' } });
      if ([200, 206, 416].includes(answer.status)) return new HttpFile(url, answer, options);
      answer.close();
      const failure = statusFailure(answer.url, answer.status);
      if (failure.code !== 'server-busy' || tries === mostBusyAnswers) throw failure;
      const delayMs = Math.min(retryAfterMs(answer) ?? 1000, longestRetryAfterMs);
      options.onRetry?.({ failure, offset: 0, tries, delayMs });
      await waitAtMost(delayMs, options.signal);
      if (options.signal.aborted) throw interrupted();
    }
  }

  private constructor(url: URL, answer: HttpAnswer, options: HttpFileOptions) {
    this.#url = url;
    this.#options = options;
    this.#opened = answer;
    this.#location = answer.url;
    this.#first = identityOf(answer);
    this.name = shownUrl(url);
    this.size = this.#first.size;
    this.hasRanges = this.#first.hasRanges && this.size !== undefined;
    this.identity = identityText(url, this.#first);
    this.contentType = answer.headers['content-type'];
  }

  /** Exactly these bytes; only with `hasRanges`. */
  async read(offset: number, length: number): Promise<Buffer> {
    const size = this.size ?? 0;
    if (offset + length > size) throw endsEarly(this.name, offset + length, size);
    const known = this.#spans.find(({ start, bytes }) => start <= offset && offset + length <= start + bytes.length);
    const span = known ?? (await this.#fetchSpan(offset, offset + length, size));
    return span.bytes.subarray(offset - span.start, offset - span.start + length);
  }

  /** All bytes in order, or those of a range; one that does not begin with the file needs `hasRanges`. */
  async *stream(start = 0, end = this.size): AsyncGenerator<Buffer> {
    const { retryDelaysMs = defaultRetryDelaysMs, onRetry, signal } = this.#options;
    // Where the server cannot prove that a range is of the same file, reading it once more from the beginning does.
    const isProvenByServer = this.#first.hasRanges && this.#first.validator !== undefined;
    const seen = isProvenByServer || start > 0 ? undefined : createHash('sha256');
    let at = start;
    for (let tries = 0; end === undefined || at < end;) {
      let failure: Failure;
      try {
        for await (const chunk of await this.#bodyFrom(at, end, seen)) {
          const wanted = end === undefined ? chunk : chunk.subarray(0, end - at);
          seen?.update(wanted);
          at += wanted.length;
          tries = 0;
          yield wanted;
          if (at === end) return;
        }
        if (end === undefined) return;
        failure = endsEarly(this.name, end, at);
      } catch (error) {
        if (!(error instanceof Failure) || !this.#isWorthAnotherTry(error)) throw error;
        failure = error;
      }
      const delay = retryDelaysMs[tries];
      if (delay === undefined) throw gaveUp(failure, at, tries);
      // The place that answered last is asked first: another mirror may call the same file by another ETag.
      if (tries > 0) this.#location = this.#url;
      tries += 1;
      const delayMs = Math.max(delay, Math.min(this.#notBefore - Date.now(), longestRetryAfterMs));
      onRetry?.({ failure, offset: at, tries, delayMs });
      await waitAtMost(delayMs, signal);
      if (signal.aborted) throw interrupted();
    }
  }

  /** Lets go of a connection that nobody has read from. */
  close(): void {
    this.#opened?.close();
    this.#opened = undefined;
  }

  async #fetchSpan(offset: number, end: number, size: number): Promise<Span> {
    const start = Math.floor(offset / blockSize) * blockSize;
    const spanEnd = Math.min(Math.ceil(end / blockSize) * blockSize, size);
    const chunks: Buffer[] = [];
    for await (const chunk of this.stream(start, spanEnd)) chunks.push(chunk);
    const span = { start, bytes: Buffer.concat(chunks) };
    this.#spans = [span, ...this.#spans].slice(0, mostSpans);
    return span;
  }

  /** A body that begins at a byte of the file and is proven to be of the same file. */
  async #bodyFrom(offset: number, end: number | undefined, seen: Hash | undefined): Promise<AsyncIterable<Buffer>> {
    const opened = this.#opened;
    this.#opened = undefined;
    if (opened !== undefined && offset === 0) return opened.body;
    opened?.close();
    const { validator } = this.#first;
    const last = end === undefined || end === this.size ? '' : end - 1;
    const headers = {
      ...(seen !== undefined && validator === undefined ? {} : { range: `bytes=${offset}-${last}` }),
      ...(validator === undefined ? {} : { 'if-range': validator }),
    };
    const answer = await httpGet(this.#location, { ...this.#options, headers });
    try {
      const first = firstByteOf(answer);
      if (first === undefined) throw this.#refusal(answer);
      this.#location = answer.url;
      requireSame(this.#url, this.#first, answer);
      if (first === offset) return answer.body;
      // A range was served before, so that the whole file means that the condition does not hold.
      if (first !== 0 || seen === undefined) throw urlChanged(this.#url);
      return await afterSkipping(answer.body, offset, seen, this.#url);
    } catch (error) {
      answer.close();
      throw error;
    }
  }

  #refusal(answer: HttpAnswer): Failure {
    this.#notBefore = Date.now() + (retryAfterMs(answer) ?? 0);
    // The range lies beyond the end, or the condition does not hold.
    if (answer.status === 416 || answer.status === 412) return urlChanged(this.#url);
    return statusFailure(answer.url, answer.status);
  }

  /** Whether trying again may help; the target of a redirect may have expired, and is then asked for anew. */
  #isWorthAnotherTry({ kind }: Failure): boolean {
    if (kind === 'unreachable') return true;
    const wasRedirected = this.#location.href !== this.#url.href;
    this.#location = this.#url;
    return wasRedirected && (kind === 'permission' || kind === 'not-found');
  }
}

/** Reads what was read before once more; when it is not the same, the file is another one. */
async function afterSkipping(
  body: AsyncIterable<Buffer>,
  offset: number,
  seen: Hash,
  url: URL,
): Promise<AsyncIterable<Buffer>> {
  const iterator = body[Symbol.asyncIterator]();
  const again = createHash('sha256');
  let rest: Buffer = Buffer.alloc(0);
  for (let at = 0; at < offset;) {
    const next = await iterator.next();
    if (next.done === true) throw urlChanged(url);
    const known = next.value.subarray(0, offset - at);
    again.update(known);
    at += known.length;
    rest = next.value.subarray(known.length);
  }
  if (!again.digest().equals(seen.copy().digest())) throw urlChanged(url);
  return (async function* () {
    try {
      if (rest.length > 0) yield rest;
      yield* { [Symbol.asyncIterator]: () => iterator };
    } finally {
      await iterator.return?.();
    }
  })();
}

function endsEarly(name: string, wanted: number, have: number): Failure {
  const words = `reading ${name}: it ends at byte ${have}, and byte ${wanted} was to be read`;
  return new Failure('unreachable', 'download-incomplete', words, { hint: 'Check the file on the server' });
}

function gaveUp(failure: Failure, offset: number, tries: number): unknown {
  const doing = `giving up after ${tries} tries to go on at byte ${offset}`;
  return whileDoing(doing, failure, { hint: failure.hint ?? 'Check the network, and run the command again' });
}
