/**
 * A composition is what a project comes to once its files are read: interpolated, merged, checked and in one form. Its keys and
 * meanings are those of the Compose Specification (https://github.com/compose-spec/compose-spec/blob/main/spec.md), always in the
 * long form, so that whoever reads one needs to know one way of saying a thing:
 *
 * - Lists of `NAME=value` are maps, single words where lists may stand are lists, commands are lists of words.
 * - Durations are seconds and sizes are bytes, as numbers; ports and owners that may be ranges or names are text.
 * - Paths on this computer are absolute; what `env_file`, `label_file`, `extends` and `include` name is part of what they belong to.
 * - A key that the files do not have is not there, but for those that are not optional here.
 */
export interface Composition {
  /** The project's name: of `name`, or the folder's. */
  readonly name: string;
  /** Absolute path of the project folder. */
  readonly folder: string;
  /** Services of the active profiles by name, in the order of the files; each has an image or a build, or both. */
  readonly services: Readonly<Record<string, Service>>;
  /** Every network that a service uses, `default` among them where one is on it, and those that no service uses. */
  readonly networks: Readonly<Record<string, Network>>;
  /** Every named volume that a service uses is here. */
  readonly volumes: Readonly<Record<string, Volume>>;
  readonly secrets: Readonly<Record<string, FileObject>>;
  readonly configs: Readonly<Record<string, FileObject>>;
}

/** Where something stands that a user wrote; lines and columns count from 1. The file is as the user would name it here. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One container of a composition. What is not there is the engine's or the Supervisor's to choose. */
export interface Service {
  /** What to run, or, beside `build`, a further name for what is built. */
  readonly image?: string;
  readonly build?: Build;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  /** With the contents of `env_file`, below `environment`; a variable without a value has been given the one it has here. */
  readonly environment: Readonly<Record<string, string>>;
  /** With the contents of `label_file`, below `labels`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** One for each port: ranges are taken apart, unless one container port takes any of a range. */
  readonly ports?: readonly Port[];
  readonly expose?: readonly string[];
  readonly volumes?: readonly Mount[];
  /** Mount points of memory, with options: `/run:size=64m`. */
  readonly tmpfs?: readonly string[];
  /** `default` alone where the files name neither networks nor a mode; not there beside `network_mode`. */
  readonly networks?: Readonly<Record<string, Attachment>>;
  /** `host`, `bridge`, `none`, `service:<name>` or `container:<name>`. */
  readonly network_mode?: string;
  readonly depends_on?: Readonly<Record<string, Dependency>>;
  readonly healthcheck?: Healthcheck;
  /** `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:<times>`. */
  readonly restart?: string;
  readonly privileged?: boolean;
  readonly devices?: readonly DeviceMapping[];
  readonly device_cgroup_rules?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly group_add?: readonly string[];
  readonly ulimits?: Readonly<Record<string, Ulimit>>;
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Addresses by name. */
  readonly extra_hosts?: Readonly<Record<string, readonly string[]>>;
  readonly dns?: readonly string[];
  readonly dns_opt?: readonly string[];
  readonly dns_search?: readonly string[];
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mac_address?: string;
  readonly user?: string;
  readonly working_dir?: string;
  readonly tty?: boolean;
  readonly stdin_open?: boolean;
  readonly init?: boolean;
  readonly read_only?: boolean;
  readonly stop_signal?: string;
  /** Seconds. */
  readonly stop_grace_period?: number;
  readonly ipc?: string;
  readonly pid?: string;
  readonly uts?: string;
  readonly userns_mode?: string;
  readonly cgroup?: string;
  readonly cgroup_parent?: string;
  /** Bytes, as are the other sizes. */
  readonly shm_size?: number;
  readonly mem_limit?: number;
  readonly mem_reservation?: number;
  readonly mem_swappiness?: number;
  /** Bytes; -1 is without a limit. */
  readonly memswap_limit?: number;
  readonly oom_kill_disable?: boolean;
  readonly oom_score_adj?: number;
  readonly pids_limit?: number;
  readonly cpus?: number;
  readonly cpu_count?: number;
  readonly cpu_percent?: number;
  readonly cpu_shares?: number;
  /** Microseconds, as are the other times of the scheduler. */
  readonly cpu_period?: number;
  readonly cpu_quota?: number;
  readonly cpu_rt_period?: number;
  readonly cpu_rt_runtime?: number;
  readonly cpuset?: string;
  readonly blkio_config?: Readonly<Record<string, unknown>>;
  readonly storage_opt?: Readonly<Record<string, string>>;
  readonly logging?: { readonly driver?: string; readonly options?: Readonly<Record<string, string>> };
  readonly container_name?: string;
  readonly platform?: string;
  readonly pull_policy?: string;
  readonly pull_refresh_after?: string;
  readonly runtime?: string;
  readonly isolation?: string;
  readonly scale?: number;
  readonly links?: readonly string[];
  readonly external_links?: readonly string[];
  readonly volumes_from?: readonly string[];
  readonly secrets?: readonly FileGrant[];
  readonly configs?: readonly FileGrant[];
  readonly develop?: { readonly watch: readonly WatchRule[] };
  readonly post_start?: readonly Hook[];
  readonly pre_stop?: readonly Hook[];
  /** As the files have it: nothing here runs a swarm. */
  readonly deploy?: Readonly<Record<string, unknown>>;
  readonly profiles?: readonly string[];
  readonly attach?: boolean;
  /** As the files have it, like what follows: neither the Supervisor nor a plain engine acts on it. */
  readonly credential_spec?: unknown;
  readonly gpus?: unknown;
  readonly models?: unknown;
  readonly provider?: unknown;
  readonly use_api_socket?: boolean;
}

