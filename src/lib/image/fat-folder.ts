import { lettersOfShortName, readShortName, shortFormOf, shortNameChecksum, type ShortName } from './fat-name.js';
import { sectorSize } from './overlay.js';

/** One file or folder as its folder's bytes describe it. */
export interface FolderEntry {
  readonly name: string;
  readonly short: ShortName;
  readonly isFolder: boolean;
  readonly size: number;
  /** 0 for an empty file. */
  readonly firstCluster: number;
  /** Slots of 32 bytes that the entry takes: its long name's, then its own. */
  readonly firstSlot: number;
  readonly lastSlot: number;
}

/** What is written about a file or folder. */
export interface EntryContent {
  readonly isFolder: boolean;
  readonly size: number;
  readonly firstCluster: number;
  readonly time: FatTime;
}

/** A moment as FAT writes it: date and time words, two seconds fine. */
export interface FatTime {
  readonly date: number;
  readonly time: number;
}

/** Bytes of one slot. */
export const slotSize = 32;

const slotsPerSector = sectorSize / slotSize;

const lettersPerSlot = 13;
const freeMark = 0xe5;
const attributes = {
  readOnly: 0x01,
  hidden: 0x02,
  system: 0x04,
  label: 0x08,
  folder: 0x10,
  archive: 0x20,
  longName: 0x0f,
} as const;

