import type { Recogniser, WhyAllUsed } from './file-systems.js';

/** Sizes of memory pages among the architectures of Linux. */
const pageSizes = [4096, 8192, 16384, 32768, 65536] as const;

/** The header is one page; of smaller ones as much is kept as the largest has. */
const headerSize = 65536;

/** What kernels, uswsusp and TuxOnIce put in place of the signature while the memory of the computer is in the swap. */
const hibernated = ['S1SUSPEND', 'S2SUSPEND', 'ULSUSPEND', 'LINHIB0001', '\xed\xc3\x02\xe9\x98\x56\xe5\x0c'];

/** A Linux swap area (linux/include/linux/swap.h): nothing but its header matters, unless the computer hibernates. */
export const recogniseSwap: Recogniser = (head, size) => {
  const name = 'swap';
  for (const pageSize of pageSizes) {
    if (head.length < pageSize) return undefined;
    const signature = head.toString('latin1', pageSize - 10, pageSize);
    if (hibernated.some((mark) => signature.startsWith(mark))) return { name, unused: 'hibernated' };
    if (signature !== 'SWAPSPACE2') continue;
    const why = faultOf(head, size, pageSize);
    if (why !== undefined) return { name, unused: why };
    const end = (head.readUInt32LE(1028) + 1) * pageSize;
    return { name, unused: end > headerSize ? [{ start: headerSize, size: end - headerSize }] : [] };
  }
  return undefined;
};

function faultOf(head: Buffer, size: number, pageSize: number): WhyAllUsed | undefined {
  // The version is 1; anything else is also what a header of the other byte order looks like.
  if (head.readUInt32LE(1024) !== 1) return 'features';
  const lastPage = head.readUInt32LE(1028);
  return lastPage === 0 || (lastPage + 1) * pageSize > size ? 'damaged' : undefined;
}
