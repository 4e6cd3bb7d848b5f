import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { certificatesIn } from './certificates.js';
import { connectionValue } from './connection-file.js';
import type { ConnectionSurroundings } from './connection-warnings.js';
import { type Keyfile, unescapeKeyfileValue } from './keyfile.js';

const day = 24 * 60 * 60 * 1000;
/** How long before its end a certificate is worth a word. */
const soon = 30 * day;

/** What is doubtful about the certificates that a connection names: that they are not there, out of date, or not those of its key. */
export function certificateWarnings(
  name: string,
  keyfile: Keyfile,
  { fileBeside, now = new Date() }: Pick<ConnectionSurroundings, 'fileBeside' | 'now'>,
): string[] {
  const fileOf = (key: string) => {
    const value = unescapeKeyfileValue(connectionValue(keyfile, '802-1x', key) ?? '');
    return /^(?:file:\/\/)?\/.*\/system-connections\/([^/]+)$/.exec(value)?.[1];
  };
  const [authority, own, key] = [fileOf('ca-cert'), fileOf('client-cert'), fileOf('private-key')];
  const missing = [authority, own, key].filter((file) => file !== undefined && fileBeside(file) === undefined);
  const chain = (file: string | undefined) => readable(file === undefined ? undefined : fileBeside(file));
  // Of authorities one that lasts is enough; of its own certificates a device shows the first.
  const lasting = [...chain(authority)].sort((a, b) => endOf(b) - endOf(a))[0];
  const [shown] = chain(own);
  const privateKey = key === undefined ? undefined : readableKey(fileBeside(key));
  const isPair = shown === undefined || privateKey === undefined || shown.checkPrivateKey(privateKey);
  return [
    ...new Set(missing.map((file) => `the connection ${name} names ${file ?? ''}, which is not in system-connections`)),
    ...(lasting === undefined ? [] : ageWarnings(authority ?? '', lasting, now)),
    ...(shown === undefined || own === authority ? [] : ageWarnings(own ?? '', shown, now)),
    ...(isPair ? [] : [`${key ?? ''} is not the private key of the certificate ${own ?? ''}`]),
  ];
}

function ageWarnings(file: string, certificate: X509Certificate, now: Date): string[] {
  const [begin, end] = [Date.parse(certificate.validFrom), endOf(certificate)];
  if (end < now.getTime()) return [`the certificate ${file} expired on ${dateText(end)}`];
  if (begin > now.getTime()) return [`the certificate ${file} is not valid before ${dateText(begin)}`];
  return end < now.getTime() + soon ? [`the certificate ${file} expires on ${dateText(end)}`] : [];
}

function endOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

function dateText(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** The certificates of a file; none where it holds them under a password, or cannot be read. */
function readable(content: Buffer | undefined): X509Certificate[] {
  if (content === undefined) return [];
  try {
    return certificatesIn(content);
  } catch {
    // What is no certificate to OpenSSL was refused when it came from the user; here it is somebody else's.
    return [];
  }
}

/** A private key without a password; undefined for what is none. */
function readableKey(content: Buffer | undefined): KeyObject | undefined {
  if (content === undefined) return undefined;
  try {
    return createPrivateKey(content);
  } catch {
    return undefined;
  }
}
