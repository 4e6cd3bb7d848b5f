import type { JsonObject } from '../platform/json.js';
import { localContainerName, localRelease } from '../deploy/local-release.js';

/** What a container needs to know of the device it will run on; what is not known is left out. */
export interface ContainerHost {
  readonly name?: string | undefined;
  readonly deviceType?: string | undefined;
  readonly architecture?: string | undefined;
  readonly operatingSystem?: string | undefined;
}

/** A container as it is to be made on an engine. */
export interface ContainerPlan {
  readonly service: string;
  readonly name: string;
  readonly volume: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  /** The body of the engine's `POST /containers/create`. */
  readonly spec: JsonObject;
}

const supervised = { 'io.balena.supervised': 'true', 'io.balena.app-uuid': localRelease.appId } as const;

/**
 * What balena makes of a project that has only a Dockerfile; the Supervisor, where there is one, acts on the feature labels.
 */
export const singleServiceComposition = {
  privileged: true,
  hasTerminal: true,
  restart: 'always',
  networkMode: 'host',
  volume: 'resin-data',
  mountPoint: '/data',
  labels: Object.fromEntries(
    ['kernel-modules', 'firmware', 'dbus', 'supervisor-api', 'balena-api'].map((feature) => [
      `io.balena.features.${feature}`,
      '1',
    ]),
  ),
} as const;

/** The container that the Supervisor would make of the single-service composition, for an engine without a Supervisor. */
export function planContainer(
  service: string,
  imageId: string,
  environment: Readonly<Record<string, string>>,
  host: ContainerHost,
): ContainerPlan {
  const composition = singleServiceComposition;
  const volume = { name: `${localRelease.appId}_${composition.volume}`, labels: supervised };
  const variables = { ...standardEnvironment(service, host), ...environment };
  return {
    service,
    name: localContainerName(service),
    volume,
    spec: {
      Image: imageId,
      Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      Tty: composition.hasTerminal,
      Labels: {
        ...supervised,
        'io.balena.app-id': localRelease.appId,
        'io.balena.service-id': '1',
        'io.balena.service-name': service,
        ...composition.labels,
      },
      HostConfig: {
        Privileged: composition.privileged,
        NetworkMode: composition.networkMode,
        RestartPolicy: { Name: composition.restart },
        Binds: [`${volume.name}:${composition.mountPoint}`],
      },
    },
  };
}

/** The variables that the Supervisor sets in every service, each under its `BALENA_` and its older `RESIN_` name. */
function standardEnvironment(service: string, host: ContainerHost): Readonly<Record<string, string>> {
  const known = Object.entries({
    APP_ID: localRelease.appId,
    APP_UUID: localRelease.appId,
    APP_NAME: localRelease.appName,
    APP_RELEASE: localRelease.commit,
    SERVICE_NAME: service,
    DEVICE_NAME_AT_INIT: host.name,
    DEVICE_TYPE: host.deviceType,
    DEVICE_ARCH: host.architecture,
    HOST_OS_VERSION: host.operatingSystem,
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return {
    BALENA: '1',
    RESIN: '1',
    USER: 'root',
    ...Object.fromEntries(known.map(([name, value]) => [`BALENA_${name}`, value])),
    ...Object.fromEntries(known.map(([name, value]) => [`RESIN_${name}`, value])),
  };
}
