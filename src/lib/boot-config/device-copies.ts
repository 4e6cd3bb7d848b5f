import { type BlockReader, sliceOf } from '../image/block-file.js';
import { readExt4File, readExt4Label } from '../image/ext4-reader.js';
import type { PartitionTable } from '../image/partition-table.js';

const stateNames: readonly string[] = ['resin-state', 'balena-state'];

/** Where a device keeps its copies of the files of `system-connections`, on its state partition (meta-balena's bind mounts). */
const copies = '/root-overlay/etc/NetworkManager/system-connections';

/** Which files of `system-connections` a device has copied that started from this card: it keeps them, whatever becomes of the originals. */
export async function copiedByDevice(
  reader: BlockReader,
  table: PartitionTable,
  names: readonly string[],
): Promise<string[]> {
  for (const { name, start, size } of table.partitions) {
    if (start + size > reader.size || (name !== undefined && !stateNames.includes(name))) continue;
    const state = sliceOf(reader, start, size);
    if (!stateNames.includes(name ?? (await readExt4Label(state)) ?? '')) continue;
    const copied: string[] = [];
    for (const one of names) {
      if ((await readExt4File(state, `${copies}/${one}`)) !== undefined) copied.push(one);
    }
    return copied;
  }
  return [];
}
