import { jsonObject, type JsonObject } from '../platform/json.js';
import type { Attachment, Healthcheck, Service } from '../project/composition.js';
import { anonymousVolumes } from './container-mounts.js';
import { definitionLabel, definitionOf } from './definition.js';
import { currentLabels, type FeatureMount, featuresOf } from './features.js';
import { hostConfig, sharedWith } from './host-config.js';
import { localContainerName, localObjectLabels } from './local-release.js';
import type { ObjectNames } from './object-names.js';
import { type ContainerHost, standardEnvironment } from './standard-environment.js';

/** A container as it is to be made on an engine, but for its image and for what has to exist before it. */
export interface ContainerPlan {
  readonly service: string;
  readonly name: string;
  /** How it is to be, to compare with a container that is there already. */
  readonly definition: string;
  /** The body of the engine's `POST /containers/create`, without `Image`. */
  readonly spec: JsonObject;
  /** `HostConfig` keys with which it joins the container of another service: `{ NetworkMode: 'vpn' }`. */
  readonly shares: Readonly<Record<string, string>>;
  /** The networks that it is on besides that of `spec`, with their endpoints. */
  readonly furtherNetworks: readonly { readonly network: string; readonly endpoint: JsonObject }[];
  /** Parts of the device that labels ask for; those that it does not have are left out. */
  readonly features: readonly FeatureMount[];
  /** Whether it is meant to come to an end. */
  readonly isTask: boolean;
}

/** What a container plan is made of besides its service. */
export interface ContainerSurroundings {
  readonly number: number;
  readonly host: ContainerHost;
  readonly objectNames: ObjectNames;
  /** Whether another service waits until this one has ended. */
  readonly isAwaited: boolean;
}

/** Keys of a service that say nothing of its container. */
const otherKeys: ReadonlySet<string> = new Set([
  'build',
  'image',
  'depends_on',
  'develop',
  'profiles',
  'pull_policy',
  'platform',
  'container_name',
  'attach',
  'deploy',
  'scale',
]);

/** The container that the Supervisor would make of a service, for an engine without one. */
export function planContainer(name: string, service: Service, surroundings: ContainerSurroundings): ContainerPlan {
  const { number, host, objectNames, isAwaited } = surroundings;
  const features = featuresOf(currentLabels(service.labels));
  const variables = { ...standardEnvironment(name, host), ...features.environment, ...service.environment };
  const restart = service.restart ?? (isAwaited ? 'no' : 'always');
  const networks = networksOf(name, service, objectNames);
  const definition = definitionOf({
    ...Object.fromEntries(Object.entries(service).filter(([key]) => !otherKeys.has(key))),
    restart,
    device: standardEnvironment(name, host),
    objects: networks.map(({ network }) => network),
  });
  const [first, ...furtherNetworks] = networks;
  const spec = jsonObject({
    Cmd: service.command,
    Entrypoint: service.entrypoint,
    Env: Object.entries(variables).map(([key, value]) => `${key}=${value}`),
    // The Supervisor's own default.
    Tty: service.tty ?? true,
    OpenStdin: service.stdin_open,
    User: service.user,
    WorkingDir: service.working_dir,
    Hostname: service.hostname,
    Domainname: service.domainname,
    MacAddress: service.mac_address,
    StopSignal: service.stop_signal,
    StopTimeout: service.stop_grace_period === undefined ? undefined : Math.ceil(service.stop_grace_period),
    Healthcheck: healthcheckOf(service.healthcheck),
    ExposedPorts: exposedPorts(service),
    Volumes: anonymousVolumes(service.volumes),
    Labels: {
      ...currentLabels(service.labels),
      ...localObjectLabels,
      'io.balena.service-id': String(number),
      'io.balena.service-name': name,
      [definitionLabel]: definition,
    },
    HostConfig: hostConfig(service, { restart, network: first?.network, objectNames, needsGpu: features.needsGpu }),
    NetworkingConfig: first === undefined ? undefined : { EndpointsConfig: { [first.network]: first.endpoint } },
  });
  return {
    service: name,
    name: localContainerName(name, number),
    definition,
    spec,
    shares: sharedWith(service),
    furtherNetworks,
    features: features.mounts,
    isTask: restart === 'no' || restart.startsWith('on-failure'),
  };
}

function networksOf(
  name: string,
  { networks = {} }: Service,
  objectNames: ObjectNames,
): readonly { readonly network: string; readonly endpoint: JsonObject }[] {
  const byPriority = Object.entries(networks).sort(([, a], [, b]) => (b.priority ?? 0) - (a.priority ?? 0));
  return byPriority.map(([network, attachment]) => ({
    network: objectNames.network(network),
    endpoint: endpointOf(name, attachment),
  }));
}

function endpointOf(name: string, attachment: Attachment): JsonObject {
  const { aliases = [], ipv4_address, ipv6_address, link_local_ips, mac_address, driver_opts } = attachment;
  const addresses = jsonObject({
    IPv4Address: ipv4_address,
    IPv6Address: ipv6_address,
    LinkLocalIPs: link_local_ips,
  });
  return jsonObject({
    Aliases: [...new Set([name, ...aliases])],
    IPAMConfig: Object.keys(addresses).length === 0 ? undefined : addresses,
    MacAddress: mac_address,
    DriverOpts: driver_opts,
  });
}

function healthcheckOf(check: Healthcheck | undefined): JsonObject | undefined {
  if (check === undefined) return undefined;
  const nanoseconds = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.round(seconds * 1e9));
  return jsonObject({
    Test: check.disable === true ? ['NONE'] : check.test,
    Interval: nanoseconds(check.interval),
    Timeout: nanoseconds(check.timeout),
    Retries: check.retries,
    StartPeriod: nanoseconds(check.start_period),
    StartInterval: nanoseconds(check.start_interval),
  });
}

function exposedPorts({ ports = [], expose = [] }: Service): JsonObject | undefined {
  const all = [
    ...ports.map(({ target, protocol }) => `${target}/${protocol}`),
    ...expose.map((port) => (port.includes('/') ? port : `${port}/tcp`)),
  ];
  return all.length === 0 ? undefined : Object.fromEntries(all.map((port) => [port, {}]));
}
