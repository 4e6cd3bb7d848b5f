import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import { connectTcp } from '../platform/tcp.js';
import { readUuid } from './device-uuid.js';
import { HostKeyJudge } from './host-key-judge.js';
import { HostKeyStore } from './host-key-store.js';
import { deviceDefaults, type HostSettings } from './host-settings.js';
import { fingerprint, type HostKey, hostKeyOf } from './known-hosts.js';
import { askEveryMs, watchLink } from './link-watch.js';
import { Login } from './login.js';
import { streamThroughCommand, streamThroughHosts } from './proxied-stream.js';
import { SshConnection } from './ssh-connection.js';
import type { NewHostKeyPermit } from './new-host-key-permit.js';

/** The port of the host OS's SSH server on every balenaOS device. */
export const deviceSshPort = deviceDefaults.port;

const connectTimeoutMs = 5000;
/** That nobody answers is for `watchLink` to notice. */
const keepAlive = { keepaliveInterval: askEveryMs, keepaliveCountMax: Infinity };

/** How to log in to a device; everything has a default. */
export interface SshOptions {
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** The only private key to offer; without it, the SSH agent's keys and the usual ones of ~/.ssh. */
  readonly identityFile?: string | undefined;
  readonly askPassphrase?: ((keyFile: string) => Promise<string>) | undefined;
  /** Pin the key that the device shows at the first connection, whatever was pinned before. */
  readonly newHostKeyPermit?: NewHostKeyPermit | undefined;
}

/** Which device to log in to, and what goes with every long operation. */
export interface SshTarget {
  /** What the user calls the device; its host key is pinned under it until its UUID is known. */
  readonly name: string;
  /** The UUID that it must have, if that is what the user asked for. */
  readonly uuid?: string | undefined;
  /** An IP address, or a name where somebody else looks it up: the host that the way to the device leads through. */
  readonly address: string;
  /** What the user's configuration of OpenSSH says of it; the options come before it. */
  readonly settings?: HostSettings | undefined;
  /** Makes the byte stream to a port of it where that takes another way than the address. */
  readonly openPort?: ((port: number, signal: AbortSignal) => Promise<Duplex>) | undefined;
  /** Whether what answers is no device, and so has no UUID of its own. */
  readonly isBetween?: boolean;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Makes a connection of a client that is logged in. */
export type MakeConnection = (...parts: ConstructorParameters<typeof SshConnection>) => SshConnection;

/**
 * Opens an SSH connection. Fails as unreachable when nothing answers, as refused when the device shows another host key than
 * the pinned one, and as a matter of permission when it accepts nothing that was offered.
 */
export async function openSsh(
  target: SshTarget,
  options: SshOptions = {},
  hostKeys: HostKeyStore = new HostKeyStore(),
  makeConnection: MakeConnection = (...parts) => new SshConnection(...parts),
): Promise<SshConnection> {
  const { name, uuid, progress, settings, signal } = target;
  const { identityFile, askPassphrase, newHostKeyPermit: permit } = options;
  const port = options.port ?? settings?.port ?? deviceDefaults.port;
  const user = options.user ?? settings?.user ?? deviceDefaults.user;
  const judge = await HostKeyJudge.prepare({ name, uuid, port, progress, permit }, hostKeys);
  const library = import('ssh2');
  const stream = await openStream(target, port, options, hostKeys);
  let broken: Error | undefined;
  stream.on('error', (error) => (broken ??= error));
  const { default: ssh2 } = await library;
  const client = new ssh2.Client();
  const hasSpoken = () => !(stream instanceof Socket) || stream.bytesRead > 0;
  const login = new Login(client, { name, signal, hasSpoken }, { ...settings, user, identityFile, askPassphrase });
  let hostKey: HostKey | undefined;
  try {
    await login.run((failWith) => {
      if (broken !== undefined) {
        failWith(whileDoing(`connecting to ${name}`, broken));
        return;
      }
      client.connect({
        sock: stream,
        username: user,
        strictVendor: false,
        readyTimeout: 0,
        ...keepAlive,
        algorithms: { serverHostKey: preferring(judge.knownTypes) },
        hostVerifier: (key: Buffer, verify: (isGood: boolean) => void) => {
          hostKey = hostKeyOf(key);
          judge.check(hostKey).then(
            () => {
              verify(true);
            },
            (error: unknown) => {
              failWith(error);
              verify(false);
            },
          );
        },
        authHandler: login.authHandler,
      });
    });
  } catch (error) {
    stream.destroy();
    throw error;
  }
  watchLink(stream);
  const connection = makeConnection(client, name, hostKey && fingerprint(hostKey));
  try {
    if (judge.wantsUuid && hostKey !== undefined && target.isBetween !== true) {
      connection.uuid = await readUuid(connection);
      if (connection.uuid !== undefined) await judge.identify(connection.uuid, hostKey);
    }
  } catch (error) {
    await connection.close();
    throw error;
  }
  return connection;
}

/** The byte stream to a device's SSH server, whatever stands between, for another program to log in through. Whoever gets it destroys it. */
export async function openSshStream(target: SshTarget, options: SshOptions = {}): Promise<Duplex> {
  return openStream(target, options.port ?? target.settings?.port ?? deviceDefaults.port, options, new HostKeyStore());
}

async function openStream(
  target: SshTarget,
  port: number,
  options: SshOptions,
  hostKeys: HostKeyStore,
): Promise<Duplex> {
  const { address, settings, signal } = target;
  if (target.openPort !== undefined) return target.openPort(port, signal);
  if (settings?.proxy === undefined) return connectSocket(target, port);
  if ('command' in settings.proxy) return streamThroughCommand(settings.proxy.command, signal);
  return streamThroughHosts(settings.proxy.jumps, { address, port }, signal, (jump) =>
    openSsh(
      { ...target, name: jump.name, uuid: undefined, address: jump.address, settings: jump.settings, isBetween: true },
      { port: jump.port, user: jump.user, askPassphrase: options.askPassphrase },
      hostKeys,
    ),
  );
}

async function connectSocket({ name, address, signal }: SshTarget, port: number): Promise<Socket> {
  try {
    return await connectTcp({ address, port, timeoutMs: connectTimeoutMs, signal });
  } catch (error) {
    throw whileDoing(`connecting to ${name}`, error, {
      hint:
        systemErrorCode(error) === 'ECONNREFUSED'
          ? `The computer at ${address} is on but has no SSH server on port ${port}. Check that it runs the OS you expect, or pass --port`
          : `Check that the device is on and in this network; davit scan lists the devices that are`,
    });
  }
}

/** All that davit understands, with these types first. */
function preferring(types: readonly string[]): ServerHostKeyAlgorithm[] {
  const known: readonly ServerHostKeyAlgorithm[] = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
    'ssh-rsa',
  ];
  const isPreferred = (name: string) => types.includes(name) || (types.includes('ssh-rsa') && name.startsWith('rsa-'));
  return [...known.filter(isPreferred), ...known.filter((name) => !isPreferred(name))];
}
