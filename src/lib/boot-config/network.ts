import {
  connectionShapes,
  hardwareAddress,
  interfaceShape,
  linkAddressShape,
  mtuShape,
  sharedShapes,
} from './network-common.js';
import { portShape } from './config-values.js';
import { enterpriseShape } from './network-enterprise.js';
import { endpointShape, methodOf, networkShape } from './network-ip.js';
import { isUnmanagedInterface } from './unmanaged-interface.js';
import { accessPointShape, wifiShape } from './network-wifi.js';
import {
  about,
  choice,
  list,
  mapOf,
  object,
  type Shape,
  text,
  textLine,
  truth,
  type ValueOf,
  variants,
  where,
  wholeNumber,
} from './shape.js';

const newInterfaceShape = about(
  'Name of the interface that is made.',
  where(interfaceShape, (name, path) =>
    isUnmanagedInterface(name)
      ? [{ path, message: 'must not begin with br, balena, resin or veth: the OS leaves such interfaces alone' }]
      : [],
  ),
);

const portsShape = about(
  'Ethernet interfaces that belong to it.',
  list(interfaceShape, 'a list of network interfaces', 1),
);

const ethernetShape = object(
  {},
  {
    ...connectionShapes,
    hardwareAddress: about('Only on the interface with this hardware address.', hardwareAddress),
    mac: about('Hardware address to use.', linkAddressShape),
    mtu: mtuShape,
    enterprise: about('How to log in to a switch that asks for it (802.1X).', enterpriseShape),
  },
);

const vlanShape = object(
  {
    id: about('Number of the VLAN.', wholeNumber('a number from 1 to 4094', 1, 4094)),
    parent: about('Interface that carries it.', interfaceShape),
  },
  { ...sharedShapes, interface: newInterfaceShape, mtu: mtuShape },
);

const bridgeShape = object(
  { interface: newInterfaceShape, ports: portsShape },
  { ...sharedShapes, stp: about('Spanning tree; on when not given.', truth), mac: linkAddressShape, mtu: mtuShape },
);

/** NetworkManager passes over options that it does not know, and the mode is a key of its own. */
const bondOptionName = text(
  'an option of the bonding driver such as miimon',
  /^(active_slave|ad_(actor_sys_prio|actor_system|select|user_port_key)|all_slaves_active|arp_(all_targets|interval|ip_target|validate)|downdelay|fail_over_mac|lacp_rate|lp_interval|miimon|min_links|num_grat_arp|num_unsol_na|packets_per_slave|peer_notif_delay|primary|primary_reselect|resend_igmp|tlb_dynamic_lb|updelay|use_carrier|xmit_hash_policy)$/,
);

const bondShape = object(
  {
    interface: newInterfaceShape,
    ports: portsShape,
    mode: choice('active-backup', 'balance-rr', 'balance-xor', 'broadcast', '802.3ad', 'balance-tlb', 'balance-alb'),
  },
  {
    ...sharedShapes,
    options: about(
      'Further options of the bonding driver, such as miimon.',
      mapOf(text('text of letters, digits and commas', /^[\w.,:+-]+$/), bondOptionName),
    ),
    mac: linkAddressShape,
    mtu: mtuShape,
  },
);

const cellularShape = object(
  {},
  {
    ...connectionShapes,
    apn: about(
      'Access point name; chosen by the SIM card when not given.',
      text('an access point name', /^[A-Za-z0-9._-]{1,64}$/),
    ),
    user: textLine,
    password: textLine,
    pin: about('PIN of the SIM card.', text('4 to 8 digits in quotes', /^\d{4,8}$/)),
    networkId: about(
      'The only provider to use: country and network code.',
      text('5 or 6 digits in quotes', /^\d{5,6}$/),
    ),
    roaming: about('Whether networks of other providers may be used; yes when not given.', truth),
    number: about('Number that old modems dial; *99# when not given.', text('a number to dial', /^[0-9*#+]+$/)),
    mtu: mtuShape,
  },
);

const wireguardKey = (what: string) =>
  text(`a WireGuard ${what}: 32 bytes in base64`, (value) => {
    const bytes = Buffer.from(value, 'base64');
    return bytes.length === 32 && bytes.toString('base64') === value;
  });

const wireguardFields = object(
  {
    interface: newInterfaceShape,
    privateKey: about("The device's own key, as wg genkey makes it.", wireguardKey('private key')),
    peers: list(
      object(
        {
          publicKey: wireguardKey('public key'),
          allowedIps: about('What goes through the tunnel to it.', list(networkShape, 'a list of networks', 1)),
        },
        {
          endpoint: endpointShape,
          presharedKey: wireguardKey('preshared key'),
          keepalive: about('Seconds between two signs of life.', wholeNumber('seconds from 1 to 65535', 1, 65_535)),
        },
      ),
      'a list of peers',
      1,
    ),
  },
  { ...sharedShapes, listenPort: portShape, mtu: mtuShape },
);

/** Nobody gives addresses in a tunnel, and of peers with one key only the last would count. */
const wireguardShape = where(wireguardFields, ({ ipv4 = 'disabled', ipv6 = 'disabled', peers }, path) => [
  ...(['disabled', 'manual'].includes(methodOf(ipv4))
    ? []
    : [{ path: [...path, 'ipv4'], message: 'must be disabled or have addresses' }]),
  ...(['disabled', 'manual', 'link-local'].includes(methodOf(ipv6))
    ? []
    : [{ path: [...path, 'ipv6'], message: 'must be disabled, link-local or have addresses' }]),
  ...peers.flatMap(({ publicKey }, index) =>
    peers.findIndex((peer) => peer.publicKey === publicKey) < index
      ? [{ path: [...path, 'peers', index, 'publicKey'], message: 'must be another than that of a peer before it' }]
      : [],
  ),
]);

/** One network that a device is to use, as data. */
export const networkDataShape = variants('type', {
  ethernet: ethernetShape,
  wifi: wifiShape,
  'access-point': accessPointShape,
  cellular: cellularShape,
  vlan: vlanShape,
  bridge: bridgeShape,
  bond: bondShape,
  wireguard: wireguardShape,
});

export type Network = ValueOf<typeof networkDataShape>;

/** The name of a network: also the name of its file, which NetworkManager must not pass over. */
export const networkNameShape: Shape<string> = text(
  'letters, digits, hyphens, underscores and spaces, 40 at most',
  /^[A-Za-z0-9_]([A-Za-z0-9_ -]{0,38}[A-Za-z0-9_])?$/,
);
