/** What balena-cli calls a locally pushed release; the same words let both tools, and the Supervisor, work on one device. */
export const localRelease = { appId: '1', appName: 'localapp', releaseId: '1', commit: '10ca12e1ea5e' } as const;

/** The tag under which a service's image is known on a device. */
export function localImageTag(service: string): string {
  return `local_image_${service.toLowerCase()}:latest`;
}

/**
 * The number of each service, which stands for its image and itself in names and target states. Counted in the order of the alphabet, as
 * in balena-cli, whose reader of compose files sorts them.
 */
export function serviceNumbers(services: readonly string[]): ReadonlyMap<string, number> {
  return new Map([...services].sort().map((service, index) => [service, index + 1]));
}

/** The name of a service's container, as the Supervisor gives it: `main_1_1_10ca12e1ea5e`. */
export function localContainerName(service: string, number: number): string {
  return `${service}_${number}_${localRelease.releaseId}_${localRelease.commit}`;
}

/** The name on the engine of a network or volume of the local release, as the Supervisor gives it: `1_data`. */
export function localObjectName(name: string): string {
  return `${localRelease.appId}_${name}`;
}

/** The labels by which the Supervisor and both tools know a network or volume of the local release. */
export const localObjectLabels = {
  'io.balena.supervised': 'true',
  'io.balena.app-id': localRelease.appId,
  'io.balena.app-uuid': localRelease.appId,
} as const;

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
