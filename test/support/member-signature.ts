/** What marks a drive as part of something larger, and the byte at which it lies. */
export interface MemberSignature {
  readonly at: number;
  readonly bytes: Buffer;
}

/** The superblock of one drive of a Linux RAID 1 (version 1.2, linux/raid/md_p.h). */
export function raidMember(): MemberSignature {
  const bytes = Buffer.alloc(384);
  bytes.writeUInt32LE(0xa92b4efc, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.fill(0x11, 16, 32);
  bytes.write('host:md0', 32);
  bytes.writeUInt32LE(1, 72);
  bytes.writeBigUInt64LE(100_000n, 80);
  bytes.writeUInt32LE(2, 92);
  bytes.writeBigUInt64LE(2048n, 128);
  bytes.writeBigUInt64LE(100_000n, 136);
  // Where it lies, in sectors.
  bytes.writeBigUInt64LE(8n, 144);
  bytes.writeUInt32LE(128, 220);
  return { at: 4096, bytes };
}

/** The label of a physical volume of LVM2 (lib/format_text/layout.h of LVM2). */
export function lvmMember(): MemberSignature {
  const bytes = Buffer.alloc(512);
  bytes.write('LABELONE', 0);
  bytes.writeBigUInt64LE(1n, 8);
  bytes.writeUInt32LE(32, 20);
  bytes.write('LVM2 001', 24);
  bytes.write('abcdefghijklmnopqrstuvwxyz012345', 32);
  bytes.writeUInt32LE(lvmChecksum(bytes.subarray(20)), 16);
  return { at: 512, bytes };
}

/** CRC-32 that begins with a number of LVM's own and is not inverted. */
function lvmChecksum(bytes: Buffer): number {
  let sum = 0xf597a6cf;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return sum >>> 0;
}
