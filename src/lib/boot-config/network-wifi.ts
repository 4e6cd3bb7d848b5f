import { enterpriseShape } from './network-enterprise.js';
import { connectionShapes, hardwareAddress, linkAddressShape, mtuShape } from './network-common.js';
import type { KeyfileSection } from './keyfile.js';
import type { Path, Problem } from './problem.js';
import { about, choice, object, text, truth, type ValueOf, where, wholeNumber } from './shape.js';
import { isWifiKey, ssidValue } from './wifi-values.js';

/** A Wi-Fi name as text: 1 to 32 bytes in UTF-8. */
export const ssidShape = text('a Wi-Fi name of 1 to 32 bytes', (value) => {
  const length = Buffer.byteLength(value);
  return length >= 1 && length <= 32 && !value.includes('\0');
});

const names = {
  ssid: about('Name of the network.', ssidShape),
  ssidHex: about(
    'Its bytes as hexadecimal digits, for a name that is not UTF-8.',
    text('1 to 32 bytes as hexadecimal digits', /^([0-9a-fA-F]{2}){1,32}$/),
  ),
};
const radio = {
  band: about('The only band to use.', choice('2.4GHz', '5GHz')),
  channel: about('The only channel to use; needs band.', wholeNumber('a channel number', 1, 233)),
  hidden: about('The network does not announce its name.', truth),
  mac: about('Hardware address to use.', linkAddressShape),
  mtu: mtuShape,
  powersave: about('Whether the radio may save power.', truth),
};
const keyShape = about(
  'Its key: 8 to 63 printable ASCII characters or 64 hexadecimal digits (WPA3: any password).',
  text('a Wi-Fi key', (value) => value !== '' && !/[\0\r\n]/.test(value)),
);

const stationFields = object(
  {},
  {
    ...connectionShapes,
    ...names,
    ...radio,
    key: keyShape,
    security: about(
      'open, wpa2 (also joins WPA3 in its transition mode), wpa3 or, with enterprise, wpa3-192; wpa2 when not given.',
      choice('open', 'wpa2', 'wpa3', 'wpa3-192'),
    ),
    enterprise: about('How to log in to a network with user accounts or certificates (802.1X).', enterpriseShape),
    bssid: about('Join this access point only.', hardwareAddress),
  },
);

const accessPointFields = object(
  {},
  { ...connectionShapes, ...names, ...radio, key: keyShape, security: choice('open', 'wpa2', 'wpa3') },
);

/** A Wi-Fi network to join. */
export const wifiShape = where(stationFields, wifiProblems);

/** An access point that shares the device's connection. */
export const accessPointShape = where(accessPointFields, wifiProblems);

type Wifi = ValueOf<typeof stationFields>;
type AccessPoint = ValueOf<typeof accessPointFields>;

/** The channels that NetworkManager knows in all releases of the OS; with another it drops the whole connection. */
const channels = {
  '2.4GHz': channelsBetween(1, 14, 1),
  '5GHz': new Set([...channelsBetween(36, 64, 4), ...channelsBetween(100, 140, 4), ...channelsBetween(149, 165, 4)]),
} as const;

function channelsBetween(first: number, last: number, step: number): ReadonlySet<number> {
  return new Set(Array.from({ length: (last - first) / step + 1 }, (_, index) => first + index * step));
}

function wifiProblems(wifi: Wifi | AccessPoint, path: Path): Problem[] {
  const { ssid, ssidHex, channel, band } = wifi;
  const isOfBand = channel === undefined || band === undefined || channels[band].has(channel);
  return [
    ...((ssid === undefined) === (ssidHex === undefined)
      ? [{ path, message: 'must have either ssid or ssidHex' }]
      : []),
    ...(channel !== undefined && band === undefined
      ? [{ path: [...path, 'channel'], message: 'must go with band' }]
      : []),
    ...(isOfBand ? [] : [{ path: [...path, 'channel'], message: 'must be a channel of its band' }]),
    ...securityProblems(wifi, path),
  ];
}

function securityProblems(wifi: Wifi, path: Path): Problem[] {
  const { key, enterprise, security } = wifi;
  const at = [...path, 'security'];
  if (key !== undefined && enterprise !== undefined)
    return [{ path, message: 'must have key or enterprise, not both' }];
  if (security === 'open') {
    return key === undefined && enterprise === undefined
      ? []
      : [{ path: at, message: 'must not be open where there is a key' }];
  }
  if (key === undefined && enterprise === undefined)
    return [{ path, message: 'must have key, enterprise or security: open' }];
  if (security === 'wpa3-192' && enterprise === undefined)
    return [{ path: at, message: 'wpa3-192 must go with enterprise' }];
  const isPersonal = key !== undefined && security !== 'wpa3';
  return isPersonal && !isWifiKey(key)
    ? [{ path: [...path, 'key'], message: 'must have 8 to 63 printable ASCII characters or be 64 hexadecimal digits' }]
    : [];
}

/** The sections `[wifi]` and `[wifi-security]` of a network or an access point. */
export function wifiSections(wifi: Wifi | AccessPoint, mode: 'infrastructure' | 'ap'): Record<string, KeyfileSection> {
  const { bssid, enterprise }: Wifi = wifi;
  const name = wifi.ssidHex === undefined ? Buffer.from(wifi.ssid ?? '') : Buffer.from(wifi.ssidHex, 'hex');
  const security =
    wifi.security === 'open'
      ? undefined
      : {
          ...(enterprise !== undefined ? enterpriseSecurity(wifi.security) : personalSecurity(wifi)),
          ...(mode === 'ap' ? apSecurity(wifi) : {}),
        };
  return {
    wifi: {
      band: wifi.band === undefined ? undefined : { '2.4GHz': 'bg', '5GHz': 'a' }[wifi.band],
      bssid,
      channel: wifi.channel?.toString(),
      'cloned-mac-address': wifi.mac,
      hidden: wifi.hidden === true ? 'true' : undefined,
      mode,
      mtu: wifi.mtu?.toString(),
      powersave: wifi.powersave === undefined ? undefined : wifi.powersave ? '3' : '2',
      ssid: ssidValue(name),
    },
    ...(security === undefined ? {} : { 'wifi-security': security }),
  };
}

function personalSecurity({ key, security }: Pick<Wifi, 'key' | 'security'>): KeyfileSection {
  return security === 'wpa3'
    ? { 'key-mgmt': 'sae', psk: key }
    : { 'auth-alg': 'open', 'key-mgmt': 'wpa-psk', psk: key };
}

/** Protected management frames are what makes WPA3 of an enterprise network. */
function enterpriseSecurity(security: Wifi['security']): KeyfileSection {
  if (security === 'wpa3-192') return { 'key-mgmt': 'wpa-eap-suite-b-192' };
  return { 'auth-alg': 'open', 'key-mgmt': 'wpa-eap', pmf: security === 'wpa3' ? '3' : undefined };
}

function apSecurity({ security }: Pick<Wifi, 'security'>): KeyfileSection {
  return { pairwise: 'ccmp;', proto: 'rsn;', ...(security === 'wpa3' ? { pmf: '3' } : {}) };
}
