import { Failure } from '../failure/failure.js';

/** Checks that a name can stand in a FAT folder: no character that is forbidden there, no dot or space at its end. */
export function requireFatName(name: string): void {
  const problem = fatNameProblem(name);
  if (problem !== undefined) {
    throw new Failure('usage', 'invalid-file-name', `"${name}" cannot be a file name on a FAT partition: ${problem}`, {
      hint: 'Rename the file',
    });
  }
}

/** What is wrong with a name for a FAT folder, or undefined when nothing is. */
export function fatNameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'it is not a name';
  if (name.length > 255) return 'it is longer than 255 characters';
  const forbidden = /["*/:<>?\\|]|\p{Cc}/u.exec(name)?.[0];
  if (forbidden !== undefined) return `the character ${JSON.stringify(forbidden)} is not allowed`;
  return /[. ]$/.test(name) ? 'it ends with a dot or a space' : undefined;
}

/** The 11 bytes of a short name, as text: eight for the base and three for the extension, padded with spaces. */
export type ShortName = string;

/** What a name becomes in 8.3: its short name, and whether that says all of it, so that no long name is needed. */
export interface ShortForm {
  readonly short: ShortName;
  readonly isExact: boolean;
}

/**
 * The short name for a file, unlike all those already in its folder; a long name gets the first free `~1`, `~2`, ... as Windows and
 * mtools number them.
 */
export function shortFormOf(name: string, taken: ReadonlySet<ShortName>): ShortForm {
  const dot = name.lastIndexOf('.');
  const [base, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, ''];
  const shortBase = shortLetters(base);
  const shortExtension = shortLetters(extension).slice(0, 3);
  const plain = join(shortBase.slice(0, 8), shortExtension);
  const written = readShortName(plain);
  if (written === name.toUpperCase() && !taken.has(plain)) return { short: plain, isExact: written === name };
  for (let number = 1; ; number += 1) {
    const tail = `~${number}`;
    const numbered = join(shortBase.slice(0, 8 - tail.length) + tail, shortExtension);
    if (!taken.has(numbered)) return { short: numbered, isExact: false };
  }
}

/** A short name as people write it: `CONFIG~1.JSO`. */
export function readShortName(short: ShortName): string {
  const base = short.slice(0, 8).trimEnd();
  const extension = short.slice(8).trimEnd();
  return extension === '' ? base : `${base}.${extension}`;
}

/** Code page 850 from 0x80 on, which mtools and Windows in western Europe store short names in; its letters are mostly those of others. */
const codePage =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0';

/** The letters that the bytes of a short name stand for, as text of the same length. */
export function lettersOfShortName(short: ShortName): string {
  return short.replaceAll(/[\x80-\xff]/g, (byte) => codePage.charAt(byte.charCodeAt(0) - 0x80));
}

/** The checksum that ties long-name entries to their short name. */
export function shortNameChecksum(short: Buffer): number {
  return short.reduce((sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff, 0);
}

function shortLetters(part: string): string {
  return part
    .replaceAll(/[. ]/g, '')
    .toUpperCase()
    .replaceAll(/[^A-Z0-9!#$%&'()\-@^_`{}~]/gu, '_');
}

function join(base: string, extension: string): ShortName {
  return base.padEnd(8) + extension.padEnd(3);
}
