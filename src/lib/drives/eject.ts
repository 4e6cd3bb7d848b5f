import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { whileDoing } from '../failure/while-doing.js';
import { findProgram, runChecked } from '../platform/child-process.js';
import type { Drive } from './drive.js';
import { blockAttribute, blockNames, type HostView, thisHost } from './host-view.js';

/** What must be known of a drive to eject it. */
type EjectableDrive = Pick<Drive, 'path' | 'isFile' | 'bus' | 'isRemovable'>;

/** How a drive is made safe to pull. */
export interface Ejection {
  /**
   * `eject` gives the card back and leaves its reader ready for the next one, `power-off` switches a whole USB device off, `remove` has the
   * kernel let go of it, and `nothing` is for what needs none of them.
   */
  readonly way: 'eject' | 'power-off' | 'remove' | 'nothing';
  /** What is true once it is done, in the user's words. */
  readonly outcome: string;
}

/** Chooses how a drive is ejected on this computer: as gently as the drive and the programs that are there allow. */
export async function planEjection(drive: EjectableDrive, host: HostView = thisHost): Promise<Ejection> {
  const { bus } = drive;
  const name = path.basename(drive.path);
  const nothing = (why: string): Ejection => ({ way: 'nothing', outcome: `there is nothing to eject: ${why}` });
  if (drive.isFile) return nothing(`${drive.path} is a file`);
  if (bus === 'loop') {
    const file = await blockAttribute(host, name, 'loop/backing_file');
    return nothing(`${drive.path} is a loop device${file === undefined ? '' : ` on ${file}`}`);
  }
  if (bus === 'mmc') return nothing(`the card in ${drive.path} can be pulled as it is`);
  if (!drive.isRemovable && bus !== 'usb') return nothing(`${drive.path} is built in`);
  const hasMedia = (await blockAttribute(host, name, 'removable')) === '1';
  if (hasMedia && (await findProgram('eject')) !== undefined) {
    return { way: 'eject', outcome: `${drive.path} is ejected and can be pulled` };
  }
  if (bus === 'usb' && (await findProgram('udisksctl')) !== undefined) {
    return { way: 'power-off', outcome: `${drive.path} is switched off and can be unplugged` };
  }
  if ((await blockNames(host, 'class', 'block', name, 'device')).includes('delete')) {
    const next = hasMedia ? '; plug its reader in again for the next card' : '';
    return { way: 'remove', outcome: `the system has let go of ${drive.path}, which can be unplugged${next}` };
  }
  return nothing(`this computer has no way to do so; ${drive.path} has written everything and can be pulled`);
}

/** Ejects a drive that nothing holds open any more. */
export async function eject(drive: Pick<Drive, 'path'>, { way }: Ejection, host: HostView = thisHost): Promise<void> {
  const doing = `ejecting ${drive.path}`;
  switch (way) {
    case 'eject':
      await runChecked(doing, 'eject', [drive.path]);
      return;
    case 'power-off':
      await runChecked(doing, 'udisksctl', ['power-off', '--no-user-interaction', '--block-device', drive.path]);
      return;
    case 'remove':
      await removeDevice(doing, path.join(host.sysfs, 'class', 'block', path.basename(drive.path), 'device', 'delete'));
      return;
    case 'nothing':
  }
}

/** Flushes the drive, stops it and takes it out of the system (the kernel's sd driver, sd_remove). */
async function removeDevice(doing: string, file: string): Promise<void> {
  try {
    await writeFile(file, '1');
  } catch (error) {
    throw whileDoing(doing, error);
  }
}
