import { crc32 } from 'node:zlib';
import { Failure } from '../failure/failure.js';
import { isBalenaOs, isOlderThan, type OsFacts } from './os-facts.js';

const signature = Buffer.from('89504e470d0a1a0a', 'hex');
/** What no screen of a device needs more of, and its memory could not hold. */
const mostPixels = 8192;

/** Requires a whole PNG image (ISO/IEC 15948): all chunks with good checksums, and a size that a screen can have. */
export function requirePng(content: Buffer, path: string): void {
  const problem = problemOf(content);
  if (problem === undefined) return;
  throw new Failure('usage', 'invalid-splash', `${path} cannot be shown when a device starts: ${problem}`, {
    hint: 'Give a PNG image; the original is about 840 x 840 pixels on a transparent ground',
  });
}

function problemOf(content: Buffer): string | undefined {
  if (!content.subarray(0, 8).equals(signature)) return 'it is not a PNG image';
  for (let at = 8; at + 12 <= content.length;) {
    const end = at + 12 + content.readUInt32BE(at);
    if (end > content.length) return 'it is cut off';
    const chunk = content.subarray(at + 4, end - 4);
    if (crc32(chunk) !== content.readUInt32BE(end - 4)) return 'it is damaged';
    const type = chunk.toString('latin1', 0, 4);
    if ((at === 8) !== (type === 'IHDR')) return 'it is damaged';
    if (type === 'IHDR') {
      if (chunk.length !== 17) return 'it is damaged';
      const [width, height] = [chunk.readUInt32BE(4), chunk.readUInt32BE(8)];
      if (width < 1 || height < 1 || width > mostPixels || height > mostPixels) {
        return `it has ${width} x ${height} pixels, and ${mostPixels} each way are the most`;
      }
    }
    if (type === 'IEND') return undefined;
    at = end;
  }
  return 'it is cut off';
}

/** The file that an OS shows when it starts: the one that is there, else the one of its version (the Supervisor's host-config knows both). */
export function splashPath(os: OsFacts, existing: readonly string[]): string {
  const [now, before] = ['balena-logo.png', 'resin-logo.png'];
  const isOld = existing.includes(before) || (isBalenaOs(os) && isOlderThan(os.osVersion, '2.51.0'));
  return `splash/${!existing.includes(now) && isOld ? before : now}`;
}
