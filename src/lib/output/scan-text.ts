import type { DeviceChange, FoundDevice } from '../discovery/found-device.js';
import { tableLine, tableLines } from './table.js';

const headings = [
  'name',
  'address',
  'uuid',
  'mode',
  'known as',
  'type',
  'os',
  'ports',
  'interface',
  'engine',
  'supervisor',
];

// Rows are printed as devices are found, so the widths are those of usual values.
const widths = [20, 16, 7, 11, 12, 16, 16, 16, 10, 10];

/** The heading of a table of devices whose rows are printed one by one. */
export function foundDeviceHeading(): string {
  return tableLine(
    widths,
    headings.map((heading) => heading.toUpperCase()),
  );
}

/** A row of that table. */
export function foundDeviceLine(device: FoundDevice): string {
  return tableLine(widths, cells(device));
}

/** The whole table. */
export function foundDeviceLines(devices: readonly FoundDevice[]): string[] {
  return tableLines(headings, devices.map(cells));
}

/** What has happened to a device, for who watches without a terminal. */
export function deviceChangeLine({ type, device }: DeviceChange): string {
  return `${type.padEnd(7)}  ${foundDeviceLine(device)}`;
}

function cells(device: FoundDevice): string[] {
  const { hostname, addresses, shortUuid, mode, known, deviceType, os, openPorts, interfaces } = device;
  const { isFlasher, engineVersion, supervisorVersion } = device;
  return [
    hostname ?? '-',
    addresses[0] ?? '-',
    shortUuid ?? known?.uuid?.slice(0, 7) ?? '-',
    isFlasher ? 'flasher' : mode,
    known?.name ?? 'new',
    deviceType ?? '-',
    os ?? '-',
    openPorts.join(',') || '-',
    interfaces.join(',') || '-',
    engineVersion ?? '-',
    supervisorVersion ?? '-',
  ];
}
