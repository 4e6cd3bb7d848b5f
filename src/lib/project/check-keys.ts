import { featureOfMount } from './bound-features.js';
import type { Mount, Place, Service } from './composition.js';
import { droppedByBuilder, droppedByEngine, droppedBySupervisor } from './dropped-keys.js';
import type { CheckTarget, Finding } from './finding.js';
import type { Project } from './project.js';

/** Every key of a composition that the device drops or refuses, with its place and what happens instead. */
export function checkKeys({ composition, placeOf }: Project, { isSupervised }: CheckTarget): readonly Finding[] {
  const findings: Finding[] = [];
  const tell = (level: Finding['level'], code: string, path: readonly (string | number)[], message: string) => {
    const place = placeOf(path);
    const [section, service] = path;
    findings.push({
      level,
      code,
      ...(section === 'services' && typeof service === 'string' ? { service } : {}),
      ...(place === undefined ? {} : { place }),
      message: `${path.join('.')} ${message}`,
    });
  };
  const drop = (path: readonly (string | number)[], instead: string) => {
    tell('warning', 'key-dropped', path, `is dropped: ${instead}`);
  };
  const refuse = (path: readonly (string | number)[], message: string) => {
    tell('error', 'key-refused', path, message);
  };
  const dropped = isSupervised ? droppedBySupervisor : droppedByEngine;
  for (const [name, service] of Object.entries(composition.services)) {
    const at = (...path: (string | number)[]) => ['services', name, ...path];
    if (isSupervised && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
      refuse(at(), 'has a name that a Supervisor refuses: begin it with a letter or a digit');
    }
    const twin = Object.keys(composition.services).find((one) => one.toLowerCase() === name.toLowerCase());
    if (twin !== undefined && twin !== name) {
      refuse(at(), `differs from ${twin} in capitals only, and the names of their images have none`);
    }
    for (const key of Object.keys(service)) {
      const instead = Object.hasOwn(dropped, key) ? dropped[key] : undefined;
      if (instead !== undefined) drop(at(key), instead);
    }
    if (service.provider !== undefined) {
      refuse(at('provider'), 'has a program of Docker Compose stand in for the service, and a device runs containers');
    }
    if (service.scale !== undefined && service.scale !== 1) drop(at('scale'), 'one container runs');
    if (service.platform !== undefined) drop(at('platform'), "images are of the device's own platform");
    for (const key of Object.keys(service.build ?? {})) {
      const instead = Object.hasOwn(droppedByBuilder, key) ? droppedByBuilder[key] : undefined;
      if (instead !== undefined) drop(at('build', key), instead);
    }
    if (isSupervised) checkSupervised(name, service, { at, drop, refuse });
    for (const [index, mount] of (service.volumes ?? []).entries()) {
      const message = mountProblem(mount, isSupervised);
      if (message !== undefined) tell(message.level, message.code, at('volumes', index), message.text);
    }
    for (const variable of Object.keys(service.environment)) {
      if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(variable) || !isSupervised) continue;
      refuse(at('environment', variable), 'has a name that a Supervisor refuses: use letters, digits and _');
    }
  }
  for (const [name, network] of Object.entries(composition.networks)) {
    const at = (key: string) => ['networks', name, key];
    const isOther = network.driver !== undefined && !['bridge', 'default'].includes(network.driver);
    if (isSupervised && isOther) refuse(at('driver'), `is ${network.driver ?? ''}, and devices have bridges only`);
    if (isSupervised && network.external === true)
      refuse(at('external'), 'names a network that a device does not have');
    if (isSupervised && network.attachable !== undefined) drop(at('attachable'), 'it is for swarms');
    if (isSupervised && network.enable_ipv4 !== undefined) drop(at('enable_ipv4'), 'networks have IPv4');
    if (isSupervised && network.name !== undefined) drop(at('name'), 'the network is called after its key');
  }
  for (const [name, volume] of Object.entries(composition.volumes)) {
    const at = (key: string) => ['volumes', name, key];
    if (isSupervised && volume.external === true) refuse(at('external'), 'names a volume that a device does not have');
    if (isSupervised && volume.driver !== undefined && volume.driver !== 'local') {
      refuse(at('driver'), `is ${volume.driver}, and devices have local volumes only`);
    }
    if (isSupervised && volume.name !== undefined) drop(at('name'), 'the volume is called after its key');
  }
  return [...findings, ...portConflicts(composition.services, placeOf)];
}

