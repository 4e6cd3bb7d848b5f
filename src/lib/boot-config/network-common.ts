import { ipv4Shape, ipv6Shape } from './network-ip.js';
import { about, choice, either, text, truth, wholeNumber } from './shape.js';

/** Name of a network interface as the kernel and NetworkManager take it. */
export const interfaceShape = text(
  'the name of a network interface, 15 characters at most',
  /^(?!(\.{1,2}|all|default|bonding_masters)$)[!-$&-.0-9;-~]{1,15}$/,
);

/** An Ethernet address. */
export const hardwareAddress = text(
  'a hardware address such as 02:00:5e:10:00:01',
  /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/,
);

/** The hardware address that a connection uses: one of its own, or a way to choose one. */
export const linkAddressShape = either(
  'permanent, preserve, random, stable or a hardware address',
  choice('permanent', 'preserve', 'random', 'stable'),
  hardwareAddress,
);

/** Bytes of the largest packet. */
export const mtuShape = about(
  'Bytes of the largest packet.',
  wholeNumber('a number of bytes from 68 to 65535', 68, 65_535),
);

/** What connections of all types have, but for their interface. */
export const sharedShapes = {
  autoconnect: about('Whether it is used without being asked for.', truth),
  priority: about('Which connection is tried first; the highest.', wholeNumber('a number from -999 to 999', -999, 999)),
  metered: about('Whether traffic costs money.', truth),
  ipv4: about('IPv4: a method such as auto, or settings.', ipv4Shape),
  ipv6: about('IPv6: a method such as auto, or settings.', ipv6Shape),
};

/** What connections have that use an interface which is there. */
export const connectionShapes = {
  interface: about('Only on this network interface, such as wlan0.', interfaceShape),
  ...sharedShapes,
};
