import { createSocket, type Socket } from 'node:dgram';
import type { MulticastDNS, ResponsePacket } from 'multicast-dns';
import { interfaceOf, type NetworkLink } from './network-links.js';

/** A DNS record as it arrives. */
export type MulticastRecord = NonNullable<ResponsePacket['answers']>[number];

/** A DNS question. */
export interface MulticastQuestion {
  readonly name: string;
  readonly type: 'PTR' | 'SRV' | 'A' | 'AAAA';
}

/** Takes the records of one answer and the interface it came in on, where that can be told. */
export type MulticastListener = (records: readonly MulticastRecord[], interfaceName: string | undefined) => void;

/** Multicast DNS on several links at once. */
export interface Multicast {
  /** How many links can be asked. */
  readonly links: number;
  /** Asks on every link. */
  ask(questions: readonly MulticastQuestion[]): void;
  close(): void;
}

const port = 5353;
const groups = { 4: '224.0.0.251', 6: 'ff02::fb' } as const;

/**
 * Opens two sockets per link. One shares port 5353 with whatever responder runs here and hears what is multicast to all; the
 * other has a port of its own, to which responders answer directly and at once (RFC 6762 6.7), which needs no port that
 * could be taken and is not held back when the same was multicast a moment ago. A socket that cannot be opened is left out.
 */
export async function openMulticast(links: readonly NetworkLink[], listener: MulticastListener): Promise<Multicast> {
  const opened = await Promise.all(
    links.flatMap((link) => [openSocket(link, true, listener), openSocket(link, false, listener)]),
  );
  const members = opened.flatMap((one) => one ?? []);
  return {
    links: new Set(members.map(({ link }) => link)).size,
    ask: (questions) => {
      // What one link does not carry (no route, interface gone) is no reason not to ask the others.
      for (const { dns } of members) dns.query([...questions], () => undefined);
    },
    close: () => {
      for (const { dns } of members) dns.destroy();
    },
  };
}

interface Member {
  readonly link: NetworkLink;
  readonly dns: MulticastDNS;
}

async function openSocket(
  link: NetworkLink,
  isShared: boolean,
  listener: MulticastListener,
): Promise<Member | undefined> {
  const { default: multicastDns } = await import('multicast-dns');
  const socket = createSocket({ type: `udp${link.version}`, reuseAddr: isShared, ipv6Only: link.version === 6 });
  try {
    await bind(socket, isShared ? port : 0);
    socket.setMulticastInterface(link.selector);
    socket.setMulticastTTL(255);
    if (isShared) socket.addMembership(groups[link.version], link.selector);
  } catch {
    socket.close();
    return undefined;
  }
  const group = link.version === 4 ? groups[4] : `${groups[6]}%${link.zone}`;
  const dns = multicastDns({
    socket,
    bind: false,
    multicast: false,
    type: `udp${link.version}`,
    ip: group,
    port,
    interface: link.selector,
  });
  dns.on('response', (packet, from) => {
    // Real responders answer from 5353 (RFC 6762 6).
    if (from.port !== port) return;
    // Linux hands every socket on 5353 what any of them has joined, whichever interface it came in on.
    const interfaceName = isShared ? interfaceOf(from.address) : link.interface;
    listener([...(packet.answers ?? []), ...(packet.additionals ?? [])], interfaceName);
  });
  // Damaged packets and links that go away while they are listened to.
  dns.on('warning', () => undefined);
  dns.on('error', () => undefined);
  return { link, dns };
}

function bind(socket: Socket, boundPort: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(boundPort, () => {
      socket.removeListener('error', reject);
      resolve();
    });
  });
}
