import { createHash } from 'node:crypto';
import { readFile as readFileOfSystem } from 'node:fs/promises';
import { whileDoing } from '../failure/while-doing.js';
import type { ConnectionFile } from './connection-file.js';
import { keyfileText, type KeyfileSections } from './keyfile.js';
import type { Network } from './network.js';
import { enterpriseParts } from './network-enterprise.js';
import { ipSections, listValue } from './network-ip.js';
import { wifiSections } from './network-wifi.js';

type NetworkOf<T extends Network['type']> = Extract<Network, { readonly type: T }>;

/**
 * The files of `system-connections` that make a network known to NetworkManager: its key file first, then those of its ports and
 * the certificates that it uses. The same network gives the same bytes.
 *
 * @param readFile reads a certificate or key by the path that the network has for it
 */
export async function networkFiles(
  name: string,
  network: Network,
  readFile: (path: string) => Promise<Buffer> = readCertificate,
): Promise<ConnectionFile[]> {
  const enterprise = 'enterprise' in network ? network.enterprise : undefined;
  const login = enterprise && (await enterpriseParts(name, enterprise, readFile));
  const sections = {
    ...connectionSection(name, network),
    ...typeSections(network),
    ...(login === undefined ? {} : { '802-1x': login.section }),
    ...ipSections(network, ipDefaults(network)),
  };
  const parts = [...portFiles(name, network), ...(login?.files ?? [])].map((part) => ({ ...part, partOf: name }));
  return [{ name, content: Buffer.from(keyfileText(sections)) }, ...parts];
}

/** NetworkManager's words for the types. */
const connectionTypes = {
  ethernet: 'ethernet',
  wifi: 'wifi',
  'access-point': 'wifi',
  cellular: 'gsm',
  vlan: 'vlan',
  bridge: 'bridge',
  bond: 'bond',
  wireguard: 'wireguard',
} as const satisfies Record<Network['type'], string>;

function connectionSection(name: string, network: Network): KeyfileSections {
  return {
    connection: {
      id: name,
      uuid: connectionUuid(name),
      type: connectionTypes[network.type],
      autoconnect: network.autoconnect?.toString(),
      'autoconnect-priority': network.priority?.toString(),
      'interface-name': network.interface,
      metered: network.metered === undefined ? undefined : network.metered ? '1' : '2',
    },
  };
}

function typeSections(network: Network): KeyfileSections {
  switch (network.type) {
    case 'ethernet':
      return {
        ethernet: {
          'cloned-mac-address': network.mac,
          'mac-address': network.hardwareAddress,
          mtu: network.mtu?.toString(),
        },
      };
    case 'wifi':
      return wifiSections(network, 'infrastructure');
    case 'access-point':
      return wifiSections(network, 'ap');
    case 'cellular':
      return cellularSections(network);
    case 'vlan':
      return {
        ...linkSection(network),
        vlan: { flags: '1', id: network.id.toString(), parent: network.parent },
      };
    case 'bridge':
      return { ...linkSection(network), bridge: { stp: network.stp?.toString() } };
    case 'bond':
      return { ...linkSection(network), bond: { mode: network.mode, ...network.options } };
    case 'wireguard':
      return wireguardSections(network);
  }
}

/** What NetworkManager calls ethernet is also the packet size and address of interfaces that it makes. */
function linkSection({ mac, mtu }: { readonly mac?: string; readonly mtu?: number }): KeyfileSections {
  if (mac === undefined && mtu === undefined) return {};
  return { ethernet: { 'cloned-mac-address': mac, mtu: mtu?.toString() } };
}

function cellularSections(network: NetworkOf<'cellular'>): KeyfileSections {
  return {
    gsm: {
      apn: network.apn,
      'auto-config': network.apn === undefined ? 'true' : undefined,
      'home-only': network.roaming === false ? 'true' : undefined,
      mtu: network.mtu?.toString(),
      'network-id': network.networkId,
      number: network.number ?? '*99#',
      password: network.password,
      // 4 is "not required": NetworkManager asks for a password wherever there is a user name.
      'password-flags': network.user !== undefined && network.password === undefined ? '4' : undefined,
      pin: network.pin,
      username: network.user,
    },
    serial: { baud: '115200' },
  };
}

function wireguardSections(network: NetworkOf<'wireguard'>): KeyfileSections {
  const peers = network.peers.map(
    (peer) =>
      [
        `wireguard-peer.${peer.publicKey}`,
        {
          'allowed-ips': listValue(peer.allowedIps),
          endpoint: peer.endpoint,
          'persistent-keepalive': peer.keepalive?.toString(),
          'preshared-key': peer.presharedKey,
          // 0 is "kept here": NetworkManager reads the key only where the flag says so.
          'preshared-key-flags': peer.presharedKey === undefined ? undefined : '0',
        },
      ] as const,
  );
  return {
    wireguard: {
      'listen-port': network.listenPort?.toString(),
      mtu: network.mtu?.toString(),
      'private-key': network.privateKey,
    },
    ...Object.fromEntries(peers),
  };
}

/** How connections of a type get their addresses when nothing is said about it; auto, where this says nothing either. */
export function ipDefaults({ type }: Pick<Network, 'type'>): NonNullable<Parameters<typeof ipSections>[1]> {
  if (type === 'access-point') return { ipv4: 'shared' };
  return type === 'wireguard' ? { ipv4: 'disabled', ipv6: 'disabled' } : {};
}

/** A bridge and a bond take their ports through a connection for each. */
function portFiles(name: string, network: Network): ConnectionFile[] {
  if (network.type !== 'bridge' && network.type !== 'bond') return [];
  return network.ports.map((port) => {
    const id = `${name}-port-${port}`;
    const connection = {
      id,
      uuid: connectionUuid(id),
      type: 'ethernet',
      'interface-name': port,
      master: connectionUuid(name),
      'slave-type': network.type,
    };
    return { name: id.replaceAll('.', '_'), content: Buffer.from(keyfileText({ connection })) };
  });
}

/** The namespace of the UUIDs below, itself made once at random. */
const namespace = Buffer.from('5b1c0d5e2f4a4e0b9f3d8c7a6e5b4d31', 'hex');

/** A UUID by name (version 5 of RFC 9562), so that the same network is the same connection on every device and after every change. */
export function connectionUuid(name: string): string {
  const bytes = createHash('sha1').update(namespace).update(name).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

async function readCertificate(path: string): Promise<Buffer> {
  try {
    return await readFileOfSystem(path);
  } catch (error) {
    throw whileDoing(`reading ${path}`, error);
  }
}
