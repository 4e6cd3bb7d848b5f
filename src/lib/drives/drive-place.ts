import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { blockAttribute, type HostView, textOf } from './host-view.js';

/** How a drive is connected, and what it says of itself, as the kernel knows it. */
export interface DrivePlace {
  /** `usb`, `mmc`, `sata`, `nvme`, `scsi`, `virtio`, `xen`; `loop`, `nbd` and so on for what only the kernel makes up. */
  readonly bus: string;
  /**
   * The place where the drive is plugged in, which stays the same for every card put there: `usb-1-2.3` for port 3 of the hub in port 2,
   * `usb-1-2.3:1` for the second slot of a card reader there, `mmc0`, `ata2`.
   */
  readonly slot: string | undefined;
  readonly model: string | undefined;
  readonly serial: string | undefined;
  /** Whether it is made to be taken out by its user. */
  readonly isRemovable: boolean;
  /** Whether there is no hardware of this computer behind it. */
  readonly isVirtual: boolean;
}

/** Block devices that stand for a file, memory or another computer. Others that only the kernel makes up, such as volumes of ZFS, lie on drives. */
const nothingBehind = /^(loop|nbd|zram|ram)\d+$/;

/** Finds how a drive is connected from its path below /sys, where every folder is a device and its parent what it is plugged into. */
export async function findDrivePlace(host: HostView, name: string): Promise<DrivePlace> {
  const folder = await realpath(path.join(host.sysfs, 'class', 'block', name)).catch(() => name);
  const steps = folder.split(path.sep);
  const attribute = (key: string) => blockAttribute(host, name, key);
  // An NVMe disk that may be reached in several ways is also below /sys/devices/virtual, but not in its folder of block devices.
  const isMadeUp = steps.at(-2) === 'block' && steps.at(-3) === 'virtual';
  const bus = isMadeUp ? name.replace(/\d+$/, '') : busOf(steps);
  const port = steps.findLast((step) => /^\d+-[\d.]+$/.test(step));
  // The stick or reader, of which the drive is a part.
  const usbFolder = steps.slice(0, steps.lastIndexOf(port ?? '') + 1).join(path.sep);
  const usbSerial = bus === 'usb' ? await textOf(path.join(usbFolder, 'serial')) : undefined;
  const vendor = await attribute('device/vendor');
  const model = (await attribute('device/model')) ?? (await attribute('device/name'));
  return {
    bus,
    slot: slotOf(bus, steps, port),
    // ATA drives have their maker in the model, and "ATA" where SCSI has the vendor; NVMe and virtio have a number there.
    model: filled(
      vendor === undefined || /^(ATA|0x[\da-f]+)$/i.test(vendor.trim()) ? model : `${vendor} ${model ?? ''}`,
    ),
    serial: filled(usbSerial ?? (await attribute('device/serial')) ?? (await attribute('serial'))),
    isRemovable:
      bus === 'mmc' ? !(await isSoldered(host, name)) : bus === 'usb' || (await attribute('removable')) === '1',
    isVirtual: isMadeUp && nothingBehind.test(name),
  };
}

function busOf(steps: readonly string[]): string {
  const has = (shape: RegExp) => steps.some((step) => shape.test(step));
  if (has(/^usb\d+$/)) return 'usb';
  if (has(/^mmc_host$/)) return 'mmc';
  if (has(/^nvme/)) return 'nvme';
  if (has(/^ata\d+$/)) return 'sata';
  if (has(/^virtio\d+$/)) return 'virtio';
  if (has(/^vbd-/)) return 'xen';
  return has(/^host\d+$/) ? 'scsi' : 'other';
}

function slotOf(bus: string, steps: readonly string[], port: string | undefined): string | undefined {
  if (bus === 'usb' && port !== undefined) {
    // The first slot of a reader is named like a drive that has but one, because its other slots may not be known yet.
    const unit = steps.findLast((step) => /^\d+:\d+:\d+:\d+$/.test(step))?.split(':')[3];
    return `usb-${port}${unit === undefined || unit === '0' ? '' : `:${unit}`}`;
  }
  if (bus === 'mmc') return steps.find((step) => /^mmc\d+$/.test(step));
  return bus === 'sata' ? steps.find((step) => /^ata\d+$/.test(step)) : undefined;
}

/** eMMC is soldered to the board, but its bus is the one of SD cards. */
async function isSoldered(host: HostView, name: string): Promise<boolean> {
  return (await blockAttribute(host, name, 'device/type')) === 'MMC';
}

function filled(text: string | undefined): string | undefined {
  const trimmed = text?.replaceAll(/\s+/g, ' ').trim();
  return trimmed === undefined || trimmed === '' ? undefined : trimmed;
}
