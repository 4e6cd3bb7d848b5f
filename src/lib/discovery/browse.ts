import { isDeepStrictEqual } from 'node:util';
import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';
import { type AnnouncedDevice, DeviceRecords, deviceService, sshService } from './device-records.js';
import { type Multicast, type MulticastQuestion, openMulticast } from './multicast.js';
import { type NetworkLink, networkLinks } from './network-links.js';

/** How long and where to listen for announcements. */
export interface BrowseOptions {
  /** Ends the browsing. */
  readonly signal: AbortSignal;
  /** Only these interfaces of this computer; all without it, also those that come up later. */
  readonly interfaces?: readonly string[] | undefined;
  /** Called with the devices of a host name, see `DeviceRecords.devicesOf`, when they were first heard of or have changed; none are left when it said goodbye. */
  readonly onHost: (hostname: string, devices: readonly AnnouncedDevice[]) => void;
  /** Called whenever a host was heard. */
  readonly onHeard?: (hostname: string) => void;
  /** Called when the questions have been asked again. */
  readonly onAsked?: () => void;
}

/** A browsing that goes on. */
export interface Browsing {
  /** Asks one address for devices, for networks that do not carry multicast. */
  askAt(address: string): void;
  /** Forgets what a host has announced: it is reported anew when it is heard again. */
  forget(hostname: string): void;
  /** Ends when the signal is aborted. */
  readonly done: Promise<void>;
}

/** Pauses between questions, which make it ask at 0, 1, 2, 4, 8 and 18 s; the last one is repeated. */
const pausesMs = [1000, 1000, 2000, 4000, 10_000];

/** How long a responder gets to send by itself what belongs to an announcement before it is asked for it. */
const completionMs = 150;

const serviceQuestions: readonly MulticastQuestion[] = [
  { name: deviceService, type: 'PTR' },
  { name: sshService, type: 'PTR' },
];

/** Asks every link for devices, again and again, until the signal is aborted. Fails when there is no link to ask. */
export async function browseDevices(options: BrowseOptions): Promise<Browsing> {
  const { signal, interfaces, onHost, onHeard, onAsked } = options;
  const records = new DeviceRecords();
  const reported = new Map<string, readonly AnnouncedDevice[]>();
  let completion: NodeJS.Timeout | undefined;
  let links = networkLinks(interfaces);
  let multicast = await listen(links);
  if (multicast.links === 0) {
    multicast.close();
    throw noNetwork(interfaces);
  }
  return {
    askAt: (address) => {
      multicast.askAt(address, serviceQuestions);
    },
    forget: (hostname) => {
      records.forget(hostname);
      reported.delete(hostname);
    },
    done: askOn(),
  };

  async function askOn(): Promise<void> {
    try {
      for (let round = 0; !signal.aborted; round++) {
        await followLinks();
        multicast.ask([...serviceQuestions, ...records.missing()]);
        onAsked?.();
        await waitAtMost(pausesMs[round] ?? pausesMs.at(-1) ?? 0, signal);
      }
    } finally {
      clearTimeout(completion);
      multicast.close();
    }
  }

  /** Listens anew when cables were plugged in or out, or addresses have changed. */
  async function followLinks(): Promise<void> {
    const now = networkLinks(interfaces);
    if (isDeepStrictEqual(now, links)) return;
    links = now;
    multicast.close();
    multicast = await listen(now);
  }

  function listen(on: readonly NetworkLink[]): Promise<Multicast> {
    return openMulticast(on, (answers, interfaceName) => {
      if (signal.aborted) return;
      if (interfaces !== undefined && interfaceName !== undefined && !interfaces.includes(interfaceName)) return;
      for (const host of records.add(answers, interfaceName)) report(host);
      completion ??= setTimeout(() => {
        completion = undefined;
        const missing = records.missing();
        if (missing.length > 0) multicast.ask(missing);
      }, completionMs);
    });
  }

  function report(host: string): void {
    const devices = records.devicesOf(host);
    const before = reported.get(host) ?? [];
    if (devices.length > 0) onHeard?.(host);
    if (isDeepStrictEqual(devices, before)) return;
    reported.set(host, devices);
    onHost(host, devices);
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
