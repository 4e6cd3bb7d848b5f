/** Whether NetworkManager takes this as the key of a WPA-PSK network. */
export function isWifiKey(key: string): boolean {
  return /^[\x20-\x7E]{8,63}$/.test(key) || /^[0-9a-fA-F]{64}$/.test(key);
}

/**
 * An SSID as NetworkManager writes it: text where every byte is printable ASCII, else a list of byte values. A semicolon, or digits
 * alone, could be taken for such a list, and a space at the end gets lost in editors, so these become lists too.
 */
export function ssidValue(ssid: Uint8Array): string {
  const text = Buffer.from(ssid).toString('latin1');
  const isPlain = /^[\x20-\x7E]+$/.test(text) && !text.includes(';') && !/^[\d ]+$/.test(text) && !text.endsWith(' ');
  return isPlain ? text : `${[...ssid].join(';')};`;
}

/** The bytes of the SSID that a key file's value stands for, once its escapes are undone. */
export function readSsidValue(value: string): Buffer {
  if (/^(\s*\d{1,3}\s*;)+\s*$/.test(value)) return Buffer.from(value.split(';').slice(0, -1).map(Number));
  return Buffer.from(value.replaceAll('\\;', ';'));
}
