import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { AnyAuthMethod, AuthenticationType } from 'ssh2';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { environmentVariable, folders } from '../platform/environment.js';

/** What may be offered to a device to prove who we are. */
export interface Credentials {
  readonly user: string;
  /** When given, it is the only key that is offered. */
  readonly identityFile: string | undefined;
  /** Asks the user for the passphrase of a key; undefined when nobody can be asked. */
  readonly askPassphrase: ((keyFile: string) => Promise<string>) | undefined;
}

/** One thing to offer, and how to call it when the device refuses it. */
export interface Offer {
  readonly method: AnyAuthMethod;
  readonly label: string;
}

/** Where keys are looked for, in the order OpenSSH has. */
const defaultKeys = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/**
 * What to offer, one by one: no password at all first (a device in development mode lets root in like that, and it costs no
 * attempt), then keys, and the empty password last, for servers that want it said. Keys that need a passphrase come after
 * those that do not, so that nobody is asked in vain.
 */
export async function* offers(credentials: Credentials): AsyncGenerator<Offer> {
  const { user, identityFile, askPassphrase } = credentials;
  yield { method: { type: 'none', username: user }, label: 'no password' };
  if (identityFile === undefined) {
    const agent = environmentVariable('SSH_AUTH_SOCK');
    if (agent !== undefined)
      yield { method: { type: 'agent', username: user, agent }, label: 'the keys of the SSH agent' };
  }
  const files =
    identityFile === undefined ? defaultKeys.map((name) => path.join(folders.home(), '.ssh', name)) : [identityFile];
  const encrypted: { file: string; text: string }[] = [];
  for (const file of files) {
    const text = await readKey(file, identityFile !== undefined);
    if (text === undefined) continue;
    if (isEncrypted(text)) encrypted.push({ file, text });
    else yield { method: await publicKeyMethod(user, file, text), label: file };
  }
  for (const { file, text } of encrypted) {
    if (askPassphrase === undefined) {
      if (identityFile === undefined) continue;
      throw new Failure(
        'usage',
        'passphrase-needed',
        `${file} needs a passphrase, and there is no terminal to ask for it`,
        {
          hint: `Add it to the SSH agent first: ssh-add ${file}`,
        },
      );
    }
    yield { method: await publicKeyMethod(user, file, text, await askPassphrase(file)), label: file };
  }
  yield { method: { type: 'password', username: user, password: '' }, label: 'an empty password' };
}

/** The SSH name under which a server lists a method it accepts. */
export function methodName(offer: Offer): AuthenticationType {
  return offer.method.type === 'agent' ? 'publickey' : offer.method.type;
}

async function readKey(file: string, isWanted: boolean): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    // A default key that is absent or unreadable is one that is not offered.
    if (!isWanted && systemErrorCode(error) !== undefined) return undefined;
    throw whileDoing(`reading the private key ${file}`, error);
  }
}

async function publicKeyMethod(user: string, file: string, text: string, passphrase?: string): Promise<AnyAuthMethod> {
  const { default: ssh2 } = await import('ssh2');
  const key = ssh2.utils.parseKey(text, passphrase);
  if (key instanceof Error) {
    throw passphrase === undefined
      ? new Failure('usage', 'invalid-private-key', `${file} is not a private key that davit can read`, { cause: key })
      : new Failure('permission', 'wrong-passphrase', `the passphrase does not open ${file}`);
  }
  return { type: 'publickey', username: user, key };
}

/** Whether a private key needs a passphrase, in OpenSSH's own format (openssh/PROTOCOL.key) or in PEM. */
function isEncrypted(text: string): boolean {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(text)?.[1];
  if (body === undefined) return text.includes('ENCRYPTED');
  const bytes = Buffer.from(body, 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.length < magic.length + 4) return false;
  const cipherLength = bytes.readUInt32BE(magic.length);
  return bytes.toString('latin1', magic.length + 4, magic.length + 4 + cipherLength) !== 'none';
}
