import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { requirePrograms } from '../platform/child-process.js';
import { childEnvironment, folders } from '../platform/environment.js';
import { badSignature } from './minisign.js';

/** A check of an OpenPGP signature under way: it takes the signed bytes as they come. */
export interface OpenPgpCheck {
  /** Takes the next bytes; they are copied when this is done. */
  readonly update: (bytes: Buffer) => Promise<void>;
  /** Fails with `invalid-signature` unless all bytes together are what a key of the ring has signed. */
  readonly finish: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Begins to check a detached signature with GnuPG's `gpgv`, which knows only the keys it is given: neither the user's keys nor the trust in
 * them play a part.
 *
 * @param keys a public key or several, armoured or not
 */
export async function checkOpenPgp(
  signature: { readonly name: string; readonly bytes: Buffer },
  keys: Buffer,
): Promise<OpenPgpCheck> {
  await requirePrograms('Checking a GPG signature', [{ program: 'gpgv', debianPackage: 'gpgv' }]);
  const folder = await mkdtemp(path.join(folders.temporary(), 'davit-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await writeFile(path.join(folder, 'keys.gpg'), withoutArmour(keys));
    await writeFile(path.join(folder, 'signature'), signature.bytes);
    const words = ['--homedir', folder, '--keyring', path.join(folder, 'keys.gpg'), '--status-fd', '1'];
    const child = spawn('gpgv', [...words, path.join(folder, 'signature'), '-'], {
      env: childEnvironment({ LC_ALL: 'C' }),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const status: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => status.push(bytes));
    // It may have seen enough before the end, and is judged by its exit code.
    child.stdin.on('error', () => undefined);
    const ended = once(child, 'close').finally(remove);
    ended.catch(() => undefined);
    return {
      update: async (bytes) => {
        if (child.stdin.destroyed) return;
        if (!child.stdin.write(Buffer.from(bytes))) await Promise.race([once(child.stdin, 'drain'), ended]);
      },
      finish: async () => {
        child.stdin.end();
        await ended;
        const said = Buffer.concat(status).toString('latin1');
        const isRevoked = said.includes('[GNUPG:] REVKEYSIG ');
        if (child.exitCode === 0 && said.includes('[GNUPG:] VALIDSIG ') && !isRevoked) return;
        throw badSignature(signature.name, reasonOf(said));
      },
      close: async () => {
        child.kill('SIGKILL');
        await ended;
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** GnuPG's machine-readable status (doc/DETAILS, "Format of the --status-fd output") in words. */
function reasonOf(status: string): string {
  if (status.includes('[GNUPG:] BADSIG ')) return 'it is not of these bytes';
  if (status.includes('[GNUPG:] NO_PUBKEY ')) return 'it was made with another key';
  if (status.includes('[GNUPG:] REVKEYSIG ')) return 'its key was revoked';
  if (status.includes('[GNUPG:] ERRSIG ')) return 'gpgv cannot check it';
  return 'gpgv finds no signature in it';
}

/** The binary form of what may be ASCII-armoured (RFC 9580, section 6.2); gpgv knows only that. */
function withoutArmour(keys: Buffer): Buffer {
  const blocks = keys.toString('latin1').matchAll(/-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END/gs);
  const bodies = [...blocks].map(([, block = '']) => {
    // Headers end with an empty line, and a checksum that nobody needs begins with an equals sign.
    const body = block
      .replace(/\r/g, '')
      .replace(/^\n?(?:[^\n:]+: [^\n]*\n)*\n/, '')
      .replace(/\n=[\w+/]{4}\s*$/, '');
    return Buffer.from(body, 'base64');
  });
  return bodies.length === 0 ? keys : Buffer.concat(bodies);
}
