import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { openBlockFile } from '../../src/lib/image/block-file.js';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { seededRandom } from './seeded-random.js';

const mebibyte = 1024 * 1024;
const sectorSize = 512;

/** MBR type byte of a FAT, as parted chooses it. */
const fatTypes = { 12: 0x01, 16: 0x0e, 32: 0x0c } as const;

/** What a small test image is to look like; every field has a default. */
export interface OsImageOptions {
  /** `mbr` has an extended container as number 4, so that state and data are 5 and 6. Default `gpt`. */
  readonly table?: 'gpt' | 'mbr';
  /** Bits of the boot partition's FAT. Default 16. */
  readonly fat?: 12 | 16 | 32;
  /** Labels `flash-*`, no `/os-release` on the boot partition, state and data without a file system. */
  readonly flasher?: boolean;
  /** Mebibytes of the boot partition; default 16 (40 for FAT32, 4 for FAT12). */
  readonly bootSize?: number;
  /** Mebibytes of the data partition; default 24. */
  readonly dataSize?: number;
  /** Random but repeatable content; default 1. */
  readonly seed?: number;
  readonly deviceType?: string;
  readonly osVersion?: string;
  /** Text of `/config.json`; default a fresh image's. `null` leaves it out. */
  readonly config?: string | null;
  /** Whether the boot partition has the list of its own files that the OS's build makes. Default false. */
  readonly fingerprint?: boolean;
  /** More files of the boot partition, by path without a leading slash; `null` leaves out one that would be there. */
  readonly bootFiles?: Readonly<Record<string, string | Buffer | null>>;
  /** Label of the boot partition's file system and its GPT name, when they are not to be the documented ones. */
  readonly bootLabel?: string;
  readonly bootName?: string;
  /** Partitions in front of the boot partition, as on a Jetson. Default 0; GPT only. */
  readonly partitionsBeforeBoot?: number;
}

/** One partition of a test image; `start` and `size` are bytes. */
export interface OsImagePartition {
  readonly number: number;
  readonly label: string;
  readonly start: number;
  readonly size: number;
}

/** A test image that was made. */
export interface OsImage {
  readonly path: string;
  readonly size: number;
  readonly partitions: readonly OsImagePartition[];
  readonly boot: OsImagePartition;
  /** The boot partition as mtools wants it: `image@@offset`. */
  readonly bootAddress: string;
  /** Seeded files in rootA (and data, unless a flasher), by path. */
  readonly rootFiles: Readonly<Record<string, Buffer>>;
}

/**
 * Makes a small image in balena's documented layout with mkfs and mtools, without root or mounts, in a tenth of a
 * second: 4 MiB free, boot (FAT), rootA (ext4, 12 MiB), rootB (ext4, 12 MiB, empty), state (ext4, 8 MiB), data (ext4), 1 MiB for
 * the backup GPT. The same options give the same content (not the same bytes).
 */
