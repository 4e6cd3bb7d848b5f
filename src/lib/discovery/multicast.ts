import { createSocket, type Socket } from 'node:dgram';
import type { MulticastDNS, ResponsePacket } from 'multicast-dns';
import { interfaceOf, isLinkLocal, type NetworkLink } from './network-links.js';
import { questionPackets } from './question-packets.js';

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
  /** Asks one address, for networks that do not carry multicast; it may be beyond the link. */
  askAt(address: string, questions: readonly MulticastQuestion[]): void;
  close(): void;
}

const port = 5353;
const groups = { 4: '224.0.0.251', 6: 'ff02::fb' } as const;

/**
 * Opens a socket for each IP version that shares port 5353 with whatever responder runs here, which hears what is multicast to all, and one
 * for each link that has a port of its own, to which responders answer directly and at once (RFC 6762 6.7): that needs no port that could be
 * taken and is not held back when the same was multicast a moment ago. Where firewalls let only one of the two pass, that one is enough.
 * A socket that cannot be opened is left out.
 */
export async function openMulticast(links: readonly NetworkLink[], listener: MulticastListener): Promise<Multicast> {
  /** Addresses asked directly, which alone may answer from beyond the link. */
  const asked = new Set<string>();
  const opened = await Promise.all([
    ...([4, 6] as const).map((version) => openShared(version, links, listener)),
    ...links.map((link) => openOwn(link, listener, asked)),
  ]);
  const members = opened.flatMap((one) => one ?? []);
  return {
    links: new Set(members.flatMap((member) => member.links)).size,
    ask: (questions) => {
      for (const packet of questionPackets(questions)) for (const member of members) member.ask(packet);
    },
    askAt: (address, questions) => {
      asked.add(address);
      const version = address.includes(':') ? 6 : 4;
      const member = members.find((one) => one.isOwn && one.links.some((link) => link.version === version));
      for (const packet of questionPackets(questions)) member?.dns.query(packet, { address, port }, () => undefined);
    },
    close: () => {
      for (const { dns } of members) dns.destroy();
    },
  };
}

interface Member {
  readonly links: readonly NetworkLink[];
  readonly isOwn: boolean;
  readonly dns: MulticastDNS;
  readonly ask: (questions: MulticastQuestion[]) => void;
}

/** The socket on port 5353 of one IP version, in the group on every link: a socket for each would hear everything several times. */
async function openShared(
  version: 4 | 6,
  links: readonly NetworkLink[],
  listener: MulticastListener,
): Promise<Member | undefined> {
  const mine = links.filter((link) => link.version === version);
  const socket = await openSocket(version, port);
  if (socket === undefined) return undefined;
  const joined = mine.filter((link) =>
    isDone(() => {
      socket.addMembership(groups[version], link.selector);
    }),
  );
  const dns = await decoderOf(socket, version);
  dns.on('response', (packet, from) => {
    // Responders answer from 5353 (RFC 6762 6). Whether it came by multicast is not to be seen.
    if (from.port !== port || !isNear(from.address)) return;
    listener([...(packet.answers ?? []), ...(packet.additionals ?? [])], interfaceOf(from.address));
  });
  let sending = Promise.resolve();
  return {
    links: joined,
    isOwn: false,
    dns,
    ask: (questions) => {
      // The interface is set on the socket, so it has to wait until the packet before is on its way.
      for (const link of joined) sending = sending.then(() => sendOn(link, socket, dns, questions));
    },
  };
}

/** A socket with a port of its own on one link. */
async function openOwn(
  link: NetworkLink,
  listener: MulticastListener,
  asked: ReadonlySet<string>,
): Promise<Member | undefined> {
  const socket = await openSocket(link.version, 0);
  if (socket === undefined) return undefined;
  const dns = await decoderOf(socket, link.version);
  dns.on('response', (packet, from) => {
    if (from.port !== port || !(isNear(from.address) || asked.has(from.address))) return;
    const interfaceName = asked.has(from.address) ? interfaceOf(from.address) : link.interface;
    listener([...(packet.answers ?? []), ...(packet.additionals ?? [])], interfaceName);
  });
  return {
    links: [link],
    isOwn: true,
    dns,
    ask: (questions) => {
      void sendOn(link, socket, dns, questions);
    },
  };
}

/**
 * Whether an address is one of a link of this computer: anybody on the internet could send an answer to its port (RFC 6762 11). A device
 * without DHCP has an address of its own making.
 */
function isNear(address: string): boolean {
  return interfaceOf(address) !== undefined || isLinkLocal(address);
}

/** Sends questions to everybody on a link. What one link does not carry (no route, interface gone) is no reason not to ask the others. */
function sendOn(link: NetworkLink, socket: Socket, dns: MulticastDNS, questions: MulticastQuestion[]): Promise<void> {
  return new Promise((resolve) => {
    const address = link.version === 4 ? groups[4] : `${groups[6]}%${link.zone}`;
    const isSet = isDone(() => {
      socket.setMulticastInterface(link.selector);
    });
    if (!isSet) resolve();
    else
      dns.query(questions, { address, port }, () => {
        resolve();
      });
  });
}

async function openSocket(version: 4 | 6, boundPort: number): Promise<Socket | undefined> {
  const socket = createSocket({ type: `udp${version}`, reuseAddr: boundPort !== 0, ipv6Only: version === 6 });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(boundPort, () => {
        socket.removeListener('error', reject);
        resolve();
      });
    });
    socket.setMulticastTTL(255);
    return socket;
  } catch {
    socket.close();
    return undefined;
  }
}

async function decoderOf(socket: Socket, version: 4 | 6): Promise<MulticastDNS> {
  const { default: multicastDns } = await import('multicast-dns');
  const dns = multicastDns({
    socket,
    bind: false,
    multicast: false,
    type: `udp${version}`,
    ip: groups[version],
    port,
    interface: '::',
  });
  // Damaged packets and links that go away while they are listened to.
  dns.on('warning', () => undefined);
  dns.on('error', () => undefined);
  return dns;
}

function isDone(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}
