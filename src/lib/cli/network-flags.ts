import { Flags } from '@oclif/core';
import type { Network } from '../boot-config/network.js';

const types = [
  'ethernet',
  'wifi',
  'access-point',
  'cellular',
  'vlan',
  'bridge',
  'bond',
] as const satisfies readonly Network['type'][];

const [link, addresses, wifi, login, cellular, others] = [
  'CONNECTION',
  'ADDRESSES',
  'WI-FI',
  'LOGIN (802.1X)',
  'CELLULAR',
  'VLAN, BRIDGE, BOND',
];

/** The flags that describe one network. None of them takes a secret; what they cannot say, a file given with --from can. */
export const networkFlags = {
  type: Flags.option({
    summary: 'What it is. [default: wifi with --wifi-ssid, cellular with --apn, vlan with --vlan-id, else ethernet]',
    options: types,
    helpGroup: link,
  })(),
  interface: Flags.string({
    summary: 'Only on this network interface; for a bridge or bond, its own name.',
    helpValue: '<name>',
    helpGroup: link,
  }),
  priority: Flags.integer({
    summary: 'Which network is tried first: the one with the highest number.',
    min: -999,
    max: 999,
    helpGroup: link,
  }),
  autoconnect: Flags.boolean({
    summary: 'Use it without being asked; --no-autoconnect only when something on the device does.',
    allowNo: true,
    helpGroup: link,
  }),
  metered: Flags.boolean({ summary: 'Its traffic costs money.', allowNo: true, helpGroup: link }),
  mac: Flags.string({
    summary: 'Hardware address to use: one of its own, or permanent, preserve, random, stable.',
    helpValue: '<address>',
    helpGroup: link,
  }),
  mtu: Flags.integer({ summary: 'Bytes of the largest packet.', helpGroup: link }),
  address: Flags.string({
    summary: 'Fixed address, IPv4 or IPv6, with its prefix length. Can be repeated. [default: from the network]',
    helpValue: '<address/length>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup: addresses,
  }),
  gateway: Flags.string({
    summary: 'Gateway of the fixed addresses. Can be repeated, once for each of IPv4 and IPv6.',
    helpValue: '<address>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup: addresses,
  }),
  dns: Flags.string({
    summary: 'DNS servers, separated by commas. Can be repeated.',
    helpValue: '<addresses>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup: addresses,
  }),
  route: Flags.string({
    summary: 'Further route: network, perhaps its gateway, perhaps its metric. Can be repeated.',
    helpValue: '<network[,gateway[,metric]]>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup: addresses,
  }),
  metric: Flags.integer({ summary: 'Which default route wins: the lowest number.', helpGroup: addresses }),
  'default-route': Flags.boolean({
    summary: 'With --no-default-route, only its own networks are reached through it.',
    allowNo: true,
    helpGroup: addresses,
  }),
  ipv4: Flags.string({
    summary: 'How IPv4 addresses are got: auto, disabled, shared, link-local.',
    helpValue: '<method>',
    helpGroup: addresses,
  }),
  ipv6: Flags.string({
    summary: 'How IPv6 addresses are got: auto, dhcp, disabled, shared, link-local.',
    helpValue: '<method>',
    helpGroup: addresses,
  }),
  'wifi-ssid': Flags.string({
    summary: 'Name of the Wi-Fi network; its key comes from --key-file or DAVIT_WIFI_KEY, or is asked for.',
    helpValue: '<name>',
    helpGroup: wifi,
  }),
  'wifi-ssid-hex': Flags.string({
    summary: 'Its bytes as hexadecimal digits, for a name that is not UTF-8.',
    helpValue: '<digits>',
    exclusive: ['wifi-ssid'],
    helpGroup: wifi,
  }),
  security: Flags.string({
    summary:
      'How it is secured: open, wpa2, wpa3 or, with a login, wpa3-192. [default: wpa2, which also joins networks with both]',
    helpValue: '<name>',
    helpGroup: wifi,
  }),
  'key-file': Flags.string({
    summary: 'File with the Wi-Fi key, or with the password of a login or a provider; - for standard input.',
    helpValue: '<file|->',
    helpGroup: wifi,
  }),
  hidden: Flags.boolean({ summary: 'It does not announce its name.', helpGroup: wifi }),
  bssid: Flags.string({ summary: 'Join this access point only.', helpValue: '<address>', helpGroup: wifi }),
  band: Flags.string({ summary: 'The only band to use: 2.4GHz or 5GHz.', helpValue: '<band>', helpGroup: wifi }),
  channel: Flags.integer({ summary: 'The only channel to use; needs --band.', helpGroup: wifi }),
  eap: Flags.string({
    summary: 'How to log in to a network with user accounts: peap, ttls, tls. [default: peap with --identity]',
    helpValue: '<method>',
    dependsOn: ['identity'],
    helpGroup: login,
  }),
  identity: Flags.string({
    summary: 'User name; the password comes from --key-file or DAVIT_NETWORK_PASSWORD, or is asked for.',
    helpValue: '<name>',
    helpGroup: login,
  }),
  'anonymous-identity': Flags.string({
    summary: 'User name that can be seen from outside.',
    helpValue: '<name>',
    dependsOn: ['identity'],
    helpGroup: login,
  }),
  domain: Flags.string({
    summary: "What the name in the server's certificate must end in.",
    helpValue: '<domain>',
    dependsOn: ['identity'],
    helpGroup: login,
  }),
  'ca-certificate': Flags.string({
    summary: "File with the certificate of the server's authority.",
    helpValue: '<file>',
    dependsOn: ['identity'],
    helpGroup: login,
  }),
  'client-certificate': Flags.string({
    summary: 'File with the certificate of the device.',
    helpValue: '<file>',
    dependsOn: ['identity'],
    helpGroup: login,
  }),
  'private-key': Flags.string({
    summary: 'File with its private key, without a password; with one, use --from.',
    helpValue: '<file>',
    dependsOn: ['identity'],
    helpGroup: login,
  }),
  apn: Flags.string({ summary: 'Access point name of the provider.', helpValue: '<name>', helpGroup: cellular }),
  user: Flags.string({
    summary:
      'User name at the provider; the password comes from --key-file or DAVIT_NETWORK_PASSWORD, or is asked for.',
    helpValue: '<name>',
    helpGroup: cellular,
  }),
  'pin-file': Flags.string({
    summary: 'File with the PIN of the SIM card, or - for standard input; or the variable DAVIT_SIM_PIN.',
    helpValue: '<file|->',
    helpGroup: cellular,
  }),
  roaming: Flags.boolean({
    summary: 'With --no-roaming, networks of other providers are not used.',
    allowNo: true,
    helpGroup: cellular,
  }),
  'vlan-id': Flags.integer({ summary: 'Number of the VLAN.', dependsOn: ['parent'], helpGroup: others }),
  parent: Flags.string({ summary: 'Interface that carries the VLAN.', helpValue: '<name>', helpGroup: others }),
  port: Flags.string({
    summary: 'Interface that belongs to the bridge or bond. Can be repeated.',
    helpValue: '<name>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup: others,
  }),
  'bond-mode': Flags.string({
    summary: 'How the ports of a bond share the work: active-backup, 802.3ad, balance-rr, ...',
    helpValue: '<mode>',
    helpGroup: others,
  }),
};

