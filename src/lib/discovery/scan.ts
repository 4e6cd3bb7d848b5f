import { interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { browseDevices } from './browse.js';
import type { AnnouncedDevice } from './device-records.js';
import type { Inventory } from './inventory.js';
import type { KnownDevice } from './known-device.js';
import { noteSighting } from './note-sighting.js';
import { type DeviceFacts, probeDevice } from './probe-device.js';

/** A device in the network: what it announced and what it says about itself. */
export type FoundDevice = AnnouncedDevice & DeviceFacts;

/** How a scan is done. */
export interface ScanOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Where what was found is remembered. */
  readonly inventory: Inventory;
  readonly interfaces?: readonly string[] | undefined;
  /** Called once for each device, as soon as its facts are known. */
  readonly onFound: (device: FoundDevice) => void;
}

/** A device on several interfaces answers on all of them within moments; its facts are asked for when they have come. */
const settleMs = 200;

/** Listens for devices and asks each for its facts. Gives them sorted by name, with every address heard until the end. */
export async function scanDevices(options: ScanOptions): Promise<FoundDevice[]> {
  const { signal, timeoutMs, inventory, interfaces, onFound } = options;
  const latest = new Map<string, AnnouncedDevice>();
  const probes = new Map<string, Promise<DeviceFacts>>();
  const listening = limit(signal, timeoutMs);
  try {
    const announced = await browseDevices({
      signal: listening.signal,
      interfaces,
      onDevice: (device) => {
        latest.set(device.hostname, device);
        if (!probes.has(device.hostname)) probes.set(device.hostname, probe(device));
      },
    });
    const found = await Promise.all(
      announced.map(async (device) => ({ ...device, ...(await (probes.get(device.hostname) ?? probe(device))) })),
    );
    const at = new Date().toISOString();
    const note = (devices: readonly KnownDevice[]) =>
      found.reduce((known, device) => noteSighting(known, device, { at }), devices);
    if (found.length > 0) await inventory.changeIfPossible(note);
    if (signal.aborted) throw interrupted();
    return found.sort((a, b) => (a.hostname < b.hostname ? -1 : 1));
  } finally {
    listening.end();
  }

  async function probe(first: AnnouncedDevice): Promise<DeviceFacts> {
    await waitAtMost(settleMs, signal);
    const device = latest.get(first.hostname) ?? first;
    const [address = ''] = device.addresses;
    const facts = await probeDevice({ address, sshPort: device.sshPort }, signal);
    if (!signal.aborted) onFound({ ...(latest.get(first.hostname) ?? device), ...facts });
    return facts;
  }
}
