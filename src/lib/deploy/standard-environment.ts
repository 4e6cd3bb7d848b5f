import { localRelease } from './local-release.js';

/** What a container needs to know of the device it will run on; what is not known is left out. */
export interface ContainerHost {
  readonly name?: string | undefined;
  readonly deviceType?: string | undefined;
  readonly architecture?: string | undefined;
  readonly operatingSystem?: string | undefined;
}

/** The variables that the Supervisor sets in every service, each under its `BALENA_` and its older `RESIN_` name. */
export function standardEnvironment(service: string, host: ContainerHost): Readonly<Record<string, string>> {
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
