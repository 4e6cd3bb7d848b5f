import type { FatGeometry } from './fat-geometry.js';
import { tableEntry } from './fat-table.js';
import type { ByteRange } from './partition-table.js';

/** Files longer than this are content, not settings. */
const longestFile = 1024 * 1024;

/** More than new settings take. */
const freeSpace = 4 * 1024 * 1024;

/**
 * The data of a FAT file system that may be needed to change settings in it: folders and short files, told by the length of their chains, and
 * the free clusters that are taken first. Sorted; bytes from the start of the partition.
 *
 * @param table the allocation table
 */
export function* fatEssentials(geometry: FatGeometry, table: Buffer): Generator<ByteRange> {
  const { bits, clusterSize, clusterCount, dataAt } = geometry;
  const last = clusterCount + 1;
  const longestChain = Math.ceil(longestFile / clusterSize);
  const next = (cluster: number) => tableEntry(table, bits, cluster);
  const isCluster = (cluster: number) => cluster >= 2 && cluster <= last;
  const follows = new Uint8Array(last + 1);
  for (let cluster = 2; cluster <= last; cluster += 1) {
    const successor = next(cluster);
    if (isCluster(successor)) follows[successor] = 1;
  }
  const isNeeded = new Uint8Array(last + 1);
  let free = 0;
  for (let first = 2; first <= last; first += 1) {
    if (next(first) === 0) {
      if (free < freeSpace) isNeeded[first] = 1;
      free += clusterSize;
      continue;
    }
    if (follows[first] === 1) continue;
    const chain: number[] = [];
    for (let at = first; isCluster(at) && chain.length <= longestChain; at = next(at)) chain.push(at);
    const isShort = chain.length <= longestChain;
    const isRoot = 'cluster' in geometry.root && geometry.root.cluster === first;
    if (isShort || isRoot) for (const cluster of chain) isNeeded[cluster] = 1;
  }
  for (let cluster = 2; cluster <= last; cluster += 1) {
    if (isNeeded[cluster] === 1) yield { start: dataAt + (cluster - 2) * clusterSize, size: clusterSize };
  }
}