/** The values of `networkFlags` after parsing. */
export interface NetworkFlagValues {
  readonly type: (typeof types)[number] | undefined;
  readonly interface: string | undefined;
  readonly priority: number | undefined;
  readonly autoconnect: boolean | undefined;
  readonly metered: boolean | undefined;
  readonly mac: string | undefined;
  readonly mtu: number | undefined;
  readonly address: readonly string[] | undefined;
  readonly gateway: readonly string[] | undefined;
  readonly dns: readonly string[] | undefined;
  readonly route: readonly string[] | undefined;
  readonly metric: number | undefined;
  readonly 'default-route': boolean | undefined;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly 'wifi-ssid': string | undefined;
  readonly 'wifi-ssid-hex': string | undefined;
  readonly security: string | undefined;
  readonly 'key-file': string | undefined;
  readonly hidden: boolean;
  readonly bssid: string | undefined;
  readonly band: string | undefined;
  readonly channel: number | undefined;
  readonly eap: string | undefined;
  readonly identity: string | undefined;
  readonly 'anonymous-identity': string | undefined;
  readonly domain: string | undefined;
  readonly 'ca-certificate': string | undefined;
  readonly 'client-certificate': string | undefined;
  readonly 'private-key': string | undefined;
  readonly apn: string | undefined;
  readonly user: string | undefined;
  readonly 'pin-file': string | undefined;
  readonly roaming: boolean | undefined;
  readonly 'vlan-id': number | undefined;
  readonly parent: string | undefined;
  readonly port: readonly string[] | undefined;
  readonly 'bond-mode': string | undefined;
}
