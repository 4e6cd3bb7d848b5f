import { jsonObject, type JsonObject } from '../platform/json.js';
import type { Port, Service } from '../project/composition.js';
import { binds, memoryMounts, mounts } from './container-mounts.js';
import type { ObjectNames } from './object-names.js';

/** What settles a container's `HostConfig` besides the service itself. */
export interface HostConfigOptions {
  /** A restart policy as compose files have it. */
  readonly restart: string;
  /** The engine's name of the network that it is created on. */
  readonly network: string | undefined;
  readonly objectNames: ObjectNames;
  readonly needsGpu: boolean;
}

/** The `HostConfig` of a service's container. */
export function hostConfig(
  service: Service,
  { restart, network, objectNames, needsGpu }: HostConfigOptions,
): JsonObject {
  const [policy = 'no', retries] = restart.split(':');
  return jsonObject({
    NetworkMode: network ?? plainMode(service.network_mode),
    RestartPolicy: retries === undefined ? { Name: policy } : { Name: policy, MaximumRetryCount: Number(retries) },
    Binds: binds(service.volumes, objectNames),
    Mounts: mounts(service.volumes),
    Tmpfs: memoryMounts(service.tmpfs),
    PortBindings: portBindings(service.ports),
    Privileged: service.privileged,
    CapAdd: service.cap_add,
    CapDrop: service.cap_drop,
    Devices: service.devices?.map(({ source, target, permissions }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: permissions,
    })),
    DeviceCgroupRules: service.device_cgroup_rules,
    DeviceRequests: needsGpu ? [{ Count: 1, Capabilities: [['gpu']] }] : undefined,
    SecurityOpt: service.security_opt,
    GroupAdd: service.group_add,
    Ulimits:
      service.ulimits === undefined
        ? undefined
        : Object.entries(service.ulimits).map(([Name, { soft, hard }]) => ({ Name, Soft: soft, Hard: hard })),
    Sysctls: service.sysctls,
    ExtraHosts: Object.entries(service.extra_hosts ?? {}).flatMap(([name, addresses]) =>
      addresses.map((address) => `${name}:${address}`),
    ),
    Dns: service.dns,
    DnsOptions: service.dns_opt,
    DnsSearch: service.dns_search,
    Init: service.init,
    ReadonlyRootfs: service.read_only,
    IpcMode: plainMode(service.ipc) ?? 'shareable',
    PidMode: plainMode(service.pid),
    UTSMode: service.uts,
    UsernsMode: service.userns_mode,
    CgroupnsMode: service.cgroup,
    CgroupParent: service.cgroup_parent,
    ShmSize: service.shm_size,
    Memory: service.mem_limit,
    MemoryReservation: service.mem_reservation,
    MemorySwap: service.memswap_limit,
    MemorySwappiness: service.mem_swappiness,
    OomKillDisable: service.oom_kill_disable,
    OomScoreAdj: service.oom_score_adj,
    PidsLimit: service.pids_limit,
    NanoCpus: service.cpus === undefined ? undefined : Math.round(service.cpus * 1e9),
    CpuShares: service.cpu_shares,
    CpuPeriod: service.cpu_period,
    CpuQuota: service.cpu_quota,
    CpuRealtimePeriod: service.cpu_rt_period,
    CpuRealtimeRuntime: service.cpu_rt_runtime,
    CpusetCpus: service.cpuset,
    StorageOpt: service.storage_opt,
    Runtime: service.runtime,
    LogConfig:
      service.logging === undefined
        ? undefined
        : jsonObject({ Type: service.logging.driver, Config: service.logging.options }),
  });
}

/** Modes with which a container joins that of another service. */
export function sharedWith({ network_mode, ipc, pid }: Service): Readonly<Record<string, string>> {
  const modes = Object.entries({ NetworkMode: network_mode, IpcMode: ipc, PidMode: pid });
  return Object.fromEntries(
    modes.flatMap(([key, mode]) => (mode?.startsWith('service:') ? [[key, mode.slice('service:'.length)]] : [])),
  );
}

function plainMode(mode: string | undefined): string | undefined {
  return mode?.startsWith('service:') ? undefined : mode;
}

function portBindings(ports: readonly Port[] | undefined): JsonObject | undefined {
  if (ports === undefined) return undefined;
  const bindings: Record<string, JsonObject[]> = {};
  for (const { target, protocol, published, host_ip } of ports) {
    (bindings[`${target}/${protocol}`] ??= []).push({ HostIp: host_ip ?? '', HostPort: published ?? '' });
  }
  return bindings;
}
