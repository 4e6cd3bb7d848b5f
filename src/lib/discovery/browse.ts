import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';
import { type AnnouncedDevice, DeviceRecords, deviceService } from './device-records.js';
import { openMulticast } from './multicast.js';
import { networkLinks } from './network-links.js';

/** How long and where to listen for announcements. */
export interface BrowseOptions {
  /** Ends the browsing; what was found until then is the result. */
  readonly signal: AbortSignal;
  /** Only these interfaces of this computer; all without it. */
  readonly interfaces?: readonly string[] | undefined;
  /** Called with each device as soon as an address of it is known, and again when more is. */
  readonly onDevice: (device: AnnouncedDevice) => void;
}

/** Pauses between questions (RFC 6762 5.2: a second at first, then at least doubled). */
const pausesMs = [1000, 2000, 4000, 8000, 16_000, 32_000];

/** How long a responder gets to send by itself what belongs to an announcement before it is asked for it. */
const completionMs = 150;

/** Asks every link for devices, again and again, until the signal is aborted. Gives the devices that have announced themselves. */
export async function browseDevices({ signal, interfaces, onDevice }: BrowseOptions): Promise<AnnouncedDevice[]> {
  const records = new DeviceRecords();
  const reported = new Map<string, string>();
  let completion: NodeJS.Timeout | undefined;
  const multicast = await openMulticast(networkLinks(interfaces), (answers, interfaceName) => {
    if (interfaces !== undefined && interfaceName !== undefined && !interfaces.includes(interfaceName)) return;
    records.add(answers, interfaceName);
    for (const device of records.devices()) {
      const text = JSON.stringify(device);
      if (reported.get(device.hostname) === text) continue;
      reported.set(device.hostname, text);
      onDevice(device);
    }
    completion ??= setTimeout(() => {
      completion = undefined;
      const missing = records.missing();
      if (missing.length > 0) multicast.ask(missing);
    }, completionMs);
  });
  try {
    if (multicast.links === 0) throw noNetwork(interfaces);
    for (const pauseMs of pausesMs) {
      if (signal.aborted) break;
      multicast.ask([{ name: deviceService, type: 'PTR' }, ...records.missing()]);
      await waitAtMost(pauseMs, signal);
    }
    return records.devices();
  } finally {
    clearTimeout(completion);
    multicast.close();
  }
}

function noNetwork(interfaces: readonly string[] | undefined): Failure {
  return interfaces === undefined
    ? new Failure('unreachable', 'no-network', 'this computer is on no network', {
        hint: 'Connect it to the network the devices are on',
      })
    : new Failure('not-found', 'interface-not-found', `no network interface ${interfaces.join(' or ')} is up`, {
        hint: `Interfaces that are: ${[...new Set(networkLinks().map((link) => link.interface))].join(', ') || 'none'}`,
      });
}