/** A moment in UTC as FAT writes it; FAT knows the years 1980 to 2107. */
export function fatTime(moment: Date): FatTime {
  const year = Math.min(Math.max(moment.getUTCFullYear(), 1980), 2107);
  return {
    date: ((year - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate(),
    time: (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1),
  };
}

/** The files and folders in a folder's bytes, without `.`, `..` and the volume label. */
export function parseFolder(bytes: Buffer): FolderEntry[] {
  const entries: FolderEntry[] = [];
  let longName = new LongNameReader();
  for (const [index, slot] of usedSlots(bytes)) {
    const attribute = slot.readUInt8(11);
    if ((attribute & 0x3f) === attributes.longName) {
      longName.add(slot, index);
      continue;
    }
    const found = longName.nameFor(slot);
    longName = new LongNameReader();
    if ((attribute & attributes.label) !== 0 || slot.readUInt8(0) === 0x2e) continue;
    entries.push({
      name: found?.name ?? shortNameIn(slot),
      short: slot.toString('latin1', 0, 11),
      isFolder: (attribute & attributes.folder) !== 0,
      size: slot.readUInt32LE(28),
      firstCluster: (slot.readUInt16LE(20) << 16) | slot.readUInt16LE(26),
      firstSlot: found?.firstSlot ?? index,
      lastSlot: index,
    });
  }
  return entries;
}

/** The volume label in the root folder's bytes. */
export function labelIn(bytes: Buffer): string | undefined {
  for (const [, slot] of usedSlots(bytes)) {
    const attribute = slot.readUInt8(11);
    if ((attribute & 0x3f) !== attributes.longName && (attribute & attributes.label) !== 0)
      return slot.toString('latin1', 0, 11).trimEnd();
  }
  return undefined;
}

/** The slots that name a new file: none of the names already in the folder is used again. */
export function encodeEntry(name: string, content: EntryContent, folder: Buffer): Buffer {
  const taken = new Set([...usedSlots(folder)].map(([, slot]) => slot.toString('latin1', 0, 11)));
  const { short, isExact } = shortFormOf(name, taken);
  const own = Buffer.alloc(slotSize);
  own.write(short, 0, 'latin1');
  own.writeUInt16LE(content.time.time, 14);
  own.writeUInt16LE(content.time.date, 16);
  updateSlot(own, content);
  return isExact ? own : Buffer.concat([...longNameSlots(name, shortNameChecksum(own.subarray(0, 11))), own]);
}

/** Changes what a file's own slot says, but not its name nor when it was made. */
export function updateEntry(folder: Buffer, entry: FolderEntry, content: EntryContent): void {
  updateSlot(folder.subarray(entry.lastSlot * slotSize, (entry.lastSlot + 1) * slotSize), content);
}

/** Marks an entry's slots as free. */
export function eraseEntry(folder: Buffer, entry: FolderEntry): void {
  for (let slot = entry.firstSlot; slot <= entry.lastSlot; slot += 1) folder.writeUInt8(freeMark, slot * slotSize);
}

/**
 * The first of `count` free slots in a row, which may be those at the end of the folder's bytes and some beyond them: then the
 * folder has to grow first. They are in one sector if they fit into one, so that a name comes up with one write; in a folder that cannot grow,
 * only if there is room. What lies behind the end mark is cleared, so that using slots there revives nothing.
 */
export function findFreeSlots(folder: Buffer, count: number, mayGrow: boolean): number {
  const slots = folder.length / slotSize;
  let end = 0;
  while (end < slots && folder.readUInt8(end * slotSize) !== 0) end += 1;
  folder.fill(0, end * slotSize);
  const whole = firstFree(folder, count, end, count <= slotsPerSector);
  const start = mayGrow || whole + count <= slots ? whole : firstFree(folder, count, end, false);
  // The end mark moves behind the new name.
  for (let slot = end; slot < start; slot += 1) folder.writeUInt8(freeMark, slot * slotSize);
  return start;
}

function firstFree(folder: Buffer, count: number, end: number, inOneSector: boolean): number {
  let start = 0;
  for (let slot = 0; ; slot += 1) {
    if (slot < end && folder.readUInt8(slot * slotSize) !== freeMark) start = slot + 1;
    if (inOneSector && slot % slotsPerSector === 0 && slot > start) start = slot;
    if (slot - start + 1 === count) return start;
  }
}

/** The first two slots of every folder but the root: itself, and the folder it is in (0 for the root). */
export function dotEntries(own: EntryContent, parentCluster: number): Buffer {
  const slot = (name: string, firstCluster: number) => {
    const bytes = Buffer.alloc(slotSize);
    bytes.write(name.padEnd(11), 0, 'latin1');
    bytes.writeUInt16LE(own.time.time, 14);
    bytes.writeUInt16LE(own.time.date, 16);
    updateSlot(bytes, { ...own, firstCluster });
    return bytes;
  };
  return Buffer.concat([slot('.', own.firstCluster), slot('..', parentCluster)]);
}

function updateSlot(slot: Buffer, content: EntryContent): void {
  const kept = slot.readUInt8(11) & (attributes.readOnly | attributes.hidden | attributes.system);
  slot.writeUInt8(kept | (content.isFolder ? attributes.folder : attributes.archive), 11);
  slot.writeUInt16LE(content.time.date, 18);
  slot.writeUInt16LE(content.firstCluster >>> 16, 20);
  slot.writeUInt16LE(content.time.time, 22);
  slot.writeUInt16LE(content.time.date, 24);
  slot.writeUInt16LE(content.firstCluster & 0xffff, 26);
  slot.writeUInt32LE(content.isFolder ? 0 : content.size, 28);
}

function* usedSlots(bytes: Buffer): Generator<[number, Buffer]> {
  for (let index = 0; index < bytes.length / slotSize; index += 1) {
    const slot = bytes.subarray(index * slotSize, (index + 1) * slotSize);
    const mark = slot.readUInt8(0);
    if (mark === 0) return;
    if (mark !== freeMark) yield [index, slot];
  }
}

/** Windows NT and Linux keep the case of an all-lower-case short name in two flags. */
function shortNameIn(slot: Buffer): string {
  const flags = slot.readUInt8(12);
  const stored = slot.toString('latin1', 0, 11);
  // A first letter 0xE5 would read as "free", so it is stored as 5.
  const text = lettersOfShortName(slot.readUInt8(0) === 0x05 ? `\u00e5${stored.slice(1)}` : stored);
  const lower = (part: string, flag: number) => ((flags & flag) === 0 ? part : part.toLowerCase());
  return readShortName(lower(text.slice(0, 8), 0x08) + lower(text.slice(8), 0x10));
}

/** Where the 13 letters of a long-name slot lie in it. */
const letterOffsets = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] as const;

function longNameSlots(name: string, checksum: number): Buffer[] {
  const count = Math.ceil(name.length / lettersPerSlot);
  return Array.from({ length: count }, (_, index) => {
    const order = count - index;
    const slot = Buffer.alloc(slotSize);
    slot.writeUInt8(index === 0 ? order | 0x40 : order, 0);
    slot.writeUInt8(attributes.longName, 11);
    slot.writeUInt8(checksum, 13);
    for (const [letter, offset] of letterOffsets.entries()) {
      const at = (order - 1) * lettersPerSlot + letter;
      // One zero ends the name, the rest of the slot is filled with ones.
      slot.writeUInt16LE(at < name.length ? name.charCodeAt(at) : at === name.length ? 0 : 0xffff, offset);
    }
    return slot;
  });
}

/** Collects the slots of one long name, which come last part first in front of their file's own slot. */
class LongNameReader {
  #firstSlot = 0;
  #expected = 0;
  #checksum = 0;
  #name = '';

  add(slot: Buffer, index: number): void {
    const order = slot.readUInt8(0);
    if ((order & 0x40) !== 0) {
      this.#firstSlot = index;
      this.#checksum = slot.readUInt8(13);
      this.#expected = order & 0x3f;
      this.#name = '';
    } else if (order !== this.#expected || slot.readUInt8(13) !== this.#checksum) {
      this.#expected = -1;
      return;
    }
    this.#expected -= 1;
    const letters = letterOffsets.map((offset) => slot.readUInt16LE(offset));
    const end = letters.indexOf(0);
    this.#name = String.fromCharCode(...(end === -1 ? letters : letters.slice(0, end))) + this.#name;
  }

  /** The long name, if it is whole and belongs to this short one. */
  nameFor(slot: Buffer): { readonly name: string; readonly firstSlot: number } | undefined {
    const isWhole = this.#name !== '' && this.#expected === 0;
    if (!isWhole || this.#checksum !== shortNameChecksum(slot.subarray(0, 11))) return undefined;
    return { name: this.#name, firstSlot: this.#firstSlot };
  }
}
