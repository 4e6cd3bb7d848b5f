import { findProgram, run } from '../platform/child-process.js';
import { isRecord } from '../platform/json.js';

/** What can be told about a drive or a partition from its content, and by whoever looked at it when it was plugged in. */
export interface ProbedVolume {
  readonly model?: string | undefined;
  readonly serial?: string | undefined;
  /** As blkid calls it: `ext4`, `vfat`, `swap`, `crypto_LUKS`, `linux_raid_member`. */
  readonly fileSystem?: string | undefined;
  /** Of the file system. */
  readonly label?: string | undefined;
  readonly uuid?: string | undefined;
  /** Of the partition, in a GUID partition table. */
  readonly partitionName?: string | undefined;
  readonly partitionUuid?: string | undefined;
}

const columns = ['PATH', 'MODEL', 'SERIAL', 'FSTYPE', 'LABEL', 'UUID', 'PARTLABEL', 'PARTUUID'];

/**
 * Looks at devices by their paths. What udev knows anybody may ask lsblk for; where no udev has looked, blkid looks itself, if it may.
 * A device that has vanished, or that nothing is known about, is not in the result.
 */
export async function probeVolumes(paths: readonly string[]): Promise<Map<string, ProbedVolume>> {
  if (paths.length === 0) return new Map();
  const known = await askLsblk(paths);
  const unknown = paths.filter((path) => known.get(path)?.fileSystem === undefined);
  for (const [path, probed] of await askBlkid(unknown)) known.set(path, { ...known.get(path), ...probed });
  return known;
}

async function askLsblk(paths: readonly string[]): Promise<Map<string, ProbedVolume>> {
  const lsblk = await findProgram('lsblk');
  if (lsblk === undefined) return new Map();
  // It ends with 32 or 64 when some device has vanished, and tells about the others.
  const { stdout } = await run(lsblk, ['--json', '--nodeps', '--output', columns.join(','), ...paths]);
  const document: unknown = stdout.trim() === '' ? undefined : JSON.parse(stdout);
  const devices = isRecord(document) && Array.isArray(document.blockdevices) ? document.blockdevices : [];
  return new Map(
    devices.filter(isRecord).map((device) => [
      text(device.path) ?? '',
      {
        model: text(device.model),
        serial: text(device.serial),
        fileSystem: text(device.fstype),
        label: text(device.label),
        uuid: text(device.uuid),
        partitionName: text(device.partlabel),
        partitionUuid: text(device.partuuid),
      },
    ]),
  );
}

/** Given several devices, blkid would stop at the first one that has nothing on it. */
async function askBlkid(paths: readonly string[]): Promise<(readonly [path: string, probed: ProbedVolume])[]> {
  const blkid = paths.length === 0 ? undefined : await findProgram('blkid');
  if (blkid === undefined) return [];
  return Promise.all(
    paths.map(async (path) => {
      // Its exit code tells no more than that it found nothing, or may not read the device.
      const { stdout } = await run(blkid, ['--probe', '--output', 'udev', path]);
      const lines = stdout.split('\n').map((line) => [line.split('=')[0], line.slice(line.indexOf('=') + 1)] as const);
      const values = new Map(lines.map(([key, value]) => [key, decoded(value)]));
      const probed = {
        fileSystem: values.get('ID_FS_TYPE') ?? worstOf(values.get('ID_FS_AMBIVALENT')),
        label: values.get('ID_FS_LABEL_ENC'),
        uuid: values.get('ID_FS_UUID_ENC'),
        partitionName: values.get('ID_PART_ENTRY_NAME'),
        partitionUuid: values.get('ID_PART_ENTRY_UUID'),
      };
      return [path, probed] as const;
    }),
  );
}

/** Of several things that a device may hold (`filesystem:ext4:1.0 raid:LVM2_member:`), a part of something larger if that is one of them. */
function worstOf(ambivalent: string | undefined): string | undefined {
  const found = ambivalent?.split(' ').map((one) => one.split(':')) ?? [];
  return (found.find(([usage]) => usage === 'raid') ?? found[0])?.[1];
}

/** Characters that are not safe everywhere are written as `\x20`. */
function decoded(value: string): string {
  return value
    .replaceAll(/\\x([\da-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .trim();
}

function text(value: unknown): string | undefined {
  const trimmed = typeof value === 'string' ? value.trim() : '';
  return trimmed === '' ? undefined : trimmed;
}
