/**
 * The disks that a flasher writes to, the first there is, in the words of the kernel, by the beginning of the device type; from the recipes of
 * the device repositories. A flasher that can be looked into whole says so itself.
 */
const targets: readonly (readonly [RegExp, string])[] = [
  [/^(intel-nuc|genericx86-64-ext|surface-)/, 'nvme0n1 sda sdb mmcblk0 mmcblk1'],
  [/^generic-amd64/, 'md/balena nvme?n? sd? mmcblk? vd?'],
  [/^(beaglebone-ai64|jetson-agx-orin-devkit-64gb|jetson-tx2)/, 'mmcblk0'],
  [/^beaglebone/, 'mmcblk1'],
  [/^jetson-orin-/, 'nvme0n1'],
];

/** The names of disks in a list such as `installer.target_devices` of config.json is. */
export function diskNames(list: string): string[] {
  return list.split(/\s+/).filter(Boolean);
}

/** The disks that flashers of a device type are known to write to, or undefined. */
export function usualTargets(slug: string | undefined): string[] | undefined {
  const found = targets.find(([pattern]) => slug !== undefined && pattern.test(slug));
  return found && diskNames(found[1]);
}

/** What to know before a flasher is booted. */
export function flasherWarning(disks: readonly string[] | undefined): string {
  const which = disks === undefined || disks.length === 0 ? '' : `, ${listed(disks)}`;
  return `this is a flasher image: booted, it overwrites the internal disk of the computer without asking${which}`;
}

function listed(disks: readonly string[]): string {
  return disks.length === 1 ? String(disks[0]) : `the first it finds of ${disks.join(', ')}`;
}
