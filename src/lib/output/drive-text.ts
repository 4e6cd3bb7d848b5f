import type { Drive } from '../drives/drive.js';
import { riskFlags } from '../drives/drive-risks.js';
import type { DriveRefusal } from '../drives/drive-refusal.js';
import { formatBytes, printable } from './format.js';
import { tableLines } from './table.js';

/** What a list of drives says about one. */
export type ShownDrive = Pick<
  Drive,
  'path' | 'isFile' | 'isNew' | 'size' | 'model' | 'serial' | 'bus' | 'slot' | 'contents' | 'partitions' | 'refusals'
>;

/** `/dev/sdb  31.9 GB  SanDisk Ultra  serial 4C530001  usb-1-2  holds resin-boot, resin-data`. */
export function describeDrive(drive: ShownDrive): string {
  const parts = [drive.path, formatBytes(drive.size)];
  if (drive.isFile) parts.push(drive.isNew ? 'new file' : 'file');
  if (drive.model !== undefined) parts.push(printable(drive.model));
  if (drive.serial !== undefined) parts.push(`serial ${printable(drive.serial)}`);
  const place = drive.slot ?? drive.bus;
  if (place !== undefined) parts.push(place);
  const mountPoints = drive.partitions.flatMap((one) => one.mountPoints);
  if (mountPoints.length > 0) parts.push(`mounted at ${mountPoints.join(', ')}`);
  if (!drive.isNew) parts.push(drive.contents.length > 0 ? `holds ${contentsOf(drive)}` : 'no file system seen');
  return parts.join('  ');
}

/** One line for each partition that will be lost: `/dev/sdb1  resin-boot  vfat  41.9 MB`. */
export function partitionLines({ partitions }: ShownDrive): string[] {
  const rows = partitions.map(({ path, label, name, fileSystem, size, mountPoints }) => [
    path,
    printable(label ?? name ?? '-'),
    fileSystem ?? '-',
    formatBytes(size),
    mountPoints.length === 0 ? '' : `mounted at ${mountPoints.join(', ')}`,
  ]);
  return tableLines(['', '', '', '', ''], rows).slice(1);
}

/**
 * Why a drive is refused, and by which flags that can be overruled: `/dev/sdb is built into this computer (--force-fixed)`; flags only where
 * they help.
 */
function reasonsText({ refusals }: ShownDrive): string {
  const final = refusals.filter((refusal) => refusal.risk === null);
  const shown: readonly DriveRefusal[] = final.length > 0 ? final : refusals;
  const texts = shown.map(({ risk, failure }) => failure.message + (risk === null ? '' : ` (${riskFlags[risk]})`));
  return printable(texts.join('; '));
}

const headings = ['path', 'size', 'model', 'serial', 'slot', 'contents'];

/** A table of the drives that can be flashed, then one of those that cannot, with the reasons. Lines are at most so many columns wide. */
export function driveLines(drives: readonly ShownDrive[], columns: number): string[] {
  const flashable = drives.filter((drive) => drive.refusals.length === 0);
  const refused = drives.filter((drive) => drive.refusals.length > 0);
  const rows = flashable.map((drive) => [
    drive.path,
    formatBytes(drive.size),
    printable(drive.model ?? '-'),
    printable(drive.serial ?? '-'),
    drive.slot ?? drive.bus ?? '-',
    contentsOf(drive) || '-',
  ]);
  return [
    ...(rows.length === 0 ? ['No drive can be flashed.'] : tableLines(headings, fitted(headings, rows, columns))),
    ...(refused.length === 0 ? [] : ['', ...refusedLines(refused, columns)]),
  ];
}

/** `/dev/sda  512 GB  Samsung SSD` for each drive, and the reasons below it. */
export function refusedLines(drives: readonly ShownDrive[], columns: number): string[] {
  return [
    'Not to be flashed:',
    ...drives.flatMap((drive) => {
      const parts = [drive.path, formatBytes(drive.size), printable(drive.model ?? '')];
      return [parts.join('  ').trimEnd(), ...wrapped(reasonsText(drive), columns - 2).map((line) => `  ${line}`)];
    }),
  ];
}

/** `added    /dev/sdb  31.9 GB  SanDisk Ultra …`, and the reason where it is not to be flashed. */
export function driveChangeLine(type: 'added' | 'removed' | 'changed', drive: ShownDrive): string {
  const reason = type === 'removed' ? '' : reasonsText(drive);
  return `${type.padEnd(7)}  ${describeDrive(drive)}${reason === '' ? '' : `  (not to be flashed: ${reason})`}`;
}

function wrapped(text: string, columns: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

/** Cells cut so that the lines fit: the widest column gives way first. */
function fitted(
  names: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number,
): readonly (readonly string[])[] {
  const widths = names.map((name, column) => Math.max(name.length, ...rows.map((row) => (row[column] ?? '').length)));
  const total = () => widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1));
  while (total() > columns) {
    // The path and the size always stay whole.
    const widest = widths.indexOf(Math.max(...widths.slice(2)), 2);
    if ((widths[widest] ?? 0) <= 8) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return rows.map((row) => row.map((cell, column) => cut(cell, widths[column] ?? cell.length)));
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function contentsOf({ contents }: ShownDrive): string {
  return contents.map(printable).join(', ');
}
