import { truncate } from 'node:fs/promises';
import { checked, fillFile } from './loop-device.js';
import { makeVolume, randomKind, randomSize, type VolumeKind } from './random-volume.js';
import { seededRandom } from './seeded-random.js';

const sectorSize = 512;

/** A partition of a random image; `start` and `size` are bytes. */
export interface RandomPartition {
  readonly number: number;
  readonly start: number;
  readonly size: number;
  readonly kind: VolumeKind;
  /** How it was made. */
  readonly words: string;
}

/** An image of a random layout whose partitions hold random file systems. */
export interface RandomImage {
  readonly path: string;
  readonly size: number;
  readonly table: 'gpt' | 'mbr';
  readonly partitions: readonly RandomPartition[];
}

/**
 * Makes an image that depends on a seed only, as far as the programs that make it do.
 *
 * @param first what its first partition holds, when that is not to be random
 */
export async function makeRandomImage(path: string, seed: number, first?: VolumeKind): Promise<RandomImage> {
  const random = seededRandom(seed);
  const table = random.pick(['gpt', 'mbr'] as const);
  const count = 2 + random.below(5);
  const isAligned = random.below(3) > 0;
  const place = (sector: number) => (isAligned ? Math.ceil(sector / 2048) * 2048 : sector);
  /** An extended partition begins in front of the fourth partition, and each logical one has its record in front of it. */
  const firstLogical = table === 'mbr' && count > 3 ? 3 : count;
  let at = place(random.pick([64, 2048, 2049, 6000, 20_480]));
  let container = 0;
  const planned = Array.from({ length: count }, (_, index) => {
    const kind = index === 0 && first !== undefined ? first : randomKind(random);
    if (index > 0) at = place(at + random.pick([0, 0, 1, 8, 5000]));
    if (index === firstLogical) container = at;
    if (index >= firstLogical) at = place(at + 64);
    const size = randomSize(kind, random);
    const start = at * sectorSize;
    at += size / sectorSize;
    return { kind, start, size, number: index >= firstLogical ? index + 2 : index + 1 };
  });
  const size = (at + 34 + random.below(100)) * sectorSize;
  // Boot loaders lie in the gaps.
  await fillFile(path, size, random.pick([0, 0x42]));
  const line = (start: number, length: number, type: string) =>
    `start=${start / sectorSize}, size=${length / sectorSize}, type=${type}`;
  const type = table === 'gpt' ? 'L' : '83';
  const script = [
    `label: ${table === 'gpt' ? 'gpt' : 'dos'}`,
    'unit: sectors',
    ...(table === 'gpt' ? ['first-lba: 34'] : []),
    ...planned.flatMap((one, index) => [
      ...(index === firstLogical ? [line(container * sectorSize, at * sectorSize - container * sectorSize, '5')] : []),
      line(one.start, one.size, type),
    ]),
  ].join('\n');
  await checked(['sfdisk', '--quiet', '--no-reread', '--wipe', 'never', path], `${script}\n`);
  const partitions: RandomPartition[] = [];
  for (const one of planned) {
    const file = `${path}.volume`;
    const words = await makeVolume(one.kind, file, one.size, random);
    await truncate(file, one.size);
    const target = [`of=${path}`, `seek=${one.start}`, 'oflag=seek_bytes', 'conv=notrunc'];
    await checked(['dd', `if=${file}`, ...target, 'bs=4M', 'status=none']);
    partitions.push({ ...one, words });
  }
  return { path, size, table, partitions };
}
