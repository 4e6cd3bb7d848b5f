import { connectionType, connectionValue } from './connection-file.js';
import { type Keyfile, unescapeKeyfileValue } from './keyfile.js';
import type { Network } from './network.js';
import { methodOf } from './network-ip.js';
import { readSsidValue } from './wifi-values.js';

/** What a connection does, in a few words for people: `"Office", WPA2, hidden` or `192.168.1.5/24 on eth0`. */
export function connectionText(keyfile: Keyfile, network: Network | undefined): string {
  const words = network === undefined ? [foreignText(keyfile)] : [typeText(network), ...addressText(network)];
  const device = network?.interface;
  const isMade = network?.type === 'bridge' || network?.type === 'bond' || network?.type === 'wireguard';
  return [
    ...words,
    ...(device === undefined || isMade ? [] : [`only on ${device}`]),
    ...(network?.priority === undefined ? [] : [`priority ${network.priority}`]),
    ...(network?.autoconnect === false ? ['not by itself'] : []),
  ]
    .filter((word) => word !== '')
    .join(', ');
}

function typeText(network: Network): string {
  switch (network.type) {
    case 'ethernet':
      return network.enterprise === undefined ? '' : `802.1X (${network.enterprise.method})`;
    case 'wifi':
    case 'access-point':
      return [
        network.ssid === undefined ? `SSID ${network.ssidHex ?? ''} (hex)` : JSON.stringify(network.ssid),
        securityText(network),
        ...(network.band === undefined ? [] : [network.band]),
        ...(network.hidden === true ? ['hidden'] : []),
      ].join(', ');
    case 'cellular':
      return [
        network.apn === undefined ? 'access point of the SIM card' : `access point ${network.apn}`,
        ...(network.roaming === false ? ['no roaming'] : []),
      ].join(', ');
    case 'vlan':
      return `VLAN ${network.id} on ${network.parent}`;
    case 'bridge':
      return `${network.interface} of ${network.ports.join(', ')}`;
    case 'bond':
      return `${network.interface} of ${network.ports.join(', ')}, ${network.mode}`;
    case 'wireguard':
      return `${network.interface} to ${network.peers.map((peer) => peer.endpoint ?? 'a peer that calls').join(', ')}`;
  }
}

function securityText(network: Extract<Network, { readonly type: 'wifi' | 'access-point' }>): string {
  const { security } = network;
  if (security === 'open') return 'open';
  const name = { wpa2: 'WPA2', wpa3: 'WPA3', 'wpa3-192': 'WPA3 192 bit' }[security ?? 'wpa2'];
  const enterprise = 'enterprise' in network ? network.enterprise : undefined;
  return enterprise === undefined ? name : `${name} Enterprise (${enterprise.method})`;
}

function addressText({ type, ipv4, ipv6 }: Network): string[] {
  const own = [ipv4, ipv6].flatMap((ip) => (typeof ip === 'object' ? (ip.addresses ?? []) : []));
  if (own.length > 0) return [own.join(', ')];
  const method = ipv4 === undefined ? undefined : methodOf(ipv4);
  if (method === undefined) return type === 'ethernet' || type === 'vlan' ? ['DHCP'] : [];
  return [{ auto: 'DHCP', disabled: 'no IPv4', shared: 'shared', 'link-local': 'link-local only' }[method] ?? method];
}

/** Of a connection that a profile has no words for, what can be told by its keys alone. */
function foreignText(keyfile: Keyfile): string {
  const ssid = connectionValue(keyfile, 'wifi', 'ssid');
  const name = connectionValue(keyfile, 'connection', 'id');
  if (ssid !== undefined) return JSON.stringify(readSsidValue(unescapeKeyfileValue(ssid)).toString('utf8'));
  return [connectionType(keyfile) ?? 'no type', ...(name === undefined ? [] : [JSON.stringify(name)])].join(' ');
}
