import { writeFile } from 'node:fs/promises';
import { crc32, deflateSync } from 'node:zlib';

const sectorSize = 512;

/** Sectors of one run, as hdiutil has them. */
const runSectors = 512;

/** Numbers of the kinds of runs. */
const kinds = { zeros: 0, raw: 1, free: 2, zlib: 0x8000_0005, end: 0xffff_ffff } as const;

interface Run {
  readonly kind: number;
  readonly sector: number;
  readonly sectors: number;
  readonly offset: number;
  readonly size: number;
}

/**
 * Writes a disk image of macOS (UDIF) as hdiutil would: parts of 4 MiB with a checksum each, their runs packed with zlib, stored, or left out
 * where they hold zeros, then the list of parts and a trailer.
 */
export async function writeMacImage(file: string, content: Buffer): Promise<void> {
  const data: Buffer[] = [];
  let dataSize = 0;
  const parts: string[] = [];
  const partSectors = 16 * runSectors;
  const total = content.length / sectorSize;
  for (let first = 0; first < total; first += partSectors) {
    const runs: Run[] = [];
    let checksum = 0;
    const end = Math.min(total, first + partSectors);
    for (let at = first; at < end; at += runSectors) {
      const sectors = Math.min(runSectors, end - at);
      const bytes = content.subarray(at * sectorSize, (at + sectors) * sectorSize);
      const sector = at - first;
      if (bytes.equals(Buffer.alloc(bytes.length))) {
        const kind = (at / runSectors) % 2 === 0 ? kinds.zeros : kinds.free;
        if (kind === kinds.zeros) checksum = crc32(bytes, checksum);
        runs.push({ kind, sector, sectors, offset: dataSize, size: 0 });
        continue;
      }
      const packed = deflateSync(bytes);
      const isPacked = packed.length < bytes.length;
      const stored = isPacked ? packed : bytes;
      runs.push({ kind: isPacked ? kinds.zlib : kinds.raw, sector, sectors, offset: dataSize, size: stored.length });
      checksum = crc32(bytes, checksum);
      data.push(stored);
      dataSize += stored.length;
    }
    runs.push({ kind: kinds.end, sector: end - first, sectors: 0, offset: dataSize, size: 0 });
    parts.push(partEntry(parts.length, partTable(first, end - first, checksum, runs)));
  }
  const fork = Buffer.concat(data);
  const list = Buffer.from(propertyList(parts));
  await writeFile(file, Buffer.concat([fork, list, trailer(fork, list.length, total)]));
}

function partTable(first: number, sectors: number, checksum: number, runs: readonly Run[]): Buffer {
  const table = Buffer.alloc(204 + 40 * runs.length);
  table.write('mish', 'latin1');
  table.writeUInt32BE(1, 4);
  table.writeBigUInt64BE(BigInt(first), 8);
  table.writeBigUInt64BE(BigInt(sectors), 16);
  table.writeUInt32BE(runSectors + 8, 32);
  writeChecksum(table, 64, checksum);
  table.writeUInt32BE(runs.length, 200);
  for (const [index, { kind, sector, sectors: count, offset, size }] of runs.entries()) {
    const at = 204 + 40 * index;
    table.writeUInt32BE(kind, at);
    for (const [place, value] of [sector, count, offset, size].entries()) {
      table.writeBigUInt64BE(BigInt(value), at + 8 + 8 * place);
    }
  }
  return table;
}

function writeChecksum(target: Buffer, at: number, checksum: number): void {
  target.writeUInt32BE(2, at);
  target.writeUInt32BE(32, at + 4);
  target.writeUInt32BE(checksum, at + 8);
}

function partEntry(id: number, table: Buffer): string {
  return [
    '<dict><key>Attributes</key><string>0x0050</string><key>CFName</key><string>part</string>',
    `<key>Data</key><data>${table.toString('base64')}</data>`,
    `<key>ID</key><string>${id}</string><key>Name</key><string>part</string></dict>`,
  ].join('');
}

function propertyList(parts: readonly string[]): string {
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    `<plist version="1.0"><dict><key>resource-fork</key><dict><key>blkx</key><array>${parts.join('')}</array></dict></dict></plist>`,
  ].join('\n');
}

function trailer(fork: Buffer, listSize: number, sectors: number): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write('koly', 'latin1');
  bytes.writeUInt32BE(4, 4);
  bytes.writeUInt32BE(512, 8);
  bytes.writeBigUInt64BE(BigInt(fork.length), 32);
  bytes.writeUInt32BE(1, 56);
  bytes.writeUInt32BE(1, 60);
  writeChecksum(bytes, 80, crc32(fork));
  bytes.writeBigUInt64BE(BigInt(fork.length), 216);
  bytes.writeBigUInt64BE(BigInt(listSize), 224);
  bytes.writeUInt32BE(1, 488);
  bytes.writeBigUInt64BE(BigInt(sectors), 492);
  return bytes;
}
