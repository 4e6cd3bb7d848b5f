import type { Network } from '../../src/lib/boot-config/network.js';
import { networkDataShape } from '../../src/lib/boot-config/network.js';
import { fits } from '../../src/lib/boot-config/shape.js';
import type { SeededRandom } from './seeded-random.js';

type Makers = Readonly<Record<string, () => unknown>>;

/** A network of any kind with any of the settings that a profile has for it, but for certificates. */
export function randomNetwork(random: SeededRandom): Network {
  const maker = makersOf(random);
  for (;;) {
    const network: unknown = random.pick(maker)();
    // Some settings do not go together.
    if (fits(networkDataShape, network)) return network;
  }
}

function makersOf(random: SeededRandom): readonly (() => object)[] {
  const below = (limit: number) => random.below(limit);
  const bytes = (length: number) => random.bytes(length);
  const pick = <T>(from: readonly T[]): T => random.pick(from);
  const some = (makers: Makers) =>
    Object.fromEntries(Object.entries(makers).flatMap(([key, make]) => (below(3) === 0 ? [[key, make()]] : [])));
  const several = <T>(make: () => T) => Array.from({ length: 1 + below(3) }, make);
  const truth = () => below(2) === 0;
  const letters = Array.from(' \t\\;=#[]"\'$`abz019,ü日');
  const text = () => Array.from({ length: 1 + below(20) }, () => pick(letters)).join('');
  const key = () => Array.from({ length: 8 + below(56) }, () => String.fromCharCode(32 + below(95))).join('');
  const wireguardKey = () => bytes(32).toString('base64');
  const hardwareAddress = () => `02:00:5e:10:00:${(16 + below(200)).toString(16)}`;

  const address = (family: 4 | 6) =>
    family === 4 ? `10.${below(256)}.${below(256)}.${1 + below(254)}` : `fd00::${(1 + below(65_535)).toString(16)}`;
  const network = (family: 4 | 6) => `${address(family)}/${1 + below(family === 4 ? 32 : 128)}`;
  const addresses = (family: 4 | 6) => {
    const methods = ['auto', 'disabled', 'shared', 'link-local', ...(family === 6 ? ['dhcp'] : [])];
    if (below(3) === 0) return pick(methods);
    return some({
      method: () => pick(methods),
      addresses: () => several(() => network(family)),
      gateway: () => address(family),
      dns: () => several(() => address(family)),
      search: () => ['~x', 'a.b'],
      routes: () =>
        several(() => ({ to: network(family), ...some({ via: () => address(family), metric: () => below(100) }) })),
      metric: () => below(1000),
      ...{ default: truth, ignoreDns: truth, ignoreRoutes: truth },
      ...(family === 6 ? { privacy: () => pick(['off', 'public', 'temporary']) } : {}),
    });
  };

  const mtu = () => 1280 + below(8000);
  const link = { mac: () => pick(['random', 'stable', 'permanent', 'preserve', hardwareAddress()]), mtu };
  const shared = {
    ...{ autoconnect: truth, metered: truth, priority: () => below(1999) - 999 },
    ...{ ipv4: () => addresses(4), ipv6: () => addresses(6) },
  };
  const existing = { ...shared, interface: () => pick(['eth0', 'wlan0', 'enp3s0', 'end0']) };
  const name = () => (truth() ? { ssid: text().slice(0, 10) } : { ssidHex: bytes(1 + below(32)).toString('hex') });
  const band = () => pick([{}, { band: '5GHz' }, { band: '2.4GHz' }, { band: '2.4GHz', channel: 1 + below(13) }]);
  const security = () => pick([{ security: 'open' }, { key: key() }, { key: text(), security: 'wpa3' }]);
  const login = () => ({
    ...{ method: pick(['peap', 'ttls']), identity: text(), password: text() },
    ...some({ anonymousIdentity: text, domain: () => 'a.example', innerMethod: () => pick(['md5', 'gtc', 'pap']) }),
  });
  const peer = () => ({
    ...{ publicKey: wireguardKey(), allowedIps: several(() => network(pick([4, 6]))) },
    ...some({ endpoint: () => 'a.example:1', presharedKey: wireguardKey, keepalive: () => 1 + below(100) }),
  });

  return [
    () => ({ type: 'ethernet', ...some({ ...existing, ...link, hardwareAddress, enterprise: login }) }),
    () => ({
      ...{ type: 'wifi', ...name(), ...band() },
      ...(below(4) === 0 ? { enterprise: login() } : security()),
      ...some({ ...existing, ...link, hidden: truth, bssid: hardwareAddress, powersave: truth }),
    }),
    () => ({ type: 'access-point', ...name(), ...band(), ...security(), ...some({ ...existing, ...link }) }),
    () => ({
      type: 'cellular',
      ...some({
        ...existing,
        mtu,
        apn: () => 'a.b-c',
        user: text,
        password: text,
        pin: () => `0${1000 + below(9000)}`,
      }),
      ...some({ networkId: () => '26201', roaming: truth, number: () => '*99***1#' }),
    }),
    () => ({ type: 'vlan', id: 1 + below(4094), parent: 'eth0', ...some({ ...shared, interface: () => 'vl1', mtu }) }),
    () => ({
      ...{ type: 'bridge', interface: 'lan0', ports: ['eth1', 'eth2'].slice(below(2)) },
      ...some({ ...shared, ...link, stp: truth }),
    }),
    () => ({
      ...{ type: 'bond', interface: 'bond0', ports: ['eth1', 'eth2'], mode: pick(['802.3ad', 'broadcast']) },
      ...some({ ...shared, ...link, options: () => ({ miimon: '100' }) }),
    }),
    () => ({
      ...{ type: 'wireguard', interface: 'wg0', privateKey: wireguardKey(), peers: several(peer) },
      ...some({ ...shared, mtu, listenPort: () => 1 + below(65_535) }),
    }),
  ];
}
