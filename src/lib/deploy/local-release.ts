/** What balena-cli calls a locally pushed release; the same words let both tools, and the Supervisor, work on one device. */
export const localRelease = { appId: '1', appName: 'localapp', releaseId: '1', commit: '10ca12e1ea5e' } as const;

/** The tag under which a service's image is built on a device. */
export function localImageTag(service: string): string {
  return `local_image_${service}:latest`;
}

/** The name of a service's container, as the Supervisor gives it: `main_1_1_10ca12e1ea5e`. */
export function localContainerName(service: string): string {
  return `${service}_1_${localRelease.releaseId}_${localRelease.commit}`;
}

/** The architecture as balena names it (`amd64`, `aarch64`, `armv7hf`, `rpi`, `i386`) from what a kernel calls the machine. */
export function balenaArchitecture(machine: string | undefined): string | undefined {
  return machine === undefined ? undefined : architectures[machine];
}

const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  aarch64: 'aarch64',
  arm64: 'aarch64',
  armv8l: 'armv7hf',
  armv7l: 'armv7hf',
  armv6l: 'rpi',
  i386: 'i386',
  i686: 'i386',
};