/** How a service's image is built. */
export interface Build {
  /** Absolute path of a folder, or the URL of a repository or an archive. */
  readonly context: string;
  /** Relative to the context with forward slashes, or absolute; `Dockerfile` and its variants where it is not there. */
  readonly dockerfile?: string;
  readonly dockerfile_inline?: string;
  /** Values without one in the files are those they have here; those that have none here either are left out. */
  readonly args: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly cache_from?: readonly string[];
  readonly cache_to?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly secrets?: readonly FileGrant[];
  /** Agent sockets or key files by name. */
  readonly ssh?: Readonly<Record<string, string>>;
  readonly network?: string;
  readonly extra_hosts?: Readonly<Record<string, readonly string[]>>;
  /** Bytes. */
  readonly shm_size?: number;
  readonly tags?: readonly string[];
  readonly platforms?: readonly string[];
  readonly additional_contexts?: Readonly<Record<string, string>>;
  readonly no_cache?: boolean;
  readonly pull?: boolean;
  readonly privileged?: boolean;
  readonly isolation?: string;
  readonly ulimits?: Readonly<Record<string, Ulimit>>;
  readonly entitlements?: readonly string[];
  readonly provenance?: unknown;
  readonly sbom?: unknown;
}

/** A port of a container on the device. */
export interface Port {
  readonly target: number;
  /** A port of the device, or a range like `8000-8010` to take any of; the engine chooses where it is not there. */
  readonly published?: string;
  readonly host_ip?: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly mode: string;
  readonly name?: string;
  readonly app_protocol?: string;
}

