import { isSameDeviceType } from '../boot-config/device-type-aliases.js';
import type { Device } from '../device/device.js';
import { type LiveConfig, readLiveConfig } from '../device/live-config.js';
import { runScript } from '../device/run-script.js';
import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { managedBy } from './managed-by.js';

/** A device that can join a fleet or leave one, as far as that matters. */
export interface JoiningDevice {
  readonly live: LiveConfig;
  /** The cloud that manages it: its `apiEndpoint`. */
  readonly managedBy: string | undefined;
  /** What it says that it is; undefined where it has no device-type.json. */
  readonly deviceType: { readonly slug: string; readonly aliases: readonly string[] } | undefined;
  readonly schema: OsConfigSchema;
}

/** What os-config goes by on this device (`/etc/os-config.json`). */
export interface OsConfigSchema {
  /** The keys of config.json that belong to a cloud. */
  readonly keys: readonly string[];
  /** The files that it writes, and the services that read them. */
  readonly files: readonly string[];
  readonly units: readonly string[];
}

/** What it says since 2018, for a device on which it cannot be read. */
const usualSchema: OsConfigSchema = {
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
  files: ['/etc/openvpn/openvpn.conf', '/etc/openvpn/ca.crt'],
  units: ['prepare-openvpn.service', 'openvpn.service'],
};

const [deviceTypeFile, schemaFile] = ['/mnt/boot/device-type.json', '/etc/os-config.json'];

/** Says whether there is an os-config, and gives each file on a line of its own in base64. */
const lookScript = `
command -v os-config >/dev/null || exit 69
for file in ${deviceTypeFile} ${schemaFile}; do
  [ -e "$file" ] && base64 < "$file" | tr -d '\\n'
  echo
done`;

/** Looks at a device. Fails with `no-live-config` and `no-os-config` on what does not run balenaOS. */
export async function lookAtDevice(device: Pick<Device, 'name' | 'ssh'>): Promise<JoiningDevice> {
  const live = await readLiveConfig(device);
  const { exitCode, stdout } = await runScript(await device.ssh(), lookScript);
  if (exitCode !== 0) throw noOsConfig(device.name);
  const [description, schema] = String(stdout)
    .split('\n')
    .map((line) => parsed(Buffer.from(line, 'base64')));
  return {
    live,
    managedBy: managedBy(live.config),
    deviceType: deviceTypeIn(description),
    schema: schemaIn(schema),
  };
}

/** Whether a slug is that of a device's type, or another name of it. */
export function isItsDeviceType({ slug, aliases }: NonNullable<JoiningDevice['deviceType']>, other: string): boolean {
  return [slug, ...aliases].some((own) => isSameDeviceType(own, other));
}

function deviceTypeIn(description: unknown): JoiningDevice['deviceType'] {
  if (!isRecord(description) || typeof description.slug !== 'string') return undefined;
  return { slug: description.slug, aliases: texts(description.aliases) };
}

function schemaIn(schema: unknown): OsConfigSchema {
  if (!isRecord(schema)) return usualSchema;
  const services = (Array.isArray(schema.services) ? schema.services : []).filter(isRecord);
  const files = services.flatMap(({ files }) => (isRecord(files) ? Object.values(files) : []).filter(isRecord));
  const keys = texts(schema.keys);
  return {
    keys: keys.length === 0 ? usualSchema.keys : keys,
    files: texts(files.map(({ path }) => path)),
    units: services.flatMap(({ systemd_services: units }) => texts(units)),
  };
}

function texts(list: unknown): string[] {
  return (Array.isArray(list) ? list : []).filter((one): one is string => typeof one === 'string');
}

/** What is not JSON tells nothing. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(String(bytes));
  } catch {
    return undefined;
  }
}

function noOsConfig(name: string): Failure {
  return new Failure('refused', 'no-os-config', `${name} has no os-config, so it does not run balenaOS 2.14 or later`, {
    hint: 'Flash it with an image that is configured for the fleet: davit flash <image> --drive <drive> --profile <file>',
  });
}
