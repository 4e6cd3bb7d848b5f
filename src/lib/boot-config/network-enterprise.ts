import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { Failure } from '../failure/failure.js';
import { certificatesIn, isPkcs12 } from './certificates.js';
import type { ConnectionFile } from './connection-file.js';
import type { KeyfileSection } from './keyfile.js';
import { listValue } from './network-ip.js';
import { about, choice, object, text, textLine, type ValueOf, where } from './shape.js';

/** How a device proves itself to a network, and the network to it (802.1X). */
export const enterpriseShape = where(
  object(
    {
      method: about('peap and ttls log in with a password, tls with a certificate.', choice('peap', 'ttls', 'tls')),
      identity: about('User name, or the name in the certificate.', textLine),
    },
    {
      password: about('Password of peap or ttls.', textLine),
      anonymousIdentity: about('User name that can be seen from outside.', textLine),
      innerMethod: about(
        'How the password is checked; mschapv2 when not given.',
        choice('mschapv2', 'mschap', 'pap', 'chap', 'md5', 'gtc'),
      ),
      caCertificateFile: about("File with the certificate of the server's authority.", text('the path of a file')),
      clientCertificateFile: about('File with the certificate of the device.', text('the path of a file')),
      privateKeyFile: about('File with its private key, PEM or PKCS#12.', text('the path of a file')),
      privateKeyPassword: about('Password of that file.', textLine),
      domain: about("What the name in the server's certificate must end in.", textLine),
    },
  ),
  (settings, path) => {
    const wanted =
      settings.method === 'tls' ? (['clientCertificateFile', 'privateKeyFile'] as const) : (['password'] as const);
    const missing = wanted.filter((key) => settings[key] === undefined);
    const inner = settings.method === 'peap' && ['mschap', 'pap', 'chap'].includes(settings.innerMethod ?? '');
    return [
      ...missing.map((key) => ({ path, message: `must have ${key}, because its method is ${settings.method}` })),
      ...(inner ? [{ path: [...path, 'innerMethod'], message: 'must be mschapv2, md5 or gtc for peap' }] : []),
    ];
  },
);

export type Enterprise = ValueOf<typeof enterpriseShape>;

/** Where files of the boot partition's `system-connections` are found on a device. */
const folderOnDevice = '/mnt/boot/system-connections';

/** The section `[802-1x]` and the files that go with it: certificates and the private key, as they are. */
export async function enterpriseParts(
  name: string,
  settings: Enterprise,
  readFile: (path: string) => Promise<Buffer>,
): Promise<{ readonly section: KeyfileSection; readonly files: readonly ConnectionFile[] }> {
  const files: ConnectionFile[] = [];
  const carry = async (path: string | undefined, part: string, check: (content: Buffer, path: string) => void) => {
    if (path === undefined) return undefined;
    const content = await readFile(path);
    check(content, path);
    // NetworkManager passes over these two endings without a word; what is in a file it sees by its content.
    const file = `${name}-${part}.${isPem(content) ? 'pem' : 'der'}`;
    files.push({ name: file, content });
    return `${folderOnDevice}/${file}`;
  };
  let certificate: X509Certificate | undefined;
  const isTls = settings.method === 'tls';
  const inner = settings.innerMethod ?? 'mschapv2';
  const section: KeyfileSection = {
    'anonymous-identity': settings.anonymousIdentity,
    'ca-cert': await carry(settings.caCertificateFile, 'ca', requireCertificates),
    'client-cert': await carry(settings.clientCertificateFile, 'client', (content, path) => {
      [certificate] = requireCertificates(content, path);
    }),
    'domain-suffix-match': settings.domain,
    eap: listValue([settings.method]),
    identity: settings.identity,
    password: isTls ? undefined : settings.password,
    'phase2-auth': isTls ? undefined : inner,
    'private-key': await carry(settings.privateKeyFile, 'key', (content, path) => {
      const key = requirePrivateKey(content, path, settings.privateKeyPassword);
      if (key !== undefined && certificate !== undefined) requirePair(key, certificate, path);
    }),
    'private-key-password': settings.privateKeyPassword,
    // 4 is "not required": without it NetworkManager asks for a password that nobody is there to give.
    'private-key-password-flags':
      settings.privateKeyFile !== undefined && settings.privateKeyPassword === undefined ? '4' : undefined,
  };
  return { section, files };
}

function isPem(content: Buffer): boolean {
  return content.includes('-----BEGIN ');
}

const hint = 'Give a file in PEM or DER form; openssl x509 -in <file> -text shows what a certificate is';

/** The certificates of a PEM file, or the one of a DER file; none where a PKCS#12 file keeps them under its password. */
function requireCertificates(content: Buffer, path: string): X509Certificate[] {
  try {
    return certificatesIn(content);
  } catch (error) {
    throw new Failure('usage', 'invalid-certificate', `${path} holds no certificate that can be read`, {
      hint,
      cause: error,
    });
  }
}

/** The key of a PEM or DER file; undefined for a PKCS#12 file, which the device opens. */
function requirePrivateKey(content: Buffer, path: string, passphrase: string | undefined): KeyObject | undefined {
  if (!isPem(content) && isPkcs12(content)) return undefined;
  try {
    return createPrivateKey({
      key: content,
      ...(isPem(content) ? { format: 'pem' } : { format: 'der', type: 'pkcs8' }),
      ...(passphrase === undefined ? {} : { passphrase }),
    });
  } catch (error) {
    throw new Failure(
      'usage',
      'invalid-certificate',
      `${path} holds no private key that can be read${passphrase === undefined ? '' : ' with the password given'}`,
      { hint: 'Give a private key in PEM or PKCS#12 form, and its password if it has one', cause: error },
    );
  }
}

function requirePair(key: KeyObject, certificate: X509Certificate, path: string): void {
  if (certificate.checkPrivateKey(key)) return;
  throw new Failure('usage', 'invalid-certificate', `${path} is not the private key of the certificate beside it`, {
    hint: 'Give the key that the certificate was made for; the first certificate of a file is that of the device',
  });
}
