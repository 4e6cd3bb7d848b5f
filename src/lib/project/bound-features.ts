import type { Mount } from './composition.js';

/** Files and folders of a device, and the feature with which a Supervisor mounts them, where it mounts nothing else of the device. */
const features: Readonly<Record<string, string>> = {
  '/var/run/docker.sock': 'balena-socket',
  '/run/docker.sock': 'balena-socket',
  '/var/run/balena-engine.sock': 'balena-socket',
  '/run/balena-engine.sock': 'balena-socket',
  '/var/run/balena.sock': 'balena-socket',
  '/run/dbus': 'dbus',
  '/var/run/dbus': 'dbus',
  '/run/dbus/system_bus_socket': 'dbus',
  '/sys': 'sysfs',
  '/proc': 'procfs',
  '/lib/modules': 'kernel-modules',
  '/lib/firmware': 'firmware',
  '/var/log/journal': 'journal-logs',
  '/run/log/journal': 'journal-logs',
  '/etc/machine-id': 'journal-logs',
};

/** The feature that gives a service what it binds of the device: `dbus` for `/run/dbus`. */
export function featureOfMount({ type, source }: Mount): string | undefined {
  if (type !== 'bind' || source === undefined) return undefined;
  const path = source.replace(/(?<=.)\/+$/, '');
  return Object.hasOwn(features, path) ? features[path] : undefined;
}

/** The labels that ask for what a service binds of the device, as balena-cli sets them in the place of such mounts. */
export function featureLabels(volumes: readonly Mount[] = []): Readonly<Record<string, string>> {
  const found = volumes.map(featureOfMount).filter((feature) => feature !== undefined);
  return Object.fromEntries(found.map((feature) => [`io.balena.features.${feature}`, '1']));
}
