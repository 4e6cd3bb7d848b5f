import { Failure, type FailureDetails, type FailureKind } from './failure.js';

const systemKinds: Readonly<Record<string, FailureKind>> = {
  ENOENT: 'not-found',
  ENOTDIR: 'not-found',
  ENXIO: 'not-found',
  ENODEV: 'not-found',
  ENOMEDIUM: 'not-found',
  EACCES: 'permission',
  EPERM: 'permission',
  EROFS: 'refused',
  EBUSY: 'refused',
  EEXIST: 'refused',
  ETXTBSY: 'refused',
  EISDIR: 'usage',
  ENAMETOOLONG: 'usage',
  ELOOP: 'usage',
  ENOSPC: 'failed',
  EDQUOT: 'failed',
  EFBIG: 'failed',
  EIO: 'failed',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  EPIPE: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETUNREACH: 'unreachable',
  ETIMEDOUT: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
};

/** Node's name of a system error (`ENOENT`), or undefined for any other value. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Adds what davit was doing to an error: a `Failure` keeps its kind, code and hint, a system error (`ENOENT`, `EIO`, …)
 * becomes the `Failure` a user would expect, and anything else is returned as it is, because it is a bug.
 *
 * @param doing a gerund phrase with its object: "opening /dev/sdb"
 */
export function whileDoing(doing: string, error: unknown, details: FailureDetails = {}): unknown {
  if (error instanceof Failure) {
    if (error.kind === 'interrupted') return error;
    const hint = details.hint ?? error.hint;
    return new Failure(error.kind, error.code, `${doing}: ${error.message}`, {
      cause: error,
      problems: error.problems,
      ...(hint === undefined ? {} : { hint }),
    });
  }
  const code = systemErrorCode(error);
  const kind = code === undefined ? undefined : systemKinds[code];
  if (code === undefined || kind === undefined) return error;
  const hint = details.hint ?? nextSteps[code];
  return new Failure(kind, code.toLowerCase(), `${doing}: ${describe(code, error)}`, {
    ...details,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

const plainWords: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'a folder of the path is a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'it is read-only',
  EBUSY: 'it is in use',
  EEXIST: 'it already exists',
  ETXTBSY: 'it is in use',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'the link leads back to itself',
  ENOSPC: 'no space left',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file system cannot hold a file of this size',
  EIO: 'the device reported an input/output error',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'the network is unreachable',
  ETIMEDOUT: 'the connection timed out',
  ENOTFOUND: 'the name does not resolve',
};

/** What to do where whoever was at work has nothing better to say. */
const nextSteps: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path',
  ENOTDIR: 'Check the path',
  ENAMETOOLONG: 'Check the path',
  ELOOP: 'Check the path',
  EISDIR: 'Give a file, not a folder',
  EACCES: 'Check who may read and write it, or run this as somebody who may',
  EPERM: 'Check who may read and write it, or run this as somebody who may',
  EROFS: 'Make it writable, or choose another place',
  ENOSPC: 'Make room, or choose another place',
  EDQUOT: 'Make room, or choose another place',
};

/** What the name of a system error (`EIO`) means. */
export function systemErrorWords(code: string): string {
  const words = plainWords[code];
  return words === undefined ? code : `${words} (${code})`;
}

function describe(code: string, error: unknown): string {
  return code in plainWords || !(error instanceof Error) ? systemErrorWords(code) : error.message;
}
