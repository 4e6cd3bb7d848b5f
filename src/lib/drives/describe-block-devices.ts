import { Failure } from '../failure/failure.js';
import { findProgram, run } from '../platform/child-process.js';
import { isRecord } from '../platform/json.js';

/** What helps people to tell one drive from another. */
export interface DriveDescription {
  readonly model: string | undefined;
  readonly serial: string | undefined;
  /** How it is connected: `usb`, `mmc`, `sata`, `nvme`, `virtio`, `loop`. */
  readonly bus: string | undefined;
  readonly isHotplug: boolean;
  /** Labels or types of the file systems on it, in order. */
  readonly contents: readonly string[];
}

/** The description of one device. */
export interface DescribedDevice {
  readonly path: string;
  readonly name: string;
  readonly description: DriveDescription;
}

const columns = ['NAME', 'PATH', 'MODEL', 'SERIAL', 'TRAN', 'RM', 'HOTPLUG', 'LABEL', 'PARTLABEL', 'FSTYPE'];

/** Asks lsblk about one whole device, or about all. Where there is no lsblk, nothing is known. */
export async function describeBlockDevices(path?: string): Promise<DescribedDevice[]> {
  const lsblk = await findProgram('lsblk');
  if (lsblk === undefined) return [];
  const { exitCode, stdout, stderr } = await run(lsblk, [
    ...['--json', '--bytes', '--all', '--output', columns.join(',')],
    ...(path === undefined ? [] : [path]),
  ]);
  // lsblk ends with 32 when the device has vanished.
  if (exitCode !== 0)
    throw new Failure('not-found', 'drive-not-found', `looking at ${path ?? 'the drives'}: ${stderr.trim()}`);
  const document: unknown = JSON.parse(stdout);
  const devices = isRecord(document) && Array.isArray(document.blockdevices) ? document.blockdevices : [];
  return Promise.all(devices.filter(isRecord).map(toDevice));
}

async function toDevice(device: Record<string, unknown>): Promise<DescribedDevice> {
  const name = text(device.name) ?? '';
  const children = Array.isArray(device.children) ? device.children.filter(isRecord) : [];
  const contents = [device, ...children].flatMap(
    (one) => text(one.label) ?? text(one.partlabel) ?? text(one.fstype) ?? [],
  );
  const partitions = children.flatMap((one) => text(one.path) ?? []);
  return {
    path: text(device.path) ?? '',
    name,
    description: {
      model: text(device.model),
      serial: text(device.serial),
      bus: text(device.tran) ?? busByName(name),
      isHotplug: isTrue(device.rm) || isTrue(device.hotplug),
      contents: contents.length === 0 && partitions.length > 0 ? await probeContents(partitions) : contents,
    },
  };
}

/** Where no udev has looked at a drive, lsblk knows nothing about its partitions, but blkid looks itself, if it may. */
async function probeContents(partitions: readonly string[]): Promise<string[]> {
  const blkid = await findProgram('blkid');
  if (blkid === undefined) return [];
  const { stdout } = await run(blkid, ['--cache-file', '/dev/null', '--output', 'export', ...partitions]);
  return stdout.split('\n\n').flatMap((block) => {
    const values = new Map(block.split('\n').map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1)]));
    return values.get('LABEL') ?? values.get('PARTLABEL') ?? values.get('TYPE') ?? [];
  });
}

function busByName(name: string): string | undefined {
  return { mm: 'mmc', vd: 'virtio', lo: 'loop', nv: 'nvme' }[name.slice(0, 2)];
}

function text(value: unknown): string | undefined {
  const trimmed = typeof value === 'string' ? value.trim() : '';
  return trimmed === '' ? undefined : trimmed;
}

/** Older versions write "1". */
function isTrue(value: unknown): boolean {
  return value === true || value === '1';
}
