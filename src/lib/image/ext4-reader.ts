import { posix } from 'node:path';
import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';

/** What the superblock says, as far as reading needs it. */
interface Superblock {
  readonly label: string;
  readonly blockSize: number;
  readonly firstBlock: number;
  readonly inodesPerGroup: number;
  readonly inodeCount: number;
  readonly inodeSize: number;
  readonly descriptorSize: number;
}

interface Inode {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly size: number;
  /** The 60 bytes that hold the extent tree or a short link. */
  readonly body: Buffer;
  readonly hasExtents: boolean;
}

const rootInode = 2;
/** Enough for any text file that is of interest here, and little enough that damage cannot fill the memory. */
const largestFile = 4 * 1024 * 1024;
const deepestTree = 5;
const mostLinks = 8;

/** The label of an ext2, ext3 or ext4 file system, or undefined when it is none. */
export async function readExt4Label(reader: BlockReader): Promise<string | undefined> {
  return (await readSuperblock(reader))?.label;
}

/**
 * The content of a small file on an ext4 file system with extents, following symbolic links; undefined when it is not there, or
 * this is not ext4. (https://docs.kernel.org/filesystems/ext4 describes the layout.)
 */
export async function readExt4File(reader: BlockReader, path: string): Promise<Buffer | undefined> {
  const superblock = await readSuperblock(reader);
  if (superblock === undefined) return undefined;
  const fileSystem = new Ext4Reader(reader, superblock);
  let target = posix.normalize(`/${path}`);
  for (let links = 0; links <= mostLinks; links += 1) {
    const found = await fileSystem.walk(target);
    if (found === undefined || found.inode.kind === 'file') return found && (await fileSystem.content(found.inode));
    if (found.inode.kind !== 'link') return undefined;
    const link = String(await fileSystem.content(found.inode));
    target = posix.normalize(posix.join(posix.isAbsolute(link) ? '/' : found.folder, link, found.rest));
  }
  throw damaged(`${path} leads through too many symbolic links`);
}

async function readSuperblock(reader: BlockReader): Promise<Superblock | undefined> {
  if (reader.size < 2048) return undefined;
  const block = await reader.read(1024, 1024);
  if (block.readUInt16LE(56) !== 0xef53) return undefined;
  const has64Bit = (block.readUInt32LE(96) & 0x80) !== 0;
  const isFirstRevision = block.readUInt32LE(76) === 0;
  const superblock = {
    label: block.toString('utf8', 120, 136).replace(/\0.*$/s, ''),
    blockSize: 1024 << Math.min(block.readUInt32LE(24), 6),
    firstBlock: block.readUInt32LE(20),
    inodesPerGroup: block.readUInt32LE(40),
    inodeCount: block.readUInt32LE(0),
    inodeSize: isFirstRevision ? 128 : block.readUInt16LE(88),
    descriptorSize: has64Bit ? Math.max(32, block.readUInt16LE(254)) : 32,
  };
  if (superblock.inodesPerGroup === 0 || superblock.inodeSize < 128) throw damaged('its superblock makes no sense');
  return superblock;
}

class Ext4Reader {
  readonly #reader: BlockReader;
  readonly #superblock: Superblock;

  constructor(reader: BlockReader, superblock: Superblock) {
    this.#reader = reader;
    this.#superblock = superblock;
  }

  /** Walks down a path as far as it goes without a link: the inode there, the folder it is in, and what of the path is left. */
  async walk(path: string): Promise<{ inode: Inode; folder: string; rest: string } | undefined> {
    const names = path.split('/').filter((name) => name !== '');
    let inode = await this.#inode(rootInode);
    let folder = '/';
    for (const [index, name] of names.entries()) {
      if (inode.kind !== 'folder') return undefined;
      const number = entriesOf(await this.content(inode)).get(name);
      if (number === undefined) return undefined;
      inode = await this.#inode(number);
      if (inode.kind === 'link') return { inode, folder, rest: names.slice(index + 1).join('/') };
      if (index < names.length - 1) folder = posix.join(folder, name);
    }
    return { inode, folder, rest: '' };
  }

