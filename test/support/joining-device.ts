import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { projectRoot } from './davit.js';
import { type LiveDevice, type LiveDeviceOptions, startLiveDevice } from './live-device.js';
import { startWebServer, type WebServerOptions } from './web-server.js';

/** What a device is like before it joins. */
export interface JoiningDeviceOptions {
  /** Its config.json. */
  readonly config: string;
  /** What its os-config is to do at which step, see `os-config.py`. */
  readonly standIn?: Readonly<Record<string, string | number | boolean>>;
  readonly etc?: Readonly<Record<string, string>>;
  readonly configuration?: LiveDeviceOptions['configuration'];
  readonly hasBusyBox?: boolean;
}

/** The files that os-config writes. */
export const vpnFiles = ['/etc/openvpn/openvpn.conf', '/etc/openvpn/ca.crt'] as const;

/** What a cloud answers at `/os/v1/config`. */
const serviceConfiguration = {
  services: { openvpn: { config: 'remote vpn.example\n', ca: 'new authority\n' } },
  config: { overrides: { logsEndpoint: 'https://logs.example' } },
  schema_version: '1.0.0',
};

/** The part of a cloud that os-config asks. */
export async function startCloud(t: TestContext, options: WebServerOptions = {}) {
  const bytes = Buffer.from(JSON.stringify(serviceConfiguration));
  return startWebServer(t, ({ path: asked }) => (asked === '/os/v1/config' ? { bytes } : { status: 404 }), options);
}

/**
 * Starts a device in production mode that lets in one key, with stand-ins for os-config and the Supervisor that were written from their sources; it
 * ends with the test.
 */
export async function startJoiningDevice(
  t: TestContext,
  { config, standIn = {}, etc = {}, configuration, hasBusyBox = false }: JoiningDeviceOptions,
): Promise<LiveDevice> {
  const program = (name: string) => readFile(path.join(projectRoot, 'test', 'support', `${name}.py`), 'utf8');
  const device = await startLiveDevice(t, {
    boot: {
      'config.json': config,
      'device-type.json': JSON.stringify({ slug: 'raspberrypi2', aliases: ['raspberrypi2-x'], arch: 'armv7hf' }),
    },
    etc: { 'os-config.json': JSON.stringify(schema), ...etc },
    programs: { 'os-config': await program('os-config'), 'supervisor-start': await program('supervisor-start') },
    units: ['prepare-openvpn', 'openvpn'],
    hasBusyBox,
    ...(configuration === undefined ? {} : { configuration }),
  });
  await device.write('/run/stand-in.json', JSON.stringify(standIn));
  return device;
}

/** `/etc/os-config.json` as meta-balena has it. */
const schema = {
  services: [
    {
      id: 'openvpn',
      files: { config: { path: vpnFiles[0], perm: '' }, ca: { path: vpnFiles[1], perm: '' } },
      systemd_services: ['prepare-openvpn.service', 'openvpn.service'],
    },
  ],
  keys: [
    'applicationId',
    'deviceType',
    'appUpdatePollInterval',
    'listenPort',
    'apiEndpoint',
    'registryEndpoint',
    'deltaEndpoint',
    'mixpanelToken',
    'apiKey',
    'version',
    'deviceApiKey',
    'registered_at',
    'deviceId',
    'balenaRootCA',
  ],
  config: { whitelist: ['logsEndpoint'] },
  schema_version: '1.0.0',
};
