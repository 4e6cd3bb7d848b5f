import { Failure } from '../failure/failure.js';

/** One end of a copy, as the user wrote it. */
export type CopyPlace =
  | { readonly device: undefined; readonly path: string }
  | { readonly device: string; readonly service: string | undefined; readonly path: string };

/**
 * Takes one end of a copy apart, as scp and docker do: `path`, `device:path` or `device:service:path`. A colon after a slash belongs to the
 * path, so `./a:b` is a file here and `device:./a:b` one on the device; the address of a device may be in brackets.
 */
export function parseCopyPlace(text: string, platform: NodeJS.Platform = process.platform): CopyPlace {
  const isDriveLetter = platform === 'win32' && /^[a-z]:/i.test(text);
  const parts =
    /^(?<device>\[[^\]]*\]|[^/:[\]]+@\[[^\]]*\]|[^/:]+):(?:(?<service>[a-zA-Z0-9][\w.-]*):)?(?<path>.*)$/s.exec(text);
  const { device, service, path = '' } = parts?.groups ?? {};
  if (isDriveLetter || device === undefined) {
    if (text !== '') return { device: undefined, path: text };
    throw new Failure('usage', 'invalid-copy-place', 'a path must not be empty');
  }
  if (service !== undefined && path === '') {
    throw new Failure('usage', 'invalid-copy-place', `"${text}" names no path in the service`, {
      hint: `Add one: ${text}/data/file`,
    });
  }
  // As with scp, the home folder is where paths begin.
  const fromHome = path.replace(/^~(?:\/|$)/, '');
  return { device, service, path: service === undefined ? fromHome || '.' : path };
}
