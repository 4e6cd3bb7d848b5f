import { Failure } from '../failure/failure.js';
import { escapeKeyfileValue, keyfileText, unescapeKeyfileValue } from './keyfile.js';

/** A Wi-Fi network to join with WPA2 or WPA3 in transition mode, or an open one. */
export interface WifiNetwork {
  /** 1 to 32 bytes in UTF-8. */
  readonly ssid: string;
  /** 8 to 63 printable ASCII characters, or 64 hexadecimal digits; undefined for an open network. */
  readonly key: string | undefined;
  /** Whether the network does not announce itself and has to be asked for. */
  readonly isHidden: boolean;
}

/** The file that balena's dashboard and CLI use, so that a later change by either replaces this one instead of adding to it. */
export const wifiConnectionName = 'resin-wifi';

/** The NetworkManager key file that joins a Wi-Fi network; fails when the SSID or key cannot be one. */
export function wifiConnectionFile(network: WifiNetwork): string {
  const length = Buffer.byteLength(network.ssid);
  if (length < 1 || length > 32) {
    throw new Failure('usage', 'invalid-ssid', `a Wi-Fi name has 1 to 32 bytes, but this one has ${length}`, {
      hint: 'Check --wifi-ssid',
    });
  }
  if (network.key !== undefined && !isWifiKey(network.key)) {
    throw new Failure(
      'usage',
      'invalid-wifi-key',
      `a Wi-Fi key has 8 to 63 printable ASCII characters or 64 hexadecimal digits; this one has ${network.key.length} characters`,
      { hint: 'Check what --wifi-key-file holds; a line end after the key does no harm' },
    );
  }
  return keyfileText({
    connection: { id: wifiConnectionName, type: 'wifi' },
    wifi: {
      ...(network.isHidden ? { hidden: 'true' } : {}),
      mode: 'infrastructure',
      ssid: ssidValue(network.ssid),
    },
    ...(network.key === undefined
      ? {}
      : { 'wifi-security': { 'auth-alg': 'open', 'key-mgmt': 'wpa-psk', psk: escapeKeyfileValue(network.key) } }),
    ipv4: { method: 'auto' },
    ipv6: { 'addr-gen-mode': 'stable-privacy', method: 'auto' },
  });
}

/** Whether NetworkManager takes this as the key of a WPA-PSK network. */
export function isWifiKey(key: string): boolean {
  return /^[\x20-\x7E]{8,63}$/.test(key) || /^[0-9a-fA-F]{64}$/.test(key);
}

/**
 * An SSID as NetworkManager writes it: text where every byte is printable ASCII, else a list of byte values. A semicolon, or digits
 * alone, could be taken for such a list, and a space at the end gets lost in editors, so these become lists too.
 */
export function ssidValue(ssid: string): string {
  const isPlain = /^[\x20-\x7E]+$/.test(ssid) && !ssid.includes(';') && !/^[\d ]+$/.test(ssid) && !ssid.endsWith(' ');
  if (isPlain) return escapeKeyfileValue(ssid);
  return `${[...Buffer.from(ssid)].join(';')};`;
}

/** The SSID that a key file's value stands for. */
export function readSsidValue(value: string): string {
  if (/^(\s*\d{1,3}\s*;)+\s*$/.test(value)) {
    return Buffer.from(value.split(';').slice(0, -1).map(Number)).toString('utf8');
  }
  return unescapeKeyfileValue(value).replaceAll('\\;', ';');
}
