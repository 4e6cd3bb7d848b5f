import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { checked } from './loop-device.js';
import { temporaryFolder } from './temporary-folder.js';

/** A key and a certificate that nobody has signed. */
export async function ownCertificate(
  t: TestContext,
  name: string,
): Promise<{ readonly key: string; readonly cert: string; readonly file: string }> {
  const folder = await temporaryFolder(t);
  const [key, cert] = [path.join(folder, 'key.pem'), path.join(folder, 'cert.pem')];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name},IP:127.0.0.1`];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await checked(['openssl', 'req', '-x509', ...made, '-keyout', key, '-out', cert, ...subject]);
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8'), file: cert };
}
