import { jsonObject, type Json, type JsonObject } from '../platform/json.js';
import type { Attachment, Composition, Healthcheck, Mount, Network, Port, Service } from '../project/composition.js';
import { featureLabels } from '../project/bound-features.js';
import { definitionLabel, definitionOf } from './definition.js';
import { localImageTag, localRelease, serviceNumbers } from './local-release.js';

/** A composition as a Supervisor is told of it. */
export interface SupervisedApps {
  /** The `apps` of a local target state of version 2. */
  readonly apps: JsonObject;
  /** The definition of each service, which its container has as a label. */
  readonly definitions: ReadonlyMap<string, string>;
}

/**
 * A composition as the apps of a Supervisor's local target state, with the numbers and names that balena-cli gives it. Services have the
 * keys that the Supervisor knows, in the short forms of compose files of version 2; what it would drop is left out.
 *
 * @param wanted the services that are to run, of all that the composition has
 */
export function supervisedApps(
  { services, networks, volumes }: Composition,
  wanted: ReadonlySet<string>,
): SupervisedApps {
  const numbers = serviceNumbers(Object.keys(services));
  const app = {
    name: localRelease.appName,
    commit: localRelease.commit,
    releaseId: localRelease.releaseId,
    volumes: mapped(volumes, ({ driver_opts, labels }) => jsonObject({ driver_opts, labels })),
    networks: mapped(withoutUsualDefault(networks), supervisedNetwork),
  };
  const definitions = new Map<string, string>();
  const entries: [string, JsonObject][] = [];
  for (const [name, number] of numbers) {
    const service = services[name];
    if (service === undefined || !wanted.has(name)) continue;
    const own = { ...service, labels: { ...featureLabels(service.volumes), ...service.labels } };
    const told = supervisedService(own);
    const definition = definitionOf({ ...told, objects: [app.volumes, app.networks] });
    definitions.set(name, definition);
    const identity = {
      imageId: number,
      serviceId: number,
      serviceName: name,
      image: localImageTag(name),
      running: true,
    };
    // Only so can a container of this definition be told from one that is about to be replaced.
    const labels = { ...own.labels, [definitionLabel]: definition };
    entries.push([String(number), { ...told, labels, ...identity }]);
  }
  return { apps: { [localRelease.appId]: { ...app, services: Object.fromEntries(entries) } }, definitions };
}

function supervisedService(service: Service): JsonObject {
  return jsonObject({
    environment: service.environment,
    labels: service.labels,
    command: service.command,
    entrypoint: service.entrypoint,
    restart: service.restart,
    privileged: service.privileged,
    tty: service.tty,
    init: service.init,
    user: service.user,
    working_dir: service.working_dir,
    hostname: service.hostname,
    domainname: service.domainname,
    mac_address: service.mac_address,
    network_mode: service.network_mode,
    networks: supervisedAttachments(service.networks),
    ports: service.ports?.map(portText),
    volumes: service.volumes?.flatMap(volumeText),
    tmpfs: service.tmpfs,
    devices: service.devices?.map(({ source, target, permissions }) => `${source}:${target}:${permissions}`),
    depends_on: service.depends_on === undefined ? undefined : Object.keys(service.depends_on),
    healthcheck: supervisedHealthcheck(service.healthcheck),
    cap_add: service.cap_add,
    cap_drop: service.cap_drop,
    security_opt: service.security_opt,
    group_add: service.group_add,
    ulimits: service.ulimits === undefined ? undefined : mapped(service.ulimits, ({ soft, hard }) => ({ soft, hard })),
    sysctls: service.sysctls,
    extra_hosts:
      service.extra_hosts === undefined
        ? undefined
        : Object.entries(service.extra_hosts).flatMap(([name, all]) => all.map((address) => `${name}:${address}`)),
    dns: service.dns,
    dns_opt: service.dns_opt,
    dns_search: service.dns_search,
    read_only: service.read_only,
    stop_signal: service.stop_signal,
    stop_grace_period: seconds(service.stop_grace_period),
    ipc: service.ipc,
    pid: service.pid,
    userns_mode: service.userns_mode,
    cgroup_parent: service.cgroup_parent,
    shm_size: service.shm_size,
    mem_limit: service.mem_limit,
    mem_reservation: service.mem_reservation,
    oom_kill_disable: service.oom_kill_disable,
    oom_score_adj: service.oom_score_adj,
    pids_limit: service.pids_limit,
    cpus: service.cpus,
    cpu_shares: service.cpu_shares,
    cpu_quota: service.cpu_quota,
    cpuset: service.cpuset,
    storage_opt: service.storage_opt,
  });
}

/** The Supervisor makes the default network by itself. */
function supervisedAttachments(networks: Service['networks']): JsonObject | undefined {
  if (networks === undefined) return undefined;
  const isUsual = Object.entries(networks).every(([name, one]) => name === 'default' && Object.keys(one).length === 0);
  return isUsual ? undefined : mapped(networks, attachmentOf);
}

function withoutUsualDefault(networks: Composition['networks']): Composition['networks'] {
  return Object.fromEntries(
    Object.entries(networks).filter(([name, one]) => name !== 'default' || Object.keys(one).length > 0),
  );
}

function attachmentOf({ aliases, ipv4_address, ipv6_address, link_local_ips }: Attachment): JsonObject {
  return jsonObject({ aliases, ipv4_address, ipv6_address, link_local_ips });
}

function supervisedNetwork({ driver, driver_opts, internal, enable_ipv6, ipam, labels }: Network): JsonObject {
  const config = ipam?.config?.map(({ subnet, gateway, ip_range, aux_addresses }) =>
    jsonObject({ subnet, gateway, ip_range, aux_addresses }),
  );
  return jsonObject({
    driver,
    driver_opts,
    internal,
    enable_ipv6,
    labels,
    ipam: ipam === undefined ? undefined : jsonObject({ driver: ipam.driver, options: ipam.options, config }),
  });
}

/** `127.0.0.1:8080:80/tcp` */
function portText({ target, published, host_ip, protocol }: Port): string {
  const outside = published === undefined ? '' : `${published}:`;
  return `${host_ip === undefined ? '' : `${host_ip}:`}${outside}${target}/${protocol}`;
}

/** `data:/data:ro`; the Supervisor mounts nothing but named volumes, and what the feature labels stand for. */
function volumeText({ type, source, target, read_only }: Mount): string[] {
  if (type !== 'volume' || source === undefined) return [];
  return [`${source}:${target}${read_only === true ? ':ro' : ''}`];
}

function supervisedHealthcheck(check: Healthcheck | undefined): JsonObject | undefined {
  if (check === undefined) return undefined;
  return jsonObject({
    test: check.disable === true ? ['NONE'] : check.test,
    interval: seconds(check.interval),
    timeout: seconds(check.timeout),
    retries: check.retries,
    start_period: seconds(check.start_period),
  });
}

function seconds(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `${value}s`;
}

function mapped<T>(objects: Readonly<Record<string, T>>, map: (one: T) => Json): JsonObject {
  return Object.fromEntries(Object.entries(objects).map(([name, one]) => [name, map(one)]));
}
