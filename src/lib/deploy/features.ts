/** A file or folder of the device in a container. */
export interface FeatureMount {
  readonly source: string;
  readonly target: string;
  readonly isReadOnly: boolean;
}

const mountsByFeature: Readonly<Record<string, readonly (readonly [source: string, target: string])[]>> = {
  'balena-socket': [['/var/run/docker.sock', '/host/run/balena-engine.sock']],
  dbus: [['/run/dbus', '/host/run/dbus']],
  'kernel-modules': [['/lib/modules', '/lib/modules']],
  firmware: [['/lib/firmware', '/lib/firmware']],
  sysfs: [['/sys', '/sys']],
  procfs: [['/proc', '/proc']],
  'journal-logs': [
    ['/var/log/journal', '/var/log/journal'],
    ['/run/log/journal', '/run/log/journal'],
    ['/etc/machine-id', '/etc/machine-id'],
  ],
};

/**
 * What the Supervisor makes of a service's `io.balena.features.*` labels, for an engine that has none: mounts, and variables to go
 * with them. What needs the Supervisor or the cloud itself is left out.
 */
export function featuresOf(labels: Readonly<Record<string, string>>): {
  readonly mounts: readonly FeatureMount[];
  readonly environment: Readonly<Record<string, string>>;
  readonly needsGpu: boolean;
} {
  const isOn = (feature: string) => /^(1|true|on)$/.test(labels[`io.balena.features.${feature}`] ?? '');
  const mounts = Object.entries(mountsByFeature).flatMap(([feature, pairs]) =>
    isOn(feature) ? pairs.map(([source, target]) => ({ source, target, isReadOnly: feature === 'journal-logs' })) : [],
  );
  const socket = 'unix:///host/run/balena-engine.sock';
  return {
    mounts,
    environment: isOn('balena-socket') ? { DOCKER_HOST: socket } : {},
    needsGpu: isOn('gpu'),
  };
}

/** Labels with their names of today: the Supervisor takes `io.resin.…` for `io.balena.…`. */
export function currentLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [name.replace(/^io\.resin\./, 'io.balena.'), value]),
  );
}
