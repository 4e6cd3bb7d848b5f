import type { JsonObject } from '../platform/json.js';
import { localContainerName, localRelease } from './local-release.js';

/** What a container needs to know of the device it will run on; what is not known is left out. */
export interface ContainerHost {
  readonly uuid?: string | undefined;
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

/** What balena gives a project that has only a Dockerfile; the Supervisor, where there is one, acts on these labels. */
const features = ['kernel-modules', 'firmware', 'dbus', 'supervisor-api', 'balena-api'] as const;

/**
 * The container of a project with a single Dockerfile: privileged, on the host's network, with a terminal, always restarted,
 * and with the volume `resin-data` at /data, as balena has it everywhere.
 */
export function planContainer(
  service: string,
  imageId: string,
  environment: Readonly<Record<string, string>>,
  host: ContainerHost,
): ContainerPlan {
  const volume = { name: `${localRelease.appId}_resin-data`, labels: supervised };
  const variables = { ...standardEnvironment(service, host), ...environment };
  return {
    service,
    name: localContainerName(service),
    volume,
    spec: {
      Image: imageId,
      Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
      Tty: true,
      Labels: {
        ...supervised,
        'io.balena.app-id': localRelease.appId,
        'io.balena.service-id': '1',
        'io.balena.service-name': service,
        ...Object.fromEntries(features.map((feature) => [`io.balena.features.${feature}`, '1'])),
      },
      HostConfig: {
        Privileged: true,
        NetworkMode: 'host',
        RestartPolicy: { Name: 'always' },
        Binds: [`${volume.name}:/data`],
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
    DEVICE_UUID: host.uuid,
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
