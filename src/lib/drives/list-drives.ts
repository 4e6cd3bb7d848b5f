import { Failure } from '../failure/failure.js';
import { describeBlockDevices } from './describe-block-devices.js';
import { blockDeviceAsDrive, type Drive, noDescription, platformUnsupported } from './drive.js';
import { blockNames, type HostView, thisHost } from './host-view.js';

/** RAM disks, optical drives, floppies, flash without a controller, what is made of other drives, and the boot areas of eMMC. */
const notDrives = /^(ram|zram|sr|fd|mtdblock|dm-|md|mmcblk\d+(boot|rpmb))/;

/** Devices of these kinds exist without anything behind them. */
const oftenEmpty = /^(loop|nbd)/;

/** Every drive of this computer, those that may be written first. */
export async function listDrives(host: HostView = thisHost): Promise<Drive[]> {
  const drives = process.platform === 'linux' ? await listBlockDevices(host) : await listWithDrivelist();
  const rank = (drive: Drive) => (drive.refusals.length === 0 ? 0 : 1);
  return drives.sort((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path));
}

async function listBlockDevices(host: HostView): Promise<Drive[]> {
  const names = (await blockNames(host, 'block')).filter((name) => !notDrives.test(name));
  const described = new Map((await describeBlockDevices()).map((one) => [one.name, one.description]));
  const drives = await Promise.all(
    names.map((name) => blockDeviceAsDrive(name, described.get(name) ?? noDescription, host)),
  );
  // Read-only loop devices are what package managers such as snap mount by the dozen.
  return drives.filter(
    (drive) => !oftenEmpty.test(drive.path.replace('/dev/', '')) || (drive.size > 0 && !drive.isReadOnly),
  );
}

/** Elsewhere than on Linux, drives can be listed but not yet be written. */
async function listWithDrivelist(): Promise<Drive[]> {
  const { list } = await loadDrivelist();
  const found = await list();
  return found.map((one) => ({
    path: one.device,
    isFile: false,
    size: one.size ?? 0,
    sectorSize: one.logicalBlockSize,
    isReadOnly: one.isReadOnly,
    isRemovable: one.isRemovable,
    isHotplug: one.isRemovable,
    model: one.description,
    serial: undefined,
    bus: one.busType.toLowerCase(),
    contents: one.mountpoints.flatMap((mount) => mount.label ?? []),
    identity: `${one.device} ${one.size ?? 0} ${one.description}`,
    refusals: [
      ...(one.isSystem
        ? [new Failure('refused', 'system-drive', `${one.device} is a system drive`, { hint: 'Choose another drive' })]
        : []),
      platformUnsupported(),
    ],
  }));
}

async function loadDrivelist() {
  try {
    return await import('drivelist');
  } catch (error) {
    throw new Failure('not-found', 'package-not-found', 'listing drives needs the package drivelist here', {
      hint: 'Install it: npm install -g drivelist',
      cause: error,
    });
  }
}