/** Something mounted into a container. */
export interface Mount {
  readonly type: 'volume' | 'bind' | 'tmpfs' | 'npipe' | 'cluster' | 'image';
  /** Name of a volume of the composition, or a path; an anonymous volume has none. Paths of binds are those of the device. */
  readonly source?: string;
  readonly target: string;
  readonly read_only?: boolean;
  readonly consistency?: string;
  readonly bind?: {
    readonly propagation?: string;
    readonly create_host_path?: boolean;
    readonly recursive?: string;
    readonly selinux?: string;
  };
  readonly volume?: {
    readonly nocopy?: boolean;
    readonly subpath?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  /** Size in bytes, mode as a number. */
  readonly tmpfs?: { readonly size?: number; readonly mode?: number };
  readonly image?: { readonly subpath?: string };
}

/** A service on a network. */
export interface Attachment {
  readonly aliases?: readonly string[];
  readonly ipv4_address?: string;
  readonly ipv6_address?: string;
  readonly link_local_ips?: readonly string[];
  readonly mac_address?: string;
  readonly interface_name?: string;
  readonly driver_opts?: Readonly<Record<string, string>>;
  readonly priority?: number;
  readonly gw_priority?: number;
}

/** What a service waits for before it starts. */
export interface Dependency {
  readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully';
  /** Whether the service restarts when the other is replaced. */
  readonly restart: boolean;
  /** Whether the service cannot start without the other. */
  readonly required: boolean;
}

/** How an engine finds out whether a service is well; all times are seconds. */
export interface Healthcheck {
  /** `['NONE']`, `['CMD', …]` or `['CMD-SHELL', '…']`. */
  readonly test?: readonly string[];
  readonly interval?: number;
  readonly timeout?: number;
  readonly retries?: number;
  readonly start_period?: number;
  readonly start_interval?: number;
  readonly disable?: boolean;
}

/** A device file of the device in a container. */
export interface DeviceMapping {
  readonly source: string;
  readonly target: string;
  /** Of `r`, `w` and `m`. */
  readonly permissions: string;
}

/** A limit of the kernel. */
export interface Ulimit {
  readonly soft: number;
  readonly hard: number;
}

/** A secret or a config in a container or in a build. */
export interface FileGrant {
  /** Name in the composition. */
  readonly source: string;
  readonly target?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly mode?: number;
}

/** A secret or a config. Its contents are never part of a composition, but for `content`. */
export interface FileObject {
  /** Absolute path. */
  readonly file?: string;
  /** Name of an environment variable of davit's. */
  readonly environment?: string;
  readonly content?: string;
  readonly external?: boolean;
  readonly name?: string;
  readonly driver?: string;
  readonly driver_opts?: Readonly<Record<string, string>>;
  readonly template_driver?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What happens when files under a path change while somebody works on them. */
export interface WatchRule {
  readonly action: 'rebuild' | 'restart' | 'sync' | 'sync+restart' | 'sync+exec';
  /** Absolute path of a file or folder here. */
  readonly path: string;
  /** Where it goes in the container. */
  readonly target?: string;
  /** Patterns as in `.dockerignore`, relative to the path. */
  readonly ignore?: readonly string[];
  readonly include?: readonly string[];
  readonly initial_sync?: boolean;
  readonly exec?: Hook;
}

/** A command to run in a container that runs already. */
export interface Hook {
  readonly command: readonly string[];
  readonly user?: string;
  readonly privileged?: boolean;
  readonly working_dir?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A network of a composition. */
export interface Network {
  /** Its name on the engine, where the files say one. */
  readonly name?: string;
  readonly driver?: string;
  readonly driver_opts?: Readonly<Record<string, string>>;
  readonly ipam?: {
    readonly driver?: string;
    readonly options?: Readonly<Record<string, string>>;
    readonly config?: readonly {
      readonly subnet?: string;
      readonly gateway?: string;
      readonly ip_range?: string;
      readonly aux_addresses?: Readonly<Record<string, string>>;
    }[];
  };
  readonly external?: boolean;
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly enable_ipv4?: boolean;
  readonly enable_ipv6?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
}

/** A named volume of a composition. */
export interface Volume {
  /** Its name on the engine, where the files say one. */
  readonly name?: string;
  readonly driver?: string;
  readonly driver_opts?: Readonly<Record<string, string>>;
  readonly external?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
}
