import { X509Certificate } from 'node:crypto';

/** The certificates of a PEM file, or the one of a DER file; none where a PKCS#12 file keeps them under its password. Throws for anything else. */
export function certificatesIn(content: Buffer): X509Certificate[] {
  const blocks = String(content).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (blocks === null && isPkcs12(content)) return [];
  return (blocks ?? [content]).map((block) => new X509Certificate(block));
}

/** Whether it is a PFX structure: a sequence that begins with the integer 3 (RFC 7292). */
export function isPkcs12(content: Buffer): boolean {
  const lengthBytes = (content[1] ?? 0) > 0x80 ? (content[1] ?? 0) & 0x7f : 0;
  return content[0] === 0x30 && content.subarray(2 + lengthBytes, 5 + lengthBytes).equals(Buffer.from([2, 1, 3]));
}
