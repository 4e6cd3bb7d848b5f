import { createHash } from 'node:crypto';
import { Failure } from '../failure/failure.js';
import type { HttpAnswer } from './http.js';
import { shownUrl } from './http-failure.js';

/** What an answer says about which file it is of, to tell whether a later answer is of the same (RFC 9110, sections 8.8 and 13.1.5). */
export interface HttpIdentity {
  /** Bytes of the whole file, where the server tells. */
  readonly size: number | undefined;
  /** Whether the server serves ranges. */
  readonly hasRanges: boolean;
  /** The strong ETag, else the date: what a server compares before it serves a range of the same file. */
  readonly validator: string | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

/** Reads what an answer says about its file. */
export function identityOf({ status, headers }: HttpAnswer): HttpIdentity {
  const { etag, 'last-modified': lastModified } = headers;
  const range = contentRange(headers['content-range']);
  const length = Number(headers['content-length'] ?? Number.NaN);
  return {
    size: status === 200 ? (Number.isSafeInteger(length) ? length : undefined) : range?.size,
    hasRanges: status !== 200,
    validator: etag === undefined || etag.startsWith('W/') ? lastModified : etag,
    etag,
    lastModified,
  };
}

/** Text that is equal for two openings only if they are of the same file; undefined when the server gives nothing to tell it by. */
export function identityText(url: URL, { validator, size }: HttpIdentity): string | undefined {
  if (validator === undefined || size === undefined) return undefined;
  const query = url.search === '' ? '' : createHash('sha256').update(url.search).digest('hex').slice(0, 16);
  return `url ${url.origin}${url.pathname} ${query} ${validator} ${size}`;
}

/** Fails with `source-changed` when an answer says that it is of another file than before. */
export function requireSame(url: URL, before: HttpIdentity, answer: HttpAnswer): void {
  const now = identityOf(answer);
  const isOther = (a: unknown, b: unknown) => a !== undefined && b !== undefined && a !== b;
  const isAnother = isOther(before.etag, now.etag) || isOther(before.size, now.size);
  if (isAnother || isOther(before.lastModified, now.lastModified)) throw urlChanged(url);
}

/** The failure for a file that became another one on the server. */
export function urlChanged(url: URL): Failure {
  return new Failure('failed', 'source-changed', `${shownUrl(url)} was changed on the server while it was read`, {
    hint: 'Run the command again',
  });
}

/** The byte of the file at which the body of an answer begins; undefined for an answer that has no bytes of it. */
export function firstByteOf({ status, headers }: HttpAnswer): number | undefined {
  if (status === 200) return 0;
  return status === 206 ? contentRange(headers['content-range'])?.first : undefined;
}

/** How long a busy server asks to be left alone, in milliseconds (RFC 9110, section 10.2.3). */
export function retryAfterMs({ headers }: HttpAnswer): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}

/** `bytes 0-99/1000`, with a star for a range that does not exist, and for a size that is not known. */
function contentRange(
  header: string | undefined,
): { readonly first: number; readonly size: number | undefined } | undefined {
  const { first, size } = /^bytes (?:(?<first>\d+)-\d+|\*)\/(?<size>\d+|\*)$/.exec(header ?? '')?.groups ?? {};
  if (size === undefined) return undefined;
  return { first: Number(first ?? 0), size: size === '*' ? undefined : Number(size) };
}
