import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { choice, either, text, truth, wholeNumber } from './shape.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** One RFC 1123 label, as mDNS and the OS take it. */
export function isHostname(value: string): boolean {
  return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value);
}

/** A host name of one or more labels, or an address. */
export function isHost(value: string): boolean {
  const labels = value.replace(/\.$/, '').split('.');
  return isIP(value) !== 0 || (value.length <= 253 && labels.every((label) => isHostname(label.replaceAll('_', 'x'))));
}

/** What dnsmasq takes as a server: an address, perhaps with `#port`, perhaps for one domain only (`/corp/10.0.0.1`). */
export function isDnsServer(value: string): boolean {
  const match = /^(?:\/[^/\s]+\/)?([^#/\s]+)(?:#(\d{1,5}))?$/.exec(value);
  return isIP(match?.[1]?.replace(/%.*$/, '') ?? '') !== 0 && Number(match?.[2] ?? 1) <= 65_535;
}

/** Whether a text is base64 of PEM with one certificate or more, each of which can be read. */
export function isCertificateText(value: string): boolean {
  const pem = Buffer.from(value, 'base64').toString('latin1');
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.length > 0 && blocks.every(isCertificate);
}

function isCertificate(block: string): boolean {
  try {
    new X509Certificate(block);
    return true;
  } catch {
    return false;
  }
}

/** DNS servers as config.json has them; the OS takes the text "null" for none at all, not even 8.8.8.8. */
export function dnsServersText(servers: readonly string[] | 'none'): string {
  return servers === 'none' ? 'null' : servers.join(' ');
}

/** A host name of the device itself. */
export const hostnameShape = text('one host name label: letters, digits and inner hyphens, 63 at most', isHostname);

/** A country as Wi-Fi rules know it. */
export const countryShape = text('a country code of two capital letters', /^[A-Z]{2}$/);

/** A list of SSH public keys as authorized_keys has them. */
export const sshKeyShape = text('an SSH public key', (value) => parseSshPublicKey(value) !== undefined);

/** A port of TCP or UDP. */
export const portShape = wholeNumber('a port number', 1, 65_535);

/** On or off. The OS compares by jq's text output, so that old files with "true" in quotes still work. */
export const switchShape = either('true or false', truth, choice('true', 'false'));
/** Any text. */
export const plainText = text('text');

/** The address of a server. */
export const url = text('a URL with http or https', (value) =>
  /^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : ''),
);
/** A server by its name or its address. */
export const hostOrUrl = text('a host name or a URL', (value) => isHost(value) || URL.canParse(value));
/** A time in milliseconds. */
export const milliseconds = (least = 0) =>
  wholeNumber(`a time in milliseconds${least > 0 ? `, ${least} at least` : ''}`, least);
/** A number that a cloud gives. */
export const identifier = wholeNumber('a positive number', 1);
/** Words of a form, separated by spaces. */
export const words = (mustBe: string, isGood: (word: string) => boolean) =>
  text(mustBe, (value) => value.split(' ').filter(Boolean).every(isGood));
/** The name of a udev rules file without its ending. */
export const ruleName = text('letters, digits, dots, hyphens and underscores', /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/);
