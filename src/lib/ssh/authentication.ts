import { access } from 'node:fs/promises';
import path from 'node:path';
import type { AnyAuthMethod, AuthenticationType } from 'ssh2';
import { Failure } from '../failure/failure.js';
import { run } from '../platform/child-process.js';
import { environmentVariable, folders } from '../platform/environment.js';
import { agentWith } from './agent-keys.js';
import { type PrivateKeyFile, readPrivateKey, readPublicKey } from './private-key-file.js';

/** What may be offered to a device to prove who we are. */
export interface Credentials {
  readonly user: string;
  /** When given, it is the only key that is offered. */
  readonly identityFile: string | undefined;
  /** What is offered without it; undefined for the keys that OpenSSH would look for. */
  readonly identityFiles?: readonly string[] | undefined;
  /** Whether the agent may only offer those. */
  readonly identitiesOnly?: boolean | undefined;
  /** Socket of the agent, or `none`; undefined for the one of the environment. */
  readonly agent?: string | undefined;
  readonly certificateFiles?: readonly string[] | undefined;
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
  const files = keyFiles(credentials);
  const agent = await agentMethod(credentials, files);
  if (agent !== undefined) yield agent;
  const encrypted: PrivateKeyFile[] = [];
  for (const file of files) {
    const key = await readPrivateKey(file, identityFile !== undefined);
    if (key === undefined) continue;
    if (key.isOnToken) {
      // ssh2 knows neither these keys nor the form of their signatures.
      if (identityFile === undefined) continue;
      throw new Failure('usage', 'security-key-unsupported', `${file} is on a security token, which davit cannot use`, {
        hint: 'Pass another key, or let OpenSSH connect, with the entry that davit ssh-config prints',
      });
    }
    if (key.isEncrypted) encrypted.push(key);
    else yield { method: await publicKeyMethod(user, key), label: file };
  }
  for (const key of encrypted) {
    const { file } = key;
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
    yield { method: await publicKeyMethod(user, key, await askPassphrase(file)), label: file };
  }
  yield { method: { type: 'password', username: user, password: '' }, label: 'an empty password' };
}

/** The SSH name under which a server lists a method it accepts. */
export function methodName(offer: Offer): AuthenticationType {
  return offer.method.type === 'agent' ? 'publickey' : offer.method.type;
}

/**
 * What OpenSSH would offer besides: certificates, and keys on security tokens, in files and in the agent. ssh2, the library that davit logs
 * in with, writes the name of a key's type where the server expects another one for these.
 */
export async function onlyForOpenSsh(credentials: Credentials): Promise<string[]> {
  const files = keyFiles(credentials);
  const tokens = credentials.identityFile === undefined ? defaultKeys.map((name) => homeKey(`${name}_sk`)) : [];
  const beside = files.map((file) => `${file}-cert.pub`);
  const candidates = [...(credentials.certificateFiles ?? []), ...beside, ...tokens];
  const found = await Promise.all(
    candidates.map((file) =>
      access(file).then(
        () => file,
        () => [],
      ),
    ),
  );
  const wanted = await Promise.all(files.map((file) => readPrivateKey(file, false).catch(() => undefined)));
  const onTokens = wanted.flatMap((key) => (key?.isOnToken === true ? key.file : []));
  return [...new Set([...found.flat(), ...onTokens, ...(await ofAgent(credentials))])];
}

/** The agent's own words for those of its keys that ssh2 passes over. */
async function ofAgent({ agent, identityFile }: Credentials): Promise<string[]> {
  const socketPath = agent ?? environmentVariable('SSH_AUTH_SOCK');
  if (socketPath === undefined || socketPath === 'none' || identityFile !== undefined) return [];
  const list = run('ssh-add', ['-L'], { environment: { SSH_AUTH_SOCK: socketPath } });
  const { stdout } = await list.catch(() => ({ stdout: '' }));
  return stdout.split('\n').flatMap((line) => {
    const [type = '', , ...comment] = line.split(' ');
    return /^sk-|-cert-v01@/.test(type) ? `${type} ${comment.join(' ')} in the SSH agent` : [];
  });
}

function keyFiles({ identityFile, identityFiles }: Credentials): readonly string[] {
  if (identityFile !== undefined) return [identityFile];
  return identityFiles ?? defaultKeys.map(homeKey);
}

function homeKey(name: string): string {
  return path.join(folders.home(), '.ssh', name);
}

async function agentMethod(credentials: Credentials, files: readonly string[]): Promise<Offer | undefined> {
  const { user, identityFile, identitiesOnly = false } = credentials;
  const socketPath = credentials.agent ?? environmentVariable('SSH_AUTH_SOCK');
  if (socketPath === undefined || socketPath === 'none') return undefined;
  if (identityFile === undefined && !identitiesOnly) {
    const agent = await agentWith(socketPath, undefined);
    return { method: { type: 'agent', username: user, agent }, label: 'the keys of the SSH agent' };
  }
  // The agent may have what is locked in the file, or only there.
  const publicKeys = (await Promise.all(files.map(readPublicKey))).flatMap((key) => key ?? []);
  if (publicKeys.length === 0) return undefined;
  const agent = await agentWith(socketPath, publicKeys);
  return { method: { type: 'agent', username: user, agent }, label: 'that key in the SSH agent' };
}

async function publicKeyMethod(
  user: string,
  { file, text }: PrivateKeyFile,
  passphrase?: string,
): Promise<AnyAuthMethod> {
  const { default: ssh2 } = await import('ssh2');
  const key = ssh2.utils.parseKey(text, passphrase);
  if (key instanceof Error) {
    throw passphrase === undefined
      ? new Failure('usage', 'invalid-private-key', `${file} is not a private key that davit can read`, { cause: key })
      : new Failure('permission', 'wrong-passphrase', `the passphrase does not open ${file}`);
  }
  return { type: 'publickey', username: user, key };
}
