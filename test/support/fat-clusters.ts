import assert from 'node:assert/strict';
import type { ChangedRanges } from '../../src/lib/image/overlay.js';
import { run } from '../../src/lib/platform/child-process.js';
import { bytesAt } from './disk-content.js';

/** What the boot sector of a FAT file system says. */
export interface VolumeFacts {
  readonly clusterSize: number;
  /** 0 where the root folder can grow. */
  readonly rootEntries: number;
  readonly dataAt: number;
}

/** Reads the boot sector of a FAT file system that begins somewhere in a file. */
export async function volumeFacts(disk: string, start = 0): Promise<VolumeFacts> {
  const sector = await bytesAt(disk, start, 512);
  const sectorSize = sector.readUInt16LE(11);
  const rootEntries = sector.readUInt16LE(17);
  const tables = sector.readUInt8(16) * (sector.readUInt16LE(22) || sector.readUInt32LE(36));
  const dataSector = sector.readUInt16LE(14) + tables + Math.ceil((rootEntries * 32) / sectorSize);
  return { clusterSize: sector.readUInt8(13) * sectorSize, rootEntries, dataAt: dataSector * sectorSize };
}

/** First and last of some clusters. */
type ClusterRange = readonly [first: number, last: number];

/** Whether mtools takes a name as itself: not as a pattern, as somebody's short name or as that of a device. */
export function isPlain(name: string): boolean {
  return !/[[\]~]|(^|\/)nul($|\/)/i.test(name);
}

/**
 * The clusters of files as mtools tells them, by path; those that it would take for a pattern are left out.
 *
 * @param address the file system as mtools wants it
 */
export async function clustersByMtools(
  address: string,
  names: readonly string[],
): Promise<Map<string, readonly ClusterRange[]>> {
  const found = new Map<string, readonly ClusterRange[]>();
  const files = names.filter(isPlain);
  if (files.length === 0) return found;
  const { stdout } = await run('mshowfat', ['-i', address, ...files.map((name) => `::/${name}`)]);
  for (const line of stdout.split('\n')) {
    const [, name = '', runs = ''] = /^::\/(.*?)((?: <[0-9-]+>)*)\s*$/.exec(line) ?? [];
    const ranges = [...runs.matchAll(/<(\d+)(?:-(\d+))?>/g)].map(([, first, last]): ClusterRange => [
      Number(first),
      Number(last ?? first),
    ]);
    found.set(name, ranges);
  }
  return found;
}

/** Demands that nothing was written to the clusters of files that were to stay as they are; offsets are those of the file system. */
export function assertUntouched(
  changes: ChangedRanges,
  stayed: ReadonlyMap<string, readonly ClusterRange[]>,
  { clusterSize, dataAt }: VolumeFacts,
): void {
  for (const [name, ranges] of stayed) {
    for (const [first, last] of ranges) {
      const start = dataAt + (first - 2) * clusterSize;
      const end = dataAt + (last - 1) * clusterSize;
      const hit = changes.find(({ offset, data }) => offset < end && offset + data.length > start);
      assert.equal(hit, undefined, `${name} was not to be touched`);
    }
  }
}
