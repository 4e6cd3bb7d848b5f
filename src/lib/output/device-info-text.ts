import type { DeviceInfo } from '../device/device-info.js';
import type { Amount } from '../device/host-details.js';
import { formatBytes, printable } from './format.js';
import { tableLines } from './table.js';

/** Everything about a device, for people. What is not known is left out. */
export function deviceInfoLines(info: DeviceInfo): string[] {
  const facts = factsOf(info).filter((fact): fact is readonly [string, string] => fact[1] !== null);
  const width = Math.max(...facts.map(([name]) => name.length));
  const { services, interfaces } = info;
  const serviceRows = services.map(({ name, state, status, image }) => [name, state, status ?? '-', image ?? '-']);
  const interfaceRows = interfaces.map(({ name, mac, addresses, connection }) => [
    ...[name, mac ?? '-', addresses.join(', ') || '-', connection ?? '-'],
  ]);
  const lines = [
    ...facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`),
    ...(services.length === 0 ? [] : ['', ...tableLines(['service', 'state', 'status', 'image'], serviceRows)]),
    ...(interfaces.length === 0
      ? []
      : ['', ...tableLines(['interface', 'MAC', 'addresses', 'connection'], interfaceRows)]),
  ];
  return lines.map(printable);
}

function factsOf(info: DeviceInfo): (readonly [string, string | null])[] {
  const { hostname, aliases, address, uuid, os, osVariant, mode, deviceType, model, architecture } = info;
  const { uptimeSeconds, memory, data, temperature, root, isOnTrial, apiEndpoint } = info;
  return [
    ['host name', hostname],
    ['known as', aliases.join(', ') || null],
    ['address', address],
    ['UUID', uuid],
    ['OS', joined([os, osVariant, mode === 'unknown' ? null : `${mode} mode`, info.isFlasher ? 'installer' : null])],
    ['device type', joined([deviceType, model, architecture])],
    ['up', uptimeSeconds === null ? null : joined([formatUptime(uptimeSeconds), loadText(info.load)])],
    ['memory', amountText(memory)],
    ['data', amountText(data)],
    ['temperature', temperature === null ? null : `${temperature.toFixed(1)} °C`],
    [
      'root',
      root === null ? null : `${root}${isOnTrial ? ', on trial: the OS goes back unless it proves healthy' : ''}`,
    ],
    ['fleet', info.ssh.isOpen ? (apiEndpoint ?? 'none') : null],
    ['SSH', info.ssh.isOpen ? 'open' : closedText(info.ssh.reason)],
    ['engine', info.engine.isOpen ? (info.engineVersion ?? 'open') : closedText(info.engine.reason)],
    ['Supervisor', info.supervisor.isOpen ? supervisorText(info) : closedText(info.supervisor.reason)],
  ];
}

function supervisorText({ supervisorVersion, supervisorReport }: DeviceInfo): string {
  if (supervisorReport === null) return supervisorVersion ?? 'open';
  const { isInLocalMode, status, update, downloadProgress, commit } = supervisorReport;
  return (
    joined([
      supervisorVersion,
      isInLocalMode === true ? 'local mode' : null,
      status?.toLowerCase() ?? null,
      downloadProgress === null ? null : `${Math.round(downloadProgress)}% downloaded`,
      update === null || update === 'none' ? null : `update ${update}`,
      commit === null ? null : `release ${commit.slice(0, 7)}`,
    ]) ?? 'open'
  );
}

function closedText(reason: string | null): string {
  return `not reached: ${reason ?? 'unknown reason'}`;
}

function amountText(amount: Amount | null): string | null {
  if (amount === null) return null;
  const { total, available } = amount;
  return `${formatBytes(available)} of ${formatBytes(total)} free (${Math.round((100 * available) / total)}%)`;
}

function loadText(load: readonly number[] | null): string | null {
  return load === null ? null : `load ${load.map((one) => one.toFixed(2)).join(' ')}`;
}

/** `3 days 4 h`, `4 h 12 min`, `12 min` */
function formatUptime(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} ${days === 1 ? 'day' : 'days'} ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min`;
}

function joined(parts: readonly (string | null)[]): string | null {
  return parts.filter((part) => part !== null && part !== '').join(', ') || null;
}
