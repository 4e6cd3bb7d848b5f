import { type HostKey, hostKeyOf } from '../../src/lib/ssh/known-hosts.js';
import { seededRandom } from './seeded-random.js';

/** A public key in the right format that nobody has the private one of: the same one for the same seed. */
export function hostKeyFrom(seed: number): HostKey {
  return hostKeyOf(Buffer.concat([sshText(Buffer.from('ssh-ed25519')), sshText(seededRandom(seed).bytes(32))]));
}

function sshText(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
