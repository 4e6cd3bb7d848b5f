/** Names of the boot partition: of an installed system, of a flasher, and the newer one that tools accept. */
const bootNames: readonly string[] = ['resin-boot', 'flash-boot', 'balena-boot'];

/** Before OS 2.0 config.json had a partition of its own, which of images is empty. */
const configNames: readonly string[] = ['resin-conf', 'flash-conf'];

/** Whether a partition or file system of this name is the boot partition. */
export function isBootName(name: string | undefined): boolean {
  return name !== undefined && bootNames.includes(name);
}

/** Whether a partition or file system of this name is there for config.json alone. */
export function isConfigName(name: string | undefined): boolean {
  return name !== undefined && configNames.includes(name);
}