export async function makeOsImage(imagePath: string, options: OsImageOptions = {}): Promise<OsImage> {
  const prefix = options.flasher === true ? 'flash' : 'resin';
  const planned = plan(options, prefix);
  const size = Math.max(...planned.map((one) => one.start + one.size)) + mebibyte;
  await rm(imagePath, { force: true });
  await writeFile(imagePath, '');
  await truncate(imagePath, size);
  if (options.table === 'mbr') await makeBootRecords(imagePath, planned, fatTypes[options.fat ?? 16]);
  else await makeGuidTable(imagePath, size, planned);
  const boot = planned.find((one) => one.role === 'boot');
  if (boot === undefined) throw new Error('a test image has a boot partition');
  const work = `${imagePath}.work`;
  await mkdir(work);
  try {
    const bootAddress = `${imagePath}@@${boot.start}`;
    await makeFat(imagePath, boot, options);
    await copyTree(path.join(work, 'boot'), bootFiles(options, prefix), bootAddress);
    const rootFiles = seededFiles(options.seed ?? 1);
    const release = osRelease(options);
    for (const partition of planned) {
      const tree = path.join(work, partition.role);
      if (partition.role === 'rootA') {
        await writeTree(tree, { 'etc/os-release': release, 'usr/lib/os-release': release, ...rootFiles });
      } else if (partition.role === 'rootB' || partition.role === 'state') {
        await mkdir(tree);
      } else if (partition.role === 'data') {
        await writeTree(tree, { 'apps.json': '{}\n', ...rootFiles });
      } else continue;
      if (options.flasher === true && (partition.role === 'state' || partition.role === 'data')) continue;
      await makeExt4(imagePath, partition, tree);
    }
    return { path: imagePath, size, partitions: planned, boot, bootAddress, rootFiles };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The content of a file on a test image's boot partition, read by mtools. */
export async function readBootFile(image: Pick<OsImage, 'bootAddress'>, name: string, copyTo: string): Promise<Buffer> {
  await runChecked(`reading ${name}`, 'mcopy', ['-n', '-o', '-i', image.bootAddress, `::/${name}`, copyTo]);
  const content = await readFile(copyTo);
  await rm(copyTo);
  return content;
}

type Role = 'blob' | 'boot' | 'rootA' | 'rootB' | 'state' | 'data';

interface PlannedPartition extends OsImagePartition {
  readonly role: Role;
}

function plan(options: OsImageOptions, prefix: string): PlannedPartition[] {
  const bootSize = options.bootSize ?? { 12: 4, 16: 16, 32: 40 }[options.fat ?? 16];
  const blobs = Array.from({ length: options.partitionsBeforeBoot ?? 0 }, (_, index) => ({
    role: 'blob' as const,
    label: `blob-${index + 1}`,
    mebibytes: 1,
  }));
  const wanted: readonly { role: Role; label: string; mebibytes: number }[] = [
    ...blobs,
    { role: 'boot', label: options.bootName ?? `${prefix}-boot`, mebibytes: bootSize },
    { role: 'rootA', label: `${prefix}-rootA`, mebibytes: 12 },
    { role: 'rootB', label: `${prefix}-rootB`, mebibytes: 12 },
    { role: 'state', label: `${prefix}-state`, mebibytes: 8 },
    { role: 'data', label: `${prefix}-data`, mebibytes: options.dataSize ?? 24 },
  ];
  const isMbr = options.table === 'mbr';
  let at = 4;
  return wanted.map(({ role, label, mebibytes }, index) => {
    const isLogical = isMbr && index >= 3;
    // 4 MiB before each logical partition hold its extended boot record, as balena's image maker leaves them.
    if (isLogical) at += 4;
    const start = at * mebibyte;
    at += mebibytes;
    return { role, label, number: isLogical ? index + 2 : index + 1, start, size: mebibytes * mebibyte };
  });
}

/** Written by hand because sgdisk takes a second for it; the tests compare the result with what others see. */
async function makeGuidTable(imagePath: string, size: number, planned: readonly PlannedPartition[]): Promise<void> {
  const entries = Buffer.alloc(128 * 128);
  for (const { number, role, label, start, size: length } of planned) {
    const at = (number - 1) * 128;
    guid(role === 'boot' ? espType : linuxType).copy(entries, at);
    guid(`00000000-0000-4000-8000-${String(number).padStart(12, '0')}`).copy(entries, at + 16);
    entries.writeBigUInt64LE(BigInt(start / sectorSize), at + 32);
    entries.writeBigUInt64LE(BigInt((start + length) / sectorSize - 1), at + 40);
    entries.write(label, at + 56, 72, 'utf16le');
  }
  const last = size / sectorSize - 1;
  const header = (own: number, other: number, entriesAt: number) => {
    const sector = Buffer.alloc(sectorSize);
    sector.write('EFI PART\0\0\x01\0\x5c\0\0\0', 'latin1');
    for (const [offset, value] of [
      [24, own],
      [32, other],
      [40, 34],
      [48, last - 33],
      [72, entriesAt],
    ] as const) {
      sector.writeBigUInt64LE(BigInt(value), offset);
    }
    guid('00000000-0000-4000-8000-000000000000').copy(sector, 56);
    sector.writeUInt32LE(128, 80);
    sector.writeUInt32LE(128, 84);
    sector.writeUInt32LE(crc32(entries), 88);
    sector.writeUInt32LE(crc32(sector.subarray(0, 92)), 16);
    return sector;
  };
  const protective = bootRecord([{ type: 0xee, start: sectorSize, size: last * sectorSize }]);
  const file = await openBlockFile(imagePath, { writable: true });
  await file.write(0, Buffer.concat([protective, header(1, last, 2), entries]));
  await file.write((last - 32) * sectorSize, Buffer.concat([entries, header(last, 1, last - 32)]));
  await file.close();
}

const espType = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
const linuxType = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';

/** A GUID as it is stored: its first three groups little-endian. */
function guid(text: string): Buffer {
  const groups = text.split('-').map((group) => Buffer.from(group, 'hex'));
  return Buffer.concat(groups.map((group, index) => (index < 3 ? group.reverse() : group)));
}

/** Boot records as parted writes them: each logical partition 4 MiB behind its own extended boot record. */
async function makeBootRecords(
  imagePath: string,
  planned: readonly PlannedPartition[],
  bootType: number,
): Promise<void> {
  const logicals = planned.filter((one) => one.number > 4);
  const recordOf = (logical: OsImagePartition) => logical.start - 4 * mebibyte;
  const [first, last] = [logicals[0], logicals.at(-1)];
  if (first === undefined || last === undefined) throw new Error('an MBR test image has logical partitions');
  const container = recordOf(first);
  const file = await openBlockFile(imagePath, { writable: true });
  await file.write(
    0,
    bootRecord([
      ...planned
        .filter((one) => one.number < 4)
        .map(({ role, start, size }) => ({ type: role === 'boot' ? bootType : 0x83, start, size })),
      { type: 0x0f, start: container, size: last.start + last.size - container },
    ]),
  );
  for (const [index, logical] of logicals.entries()) {
    const next = logicals[index + 1];
    const link = next && {
      type: 0x05,
      start: recordOf(next) - container,
      size: next.start + next.size - recordOf(next),
    };
    const own = { type: 0x83, start: logical.start - recordOf(logical), size: logical.size };
    await file.write(recordOf(logical), bootRecord([own, ...(link === undefined ? [] : [link])]));
  }
  await file.close();
}

function bootRecord(entries: readonly { type: number; start: number; size: number }[]): Buffer {
  const record = Buffer.alloc(sectorSize);
  for (const [slot, { type, start, size }] of entries.entries()) {
    const at = 446 + slot * 16;
    record.writeUInt8(type, at + 4);
    record.writeUInt32LE(start / sectorSize, at + 8);
    record.writeUInt32LE(size / sectorSize, at + 12);
  }
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

async function makeFat(imagePath: string, boot: OsImagePartition, options: OsImageOptions): Promise<void> {
  const label = options.bootLabel ?? (options.flasher === true ? 'flash-boot' : 'resin-boot');
  await runChecked('making the boot partition', 'mkfs.vfat', [
    ...['-F', String(options.fat ?? 16), '-n', label, '-i', '0da71701', '--invariant'],
    ...['--offset', String(boot.start / sectorSize), imagePath, String(boot.size / 1024)],
  ]);
}

async function makeExt4(imagePath: string, partition: OsImagePartition, tree: string): Promise<void> {
  const uuid = `00000000-0000-4000-9000-${String(partition.number).padStart(12, '0')}`;
  await runChecked(`making ${partition.label}`, 'mke2fs', [
    ...['-q', '-F', '-t', 'ext4', '-b', '4096', '-L', partition.label, '-U', uuid, '-d', tree],
    ...['-E', `offset=${partition.start},hash_seed=${uuid},nodiscard`, imagePath, `${partition.size / 1024}k`],
  ]);
}

function osRelease(options: OsImageOptions): string {
  const version = options.osVersion ?? '6.8.1';
  return [
    'ID="balena-os"',
    'NAME="balenaOS"',
    `VERSION="${version}"`,
    `VERSION_ID="${version}"`,
    `PRETTY_NAME="balenaOS ${version}"`,
    `MACHINE="${options.deviceType ?? 'raspberrypi4-64'}"`,
    `META_BALENA_VERSION="${version}"`,
    '',
  ].join('\n');
}

function bootFiles(options: OsImageOptions, prefix: string): Record<string, string | Buffer> {
  const isFlasher = prefix === 'flash';
  const slug = options.deviceType ?? 'raspberrypi4-64';
  const deviceType = {
    version: 1,
    slug,
    name: `Test board ${slug}`,
    arch: 'aarch64',
    state: 'RELEASED',
    yocto: { machine: slug, image: isFlasher ? 'balena-image-flasher' : 'balena-image', fstype: 'balenaos-img' },
    configuration: { config: { partition: 1, path: '/config.json' } },
  };
  const all: Record<string, string | Buffer | null> = {
    [isFlasher ? 'balena-image-flasher' : 'balena-image']: 'DO NOT REMOVE THIS FILE\n',
    'config.json': JSON.stringify({ deviceType: slug, persistentLogging: false }),
    'device-type.json': JSON.stringify(deviceType),
    ...(isFlasher ? {} : { 'os-release': osRelease(options) }),
    'image-version-info': `balena-image-${slug}-20260101000000\n`,
    'splash/balena-logo.png': seededRandom(options.seed ?? 1).bytes(6000),
    'system-connections/README.ignore': 'Put NetworkManager connection files in this folder.\n',
    'system-connections/balena-sample.ignore': sampleConnection,
    'system-proxy/README.ignore': 'Put redsocks.conf in this folder.\n',
    ...(options.config === undefined ? {} : { 'config.json': options.config }),
    ...options.bootFiles,
  };
  const files = Object.entries(all).flatMap(([name, content]) => (content === null ? [] : [[name, content] as const]));
  const fingerprint = files
    .filter(([name]) => name !== 'config.json')
    .map(([name, content]) => `${createHash('md5').update(content).digest('hex')}  /${name}\n`);
  return Object.fromEntries([
    ...files,
    ...(options.fingerprint === true ? [['balenaos.fingerprint', fingerprint.join('')] as const] : []),
  ]);
}

const sampleConnection = `[connection]
id=resin-sample
type=wifi

[wifi]
hidden=true
mode=infrastructure
ssid=My_Wifi_Ssid

[wifi-security]
auth-alg=open
key-mgmt=wpa-psk
psk=super_secret_wifi_password

[ipv4]
method=auto

[ipv6]
addr-gen-mode=stable-privacy
method=auto
`;

function seededFiles(seed: number): Record<string, Buffer> {
  const source = seededRandom(seed);
  return Object.fromEntries(
    [1, 5_000, 300_000, 1_500_000, 2_000_000].map((size, index) => [`seeded/file-${index}`, source.bytes(size)]),
  );
}

async function writeTree(folder: string, files: Readonly<Record<string, string | Buffer>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
  }
}

async function copyTree(folder: string, files: Record<string, string | Buffer>, address: string): Promise<void> {
  await writeTree(folder, files);
  const topLevel = [...new Set(Object.keys(files).map((name) => name.split('/')[0] ?? name))];
  if (topLevel.length === 0) return;
  const sources = topLevel.map((name) => path.join(folder, name));
  await runChecked('filling the boot partition', 'mcopy', ['-s', '-i', address, ...sources, '::/']);
}
