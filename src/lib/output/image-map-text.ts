import type { ImageMap, MappedPartition } from '../flash/map-image.js';
import { formatBytes, printable } from './format.js';
import { tableLines } from './table.js';

const tables = { gpt: 'GPT', mbr: 'MBR', none: 'no partition table' } as const;

const reasons: Readonly<Record<NonNullable<MappedPartition['whyAllUsed']>, string>> = {
  unknown: 'all: nothing that is known is in it',
  'not-understood': 'all: its free space cannot be told',
  ambiguous: 'all: it looks like more than one thing',
  unclean: 'all: it was not unmounted cleanly',
  hibernated: 'all: it holds the memory of a hibernated computer',
  features: 'all: it uses features that are not known',
  damaged: 'all: it is damaged',
  followed: 'all: something follows the file system',
  overlaps: 'all: it overlaps something else',
  unseen: 'all: the image ends before it',
};

/** What matters of an image, for people. */
export function imageMapLines({ image, table, used, partitions }: ImageMap): string[] {
  const rows = partitions.map(({ number, name, fileSystem, start, size, used: bytes, whyAllUsed }) => [
    String(number),
    name ?? '-',
    fileSystem ?? '-',
    formatBytes(start),
    formatBytes(size),
    formatBytes(bytes),
    formatBytes(size - bytes),
    whyAllUsed === null ? '' : reasons[whyAllUsed],
  ]);
  const inPartitions = partitions.reduce((sum, { used: bytes }) => sum + bytes, 0);
  const outside = formatBytes(Math.max(0, used - inPartitions));
  rows.push(['-', 'outside', '-', '-', outside, outside, formatBytes(0), 'all: tables and boot loaders']);
  return [
    `${image.name}: ${image.format}, ${tables[table]}, ${formatBytes(used)} of ${formatBytes(image.size)} used`,
    ...tableLines(['#', 'name', 'file system', 'start', 'size', 'used', 'free', 'why'], rows),
  ].map(printable);
}