  async content(inode: Inode): Promise<Buffer> {
    if (inode.size > largestFile) throw damaged(`a file of ${inode.size} bytes is too large to be read here`);
    if (inode.kind === 'link' && inode.size < 60 && !inode.hasExtents) return inode.body.subarray(0, inode.size);
    if (!inode.hasExtents) throw unsupported('a file without extents');
    const content = Buffer.alloc(inode.size);
    await this.#readExtents(inode.body, content, deepestTree);
    return content;
  }

  async #inode(number: number): Promise<Inode> {
    const { inodesPerGroup, inodeCount, inodeSize, descriptorSize, blockSize, firstBlock } = this.#superblock;
    if (number < 1 || number > inodeCount) throw damaged(`inode ${number} does not exist`);
    const group = Math.floor((number - 1) / inodesPerGroup);
    const descriptor = await this.#reader.read((firstBlock + 1) * blockSize + group * descriptorSize, descriptorSize);
    const high = descriptorSize >= 64 ? descriptor.readUInt32LE(40) : 0;
    const table = (high * 2 ** 32 + descriptor.readUInt32LE(8)) * blockSize;
    const raw = await this.#reader.read(table + ((number - 1) % inodesPerGroup) * inodeSize, inodeSize);
    return {
      kind: kinds[raw.readUInt16LE(0) >> 12] ?? 'other',
      size: raw.readUInt32LE(108) * 2 ** 32 + raw.readUInt32LE(4),
      body: raw.subarray(40, 100),
      hasExtents: (raw.readUInt32LE(32) & 0x80000) !== 0,
    };
  }

  async #readExtents(node: Buffer, content: Buffer, depthLeft: number): Promise<void> {
    const { blockSize } = this.#superblock;
    const entries = node.readUInt16LE(2);
    const depth = node.readUInt16LE(6);
    if (node.readUInt16LE(0) !== 0xf30a || 12 + entries * 12 > node.length || depthLeft === 0) {
      throw damaged('an extent tree makes no sense');
    }
    for (let index = 0; index < entries; index += 1) {
      const entry = node.subarray(12 + index * 12, 24 + index * 12);
      if (depth > 0) {
        const at = (entry.readUInt16LE(8) * 2 ** 32 + entry.readUInt32LE(4)) * blockSize;
        await this.#readExtents(await this.#reader.read(at, blockSize), content, depthLeft - 1);
        continue;
      }
      const from = entry.readUInt32LE(0) * blockSize;
      const length = entry.readUInt16LE(4) * blockSize;
      // Longer ones are reserved but not written yet, and read as zeros.
      if (entry.readUInt16LE(4) > 32768 || from >= content.length) continue;
      const at = (entry.readUInt16LE(6) * 2 ** 32 + entry.readUInt32LE(8)) * blockSize;
      (await this.#reader.read(at, Math.min(length, content.length - from))).copy(content, from);
    }
  }
}

const kinds: Readonly<Record<number, Inode['kind']>> = { 8: 'file', 4: 'folder', 10: 'link' };

/** Names and inodes in a folder; the index blocks of large folders look like one unused entry and are skipped with it. */
function entriesOf(folder: Buffer): Map<string, number> {
  const entries = new Map<string, number>();
  let at = 0;
  while (at + 8 <= folder.length) {
    const inode = folder.readUInt32LE(at);
    const length = folder.readUInt16LE(at + 4);
    if (length < 8) throw damaged('a folder entry has no length');
    if (inode !== 0) entries.set(folder.toString('utf8', at + 8, at + 8 + folder.readUInt8(at + 6)), inode);
    at += length;
  }
  return entries;
}

function damaged(why: string): Failure {
  return new Failure('failed', 'file-system-damaged', `the ext4 file system cannot be read: ${why}`);
}

function unsupported(what: string): Failure {
  return new Failure('refused', 'file-system-unsupported', `the ext4 file system uses what davit cannot read: ${what}`);
}
