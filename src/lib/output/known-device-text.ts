import { type KnownDevice, nameOf } from '../discovery/known-device.js';
import { tableLines } from './table.js';

/** The known devices as a table, with how long ago each was seen. */
export function knownDeviceLines(devices: readonly KnownDevice[], now: number): string[] {
  const rows = devices.map((device) => [
    nameOf(device),
    device.uuid ?? '-',
    device.addresses[0] ?? '-',
    device.deviceType ?? '-',
    lastSeen(device, now),
  ]);
  return tableLines(['name', 'uuid', 'address', 'type', 'seen'], rows);
}

function lastSeen({ seenAt, flashedAt }: KnownDevice, now: number): string {
  if (seenAt !== null) return formatAge(now - Date.parse(seenAt));
  return flashedAt === null ? '-' : `never, flashed ${formatAge(now - Date.parse(flashedAt))}`;
}

/** How long ago something was, in the largest unit that fits: `3 hours ago`. */
export function formatAge(milliseconds: number): string {
  const units = [
    ['day', 86_400_000],
    ['hour', 3_600_000],
    ['minute', 60_000],
  ] as const;
  for (const [unit, length] of units) {
    const count = Math.floor(milliseconds / length);
    if (count > 0) return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}
