import type { InspectedBoot, InspectedConnection, InspectedImage } from '../boot-config/inspect-image.js';
import type { OsFacts } from '../boot-config/os-facts.js';
import { formatBytes, printable } from './format.js';
import { tableLines } from './table.js';

const foundBy = {
  'asked-for': 'because it was asked for',
  name: 'by its GPT name',
  label: 'by its label',
  'device-type.json': 'by the device-type.json in it',
  'device-type.json-hint': 'by what device-type.json says',
  'config.json': 'because it is the first and has a config.json',
  'bare-file-system': 'as the only file system, without a partition table',
} as const;

/** An inspected image or drive for people. */
export function inspectionLines(image: InspectedImage): string[] {
  const { os, boot } = image;
  const facts: (readonly [string, string])[] = [
    [image.isDrive ? 'drive' : 'image', `${image.path} (${sizeText(image)})`],
    ...(os === null
      ? []
      : ([
          ['device type', os.deviceType === undefined ? 'unknown' : deviceTypeText(os.deviceType)],
          ['OS', [os.osName, os.osVersion].filter(Boolean).join(' ') || 'unknown'],
          ['kind', kindText(os)],
        ] as const)),
    ['table', { gpt: 'GPT', mbr: 'MBR', none: 'none' }[image.table.kind]],
    ...(boot === null ? [] : ([['boot', bootText(boot)]] as const)),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = [
    ...facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...(image.partitions.length === 0 ? [] : ['', ...partitionLines(image)]),
    ...(image.isPartial ? ['', 'It is packed, and was read up to its boot partition only.'] : []),
    ...(boot === null ? [] : ['', ...configLines(boot), '', ...connectionLines(boot.connections)]),
  ];
  return lines.map(printable);
}

function sizeText({ size, format }: InspectedImage): string {
  const bytes = size === null ? 'size unknown' : formatBytes(size);
  return format === 'raw' ? bytes : `${format}, ${size === null ? bytes : `${bytes} unpacked`}`;
}

function kindText({ kind, targetDisks = [] }: OsFacts): string {
  if (kind === 'direct') return 'direct: it is the OS itself';
  const disks = targetDisks.length === 0 ? '' : `, the first there is of: ${targetDisks.join(' ')}`;
  return `flasher: booted, it overwrites the internal disk of the computer${disks}`;
}

function deviceTypeText(type: { readonly slug: string; readonly name: string; readonly arch: string }): string {
  return `${type.name} (${type.slug}, ${type.arch})`;
}

function bootText(boot: InspectedBoot): string {
  const which = boot.partition === 0 ? 'the whole image' : `partition ${boot.partition}`;
  return `${which}, found ${foundBy[boot.foundBy]}, ${formatBytes(boot.free)} free`;
}

function partitionLines({ partitions }: InspectedImage): string[] {
  const rows = partitions.map((one) => [
    String(one.number),
    one.name ?? one.label ?? '',
    one.fileSystem ?? '',
    formatBytes(one.start),
    formatBytes(one.size),
  ]);
  return tableLines(['#', 'name', 'file system', 'start', 'size'], rows);
}

function configLines({ config }: InspectedBoot): string[] {
  if (config === null) return ['config.json: none that can be read'];
  return ['config.json:', ...JSON.stringify(config, null, 2).split('\n').slice(1, -1)];
}

function connectionLines(connections: readonly InspectedConnection[]): string[] {
  const active = connections.filter((one) => !one.isIgnored);
  if (active.length === 0) return ['connections: none, so Ethernet with DHCP only'];
  return ['connections:', ...active.map((one) => `  ${one.file}: ${connectionText(one)}`)];
}

function connectionText({ type, ssid, settings }: InspectedConnection): string {
  if (settings === null) return 'not a NetworkManager key file';
  const kind = ssid === null ? (type ?? 'no type') : `${type ?? 'wifi'} ${JSON.stringify(ssid)}`;
  const security = settings['wifi-security']?.['key-mgmt'];
  const method = settings.ipv4?.method;
  const details = [security, method === undefined ? undefined : `IPv4 ${method}`, settings.ipv4?.address1];
  return [kind, ...details.filter((detail) => detail !== undefined)].join(', ');
}
