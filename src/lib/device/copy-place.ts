import { Failure } from '../failure/failure.js';

/** One end of a copy, as the user wrote it. */
export type CopyPlace =
  | { readonly device: undefined; readonly path: string }
  | { readonly device: string; readonly service: string | undefined; readonly path: string };

const bracketed = String.raw`\[[^\]]*\](?::\d+)?`;
const device = String.raw`ssh://(?:[^/:@[\]]+@)?(?:${bracketed}|[^/:[\]]+(?::\d+)?)|(?:[^/:[\]]+@)?${bracketed}|[^/:]+`;
const placeOnDevice = new RegExp(String.raw`^(?<device>${device}):(?:(?<service>[a-z0-9][\w.-]*):)?(?<path>.*)$`, 'is');

/**
 * Takes one end of a copy apart, as scp and docker do: `path`, `device:path` or `device:service:path`. A colon after a slash belongs to the
 * path, so `./a:b` is a file here and `device:./a:b` one on the device. A port of the device's SSH server may follow an address in brackets or a host
 * after `ssh://`.
 */
export function parseCopyPlace(text: string, platform: NodeJS.Platform = process.platform): CopyPlace {
  const isDriveLetter = platform === 'win32' && /^[a-z]:/i.test(text);
  const { device, service, path = '' } = placeOnDevice.exec(text)?.groups ?? {};
  if (isDriveLetter || device === undefined) {
    if (text !== '') return { device: undefined, path: text };
    throw new Failure('usage', 'invalid-copy-place', 'a path must not be empty');
  }
  if (/^ssh$/i.test(device) && path.startsWith('//')) {
    throw new Failure('usage', 'invalid-copy-place', `"${text}" has no colon between the device and the path`, {
      hint: 'Write ssh://<user>@<host>:<port>:<path>',
    });
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
