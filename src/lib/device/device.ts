import { resolveDevice } from '../discovery/resolve.js';
import { developmentEnginePort, type EngineConnection, tcpEngineConnection } from '../engine/engine-connection.js';
import { Failure } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { connectTcp } from '../platform/tcp.js';
import { openSsh, type SshOptions } from '../ssh/open-ssh.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import { reachableAddress } from './reachable-address.js';

/**
 * One device: how it is reached and what it offers. Nothing above this module knows whether the engine is reached directly or
 * through SSH.
 */
export interface Device {
  /** What the user called it. */
  readonly name: string;
  /** An IP address, with `%zone` when it is link-local. */
  readonly address: string;
  /** The way to its engine: straight over TCP where that is open (development mode), else through SSH to its socket. */
  engine(): Promise<EngineConnection>;
  /** Its SSH connection, opened at the first call and again after the link was lost. */
  ssh(): Promise<SshConnection>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** How a device is opened; everything but the signal has a default. */
export interface DeviceOptions {
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
  readonly ssh?: SshOptions;
  /** TCP port of the engine; 2375 without it. */
  readonly enginePort?: number | undefined;
}

/** Finds a device by address, name or host name. Opens no connection before one is asked for. */
export async function openDevice(target: string, options: DeviceOptions): Promise<Device> {
  const { signal, enginePort = developmentEnginePort } = options;
  const { name, addresses } = await resolveDevice(target, { signal });
  return new NetworkDevice(name, await reachableAddress(addresses, enginePort, signal), options);
}

/** Where engines listen on the device itself: balenaEngine, then Docker. */
const engineSockets = ['/var/run/balena-engine.sock', '/var/run/docker.sock'];

const engineProbeMs = 2000;

class NetworkDevice implements Device {
  readonly name: string;
  readonly address: string;
  readonly #options: DeviceOptions;
  #engine: Promise<EngineConnection> | undefined;
  #ssh: Promise<SshConnection> | undefined;

  constructor(name: string, address: string, options: DeviceOptions) {
    this.name = name;
    this.address = address;
    this.#options = options;
  }

  engine(): Promise<EngineConnection> {
    this.#engine ??= this.#findEngine();
    return this.#engine;
  }

  async ssh(): Promise<SshConnection> {
    const { signal, progress = ignoreProgress, ssh } = this.#options;
    this.#ssh ??= openSsh({ name: this.name, address: this.address, signal, progress }, ssh);
    const opening = this.#ssh;
    const connection = await opening.catch((error: unknown) => {
      this.#forget(opening);
      throw error;
    });
    if (connection.isOpen) return connection;
    this.#forget(opening);
    return this.ssh();
  }

  async close(): Promise<void> {
    const connection = await this.#ssh?.catch(() => undefined);
    await connection?.close();
  }

  /** Makes the next call open a connection anew, unless somebody else's already does. */
  #forget(opening: Promise<SshConnection>): void {
    if (this.#ssh === opening) this.#ssh = undefined;
  }

  async #findEngine(): Promise<EngineConnection> {
    const { signal, enginePort = developmentEnginePort } = this.#options;
    try {
      const socket = await connectTcp({ address: this.address, port: enginePort, timeoutMs: engineProbeMs, signal });
      socket.destroy();
      return tcpEngineConnection(this.address, enginePort);
    } catch {
      signal.throwIfAborted();
    }
    return this.#engineOverSsh(enginePort);
  }

  async #engineOverSsh(closedPort: number): Promise<EngineConnection> {
    const ssh = await this.ssh();
    for (const socketPath of engineSockets) {
      try {
        (await ssh.openUnixSocket(socketPath)).destroy();
      } catch {
        continue;
      }
      return {
        description: `${socketPath} of ${this.name} over SSH`,
        connect: async () => (await this.ssh()).openUnixSocket(socketPath),
      };
    }
    const message = `${this.name} has no engine at ${engineSockets.join(' or ')}, and its port ${closedPort} is closed`;
    throw new Failure('unreachable', 'engine-not-found', message, {
      hint: `See whether it runs: davit ssh ${this.name} -- systemctl status balena docker`,
    });
  }
}