interface Tellers {
  readonly at: (...path: (string | number)[]) => readonly (string | number)[];
  readonly drop: (path: readonly (string | number)[], instead: string) => void;
  readonly refuse: (path: readonly (string | number)[], message: string) => void;
}

/** What a Supervisor takes only some values of. */
function checkSupervised(name: string, service: Service, { at, drop, refuse }: Tellers): void {
  const { network_mode: mode, pid, security_opt: options = [], depends_on: depends = {} } = service;
  if (mode?.startsWith('container:') === true) refuse(at('network_mode'), 'names a container: use service:<name>');
  if (pid !== undefined && pid !== 'host') refuse(at('pid'), `is ${pid}, and a Supervisor knows host only`);
  for (const [index, option] of options.entries()) {
    const isKnown = /^(no-new-privileges(:true)?|apparmor[=:]unconfined|seccomp[=:]unconfined)$/.test(option);
    if (!isKnown)
      refuse(
        at('security_opt', index),
        'is not among those that a Supervisor takes: no-new-privileges, apparmor=unconfined, seccomp=unconfined',
      );
  }
  for (const [other, { condition }] of Object.entries(depends)) {
    if (condition !== 'service_started') {
      drop(
        at('depends_on', other, 'condition'),
        `${name} starts as soon as ${other} has started, not when it is ${condition.replace('service_', '').replaceAll('_', ' ')}`,
      );
    }
  }
  for (const [network, attachment] of Object.entries(service.networks ?? {})) {
    for (const key of ['mac_address', 'interface_name', 'driver_opts', 'priority', 'gw_priority']) {
      if (Object.hasOwn(attachment, key)) drop(at('networks', network, key), 'a Supervisor does not know it');
    }
  }
  if (service.healthcheck?.start_interval !== undefined) {
    drop(at('healthcheck', 'start_interval'), 'the interval holds from the start');
  }
}

function mountProblem(
  mount: Mount,
  isSupervised: boolean,
): { readonly level: Finding['level']; readonly code: string; readonly text: string } | undefined {
  const { type, source = '', target } = mount;
  if (type === 'bind' && /^(\.|~|[a-z]:|\\)/i.test(source)) {
    const text = `binds ${source}, which is on this computer and not on the device: copy it into the image, or sync it with develop.watch`;
    return { level: isSupervised ? 'warning' : 'error', code: isSupervised ? 'key-dropped' : 'key-refused', text };
  }
  if (!isSupervised) return undefined;
  const feature = featureOfMount(mount);
  if (feature !== undefined) {
    return { level: 'note', code: 'mount-as-feature', text: `becomes the label io.balena.features.${feature}` };
  }
  const dropped = (instead: string) =>
    ({ level: 'warning', code: 'key-dropped', text: `is dropped: ${instead}` }) as const;
  if (type === 'bind') return dropped(`a Supervisor mounts no files of the device; use a volume for ${target}`);
  if (type === 'volume' && source === '')
    return dropped(`a Supervisor mounts only volumes with a name; name one for ${target}`);
  if (type === 'tmpfs') return dropped(`use tmpfs: ["${target}"]`);
  return type === 'volume' ? undefined : dropped(`a Supervisor mounts no ${type}`);
}

/** Two services cannot have one port of the device. */
function portConflicts(
  services: Readonly<Record<string, Service>>,
  placeOf: (path: readonly (string | number)[]) => Place | undefined,
): readonly Finding[] {
  const taken = new Map<string, string>();
  const findings: Finding[] = [];
  for (const [name, service] of Object.entries(services)) {
    for (const [index, { published, protocol, host_ip = '' }] of (service.ports ?? []).entries()) {
      if (published === undefined || published.includes('-')) continue;
      const port = `${published}/${protocol}`;
      const other = taken.get(`${host_ip} ${port}`);
      const place = placeOf(['services', name, 'ports', index]);
      if (other !== undefined && other !== name) {
        const message = `services.${name}.ports.${index} publishes port ${port}, as ${other} does: one of them will not start`;
        findings.push({
          level: 'error',
          code: 'port-taken',
          service: name,
          ...(place === undefined ? {} : { place }),
          message,
        });
      }
      taken.set(`${host_ip} ${port}`, name);
    }
  }
  return findings;
}
