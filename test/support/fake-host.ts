import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { HostView } from '../../src/lib/drives/host-view.js';
import type { ProbedVolume } from '../../src/lib/drives/probe-volumes.js';
import { temporaryFolder } from './temporary-folder.js';

/** A block device as the kernel shows it. */
export interface FakeDevice {
  readonly number: string;
  /** The folder below /sys/devices that it is in, which tells what it is plugged into. */
  readonly at?: string;
  readonly partitions?: Readonly<Record<string, string>>;
  /** Who holds the device or its partitions. */
  readonly holders?: Readonly<Record<string, readonly string[]>>;
  /** More files of /sys, relative to the device; those of what it is plugged into begin with `../`. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** What a made-up computer has. */
export interface FakeHost {
  readonly devices: Readonly<Record<string, FakeDevice>>;
  /** `8:1 /boot [source]`. */
  readonly mounts?: readonly string[];
  readonly swaps?: readonly string[];
  readonly fstab?: readonly string[];
  /** Members of mounted btrfs file systems, by UUID. */
  readonly btrfs?: Readonly<Record<string, readonly string[]>>;
  /** What is on devices, by path. */
  readonly volumes?: Readonly<Record<string, ProbedVolume>>;
  /** Links of udev: `by-id/usb-x` to `sdb`. */
  readonly links?: Readonly<Record<string, string>>;
}

/** Makes the files in which such a computer would tell about itself. */
export async function fakeHost(t: TestContext, host: FakeHost): Promise<HostView> {
  const root = await temporaryFolder(t);
  const [sysfs, procfs, devices, fstab] = ['sys', 'proc', 'dev', 'fstab'].map((name) => path.join(root, name));
  if (sysfs === undefined || procfs === undefined || devices === undefined || fstab === undefined) throw new Error();
  const write = async (file: string, text: string) => {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, `${text}\n`);
  };
  for (const folder of [['class', 'block'], ['block'], ['dev', 'block']]) {
    await mkdir(path.join(sysfs, ...folder), { recursive: true });
  }
  const publish = async (name: string, number: string, folder: string) => {
    await write(path.join(folder, 'dev'), number);
    await symlink(folder, path.join(sysfs, 'class', 'block', name));
    await symlink(folder, path.join(sysfs, 'dev', 'block', number));
  };
  for (const [name, device] of Object.entries(host.devices)) {
    const folder = path.join(sysfs, 'devices', device.at ?? 'platform/host0/0:0:0:0/block', name);
    await publish(name, device.number, folder);
    await symlink(folder, path.join(sysfs, 'block', name));
    for (const [file, text] of Object.entries(device.attributes ?? {})) await write(path.join(folder, file), text);
    for (const [index, [partition, number]] of Object.entries(device.partitions ?? {}).entries()) {
      await write(path.join(folder, partition, 'partition'), String(index + 1));
      await publish(partition, number, path.join(folder, partition));
    }
    for (const [held, holders] of Object.entries(device.holders ?? {})) {
      for (const holder of holders) {
        await mkdir(path.join(held === name ? folder : path.join(folder, held), 'holders', holder), {
          recursive: true,
        });
      }
    }
  }
  for (const [uuid, names] of Object.entries(host.btrfs ?? {})) {
    for (const name of names) await mkdir(path.join(sysfs, 'fs', 'btrfs', uuid, 'devices', name), { recursive: true });
  }
  for (const [link, name] of Object.entries(host.links ?? {})) {
    await mkdir(path.dirname(path.join(devices, 'disk', link)), { recursive: true });
    await symlink(`../../${name}`, path.join(devices, 'disk', link));
  }
  const lines = (host.mounts ?? []).map((mount, index) => {
    const [number = '', point = '', source = 'none'] = mount.split(' ');
    return `${20 + index} 1 ${number} / ${point} rw,relatime shared:1 - ext4 ${source} rw`;
  });
  await write(path.join(procfs, 'self', 'mountinfo'), lines.join('\n'));
  const swaps = (host.swaps ?? []).map((swap) => `${swap} partition 8 0 -2`);
  await write(path.join(procfs, 'swaps'), ['Filename Type Size Used Priority', ...swaps].join('\n'));
  await write(fstab, (host.fstab ?? []).join('\n'));
  const volumes = new Map(Object.entries(host.volumes ?? {}));
  return { sysfs, procfs, devices, fstab, probe: () => Promise.resolve(volumes) };
}
