import { blockDevicesAsDrives, type Drive } from './drive.js';
import { listDrivesElsewhere } from './drives-elsewhere.js';
import type { DriveRisk } from './drive-risks.js';
import { blockAttribute, blockNames, type HostView, thisHost } from './host-view.js';

/** RAM disks, optical drives, floppies, flash without a controller, what is made of other drives, and the boot areas of eMMC. */
const notDrives = /^(ram|zram|sr|fd|mtdblock|dm-|md|mmcblk\d+(boot|rpmb))/;

/** Devices of these kinds exist without anything behind them. */
const oftenEmpty = /^(loop|nbd)/;

/** Every drive of this computer, those that may be written first, given the risks that the user takes. */
export async function listDrives(host: HostView = thisHost, accepted: readonly DriveRisk[] = []): Promise<Drive[]> {
  const drives =
    process.platform === 'linux' ? await listBlockDevices(host, accepted) : await listDrivesElsewhere(accepted);
  const rank = (drive: Drive) => (drive.refusals.length === 0 ? 0 : 1);
  return drives.sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path));
}

async function listBlockDevices(host: HostView, accepted: readonly DriveRisk[]): Promise<Drive[]> {
  const names = (await blockNames(host, 'block')).filter((name) => !notDrives.test(name));
  const isThere = await Promise.all(names.map((name) => isWorthListing(name, host)));
  return blockDevicesAsDrives(
    names.filter((_, index) => isThere[index]),
    host,
    accepted,
  );
}

/** Read-only loop devices are what package managers such as snap mount by the dozen; hidden are the paths of a multipath NVMe disk. */
async function isWorthListing(name: string, host: HostView): Promise<boolean> {
  if ((await blockAttribute(host, name, 'hidden')) === '1') return false;
  if (!oftenEmpty.test(name)) return true;
  return (await blockAttribute(host, name, 'size')) !== '0' && (await blockAttribute(host, name, 'ro')) !== '1';
}
