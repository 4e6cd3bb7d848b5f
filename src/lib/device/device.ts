import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type DeviceTarget, parseDeviceTarget } from '../discovery/device-target.js';
import { isLoopback } from '../discovery/network-links.js';
import { answeringAddress, reachableAddress } from '../discovery/reachable-address.js';
import { type ResolvedDevice, resolveDevice } from '../discovery/resolve.js';
import { developmentEnginePort, type EngineConnection, tcpEngineConnection } from '../engine/engine-connection.js';
import { engineInfo } from '../engine/engine-info.js';
import { Failure } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { limit } from '../platform/limit.js';
import { connectTcp } from '../platform/tcp.js';
import { deviceSettings, type HostSettings } from '../ssh/host-settings.js';
import { openSsh, openSshStream, type SshOptions, type SshTarget } from '../ssh/open-ssh.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import { supervisedHostname } from '../supervisor/host-config.js';
import { supervisorAnswers } from '../supervisor/supervisor-answers.js';
import {
  type SupervisorConnection,
  supervisorPort as usualSupervisorPort,
  tcpSupervisorConnection,
} from '../supervisor/supervisor-connection.js';
import { CloudAccess, isLoginRefused, type Via } from './cloud-access.js';
import { deviceSources } from './device-sources.js';
import { rememberMeeting, rememberRenaming } from './remember-meeting.js';
import { readSupervisorKey } from './supervisor-key.js';

/**
 * One device: how it is reached and what it offers. Nothing above this module knows whether the engine is reached directly or
 * through SSH.
 */
export interface Device {
  /** What the user called it. */
  readonly name: string;
  /** An IP address, with `%zone` when it is link-local; what the device is called on the way where that leads through the cloud. */
  readonly address: string;
  /** Whether it is reached in this network or through the cloud. */
  readonly via: Via;
  /** The way to its engine: straight over TCP where that is open (development mode), else through SSH to its socket. */
  engine(): Promise<EngineConnection>;
  /**
   * The way to its Supervisor: straight over TCP where that is open (local mode, and devices without a fleet), else through SSH with the
   * device's own key. Undefined when none answers.
   */
  supervisor(options?: SupervisorSearch): Promise<SupervisorConnection | undefined>;
  /** Its SSH connection, opened at the first call and again after the link was lost. */
  ssh(): Promise<SshConnection>;
  /** A byte stream to its SSH server, for another program to log in through. */
  sshStream(): Promise<Duplex>;
  /** Remembers that it goes by another host name from now on. */
  rememberHostname(hostname: string, before: string): Promise<void>;
  /** Whether any packets come back from where it is, if only to refuse a connection. */
  isThere(): Promise<boolean>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** How far the search for a Supervisor goes. */
export interface SupervisorSearch {
  /** Whether to log in by SSH for it, as is usual; not where a device hardly has one. */
  readonly mayLogIn?: boolean;
}

/** How a device is opened; everything but the signal has a default. */
export interface DeviceOptions {
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
  readonly ssh?: SshOptions;
  /** The only way to take; without it, the cloud is tried where this network does not lead to the device. */
  readonly via?: Via | undefined;
  /** Name of the account to use, if not the one that counts. */
  readonly account?: string | undefined;
  /** TCP port of the engine; 2375 without it. */
  readonly enginePort?: number | undefined;
  /** Port of the Supervisor; 48484 without it. */
  readonly supervisorPort?: number | undefined;
}

/** Finds a device by whatever it is called, see `resolveDevice`. Opens no connection before one is asked for. */
export async function openDevice(target: string, options: DeviceOptions): Promise<Device> {
  const { signal, progress = ignoreProgress, enginePort = developmentEnginePort } = options;
  const asked = parseDeviceTarget(target);
  const settings = await deviceSettings(asked.name, signal);
  const cloud = new CloudAccess(options.account, progress);
  if (settings?.proxy !== undefined && options.via !== 'cloud') {
    // Only whoever stands between knows where the device is.
    return new NetworkDevice(foundElsewhere(asked, settings.hostName), settings.hostName, settings, options, cloud);
  }
  const isRenamed = settings !== undefined && settings.hostName.toLowerCase() !== asked.name.toLowerCase();
  const wanted = isRenamed ? settings.hostName : target;
  const readHostKey = (at: string, port: number) => deviceSources().hostKey(at, port, signal);
  const elsewhere = {
    local: {},
    cloud: { findRoute: cloud.requireRoute, isElsewhere: true },
    any: { findRoute: cloud.findRoute },
  }[options.via ?? 'any'];
  const found = await resolveDevice(wanted, {
    ...{ signal, progress, knockPort: enginePort, readHostKey },
    ...elsewhere,
  }).catch(async (error: unknown) => {
    throw await cloud.explain(error, asked.name);
  });
  const address = found.route?.address ?? (await reachableAddress(found.addresses, enginePort, signal));
  const known = isRenamed ? { ...found, name: asked.name, user: asked.user, sshPort: asked.port } : found;
  return new NetworkDevice(known, address, settings, options, cloud);
}

function foundElsewhere({ name, user, port }: DeviceTarget, address: string): ResolvedDevice {
  const nothingMore = {
    hostname: undefined,
    uuid: undefined,
    engineId: undefined,
    isWhoeverIsThere: true,
    announcedSshPort: undefined,
    lookAgain: undefined,
    route: undefined,
  };
  return { name, addresses: [address], user, sshPort: port, ...nothingMore };
}

/** Where engines listen on the device itself: balenaEngine, then Docker. */
const engineSockets = ['/var/run/balena-engine.sock', '/var/run/docker.sock'];

const engineProbeMs = 2000;

/** A port that no firewall of a device is silent about. */
const knockPort = 22222;

/** How long an SSH server may take to say that it is one (RFC 4253, 4.2). */
const greetingMs = 3000;

class NetworkDevice implements Device {
  readonly name: string;
  readonly #options: DeviceOptions;
  readonly #settings: HostSettings | undefined;
  readonly #cloud: CloudAccess;
  #found: ResolvedDevice;
  #address: string;
  #engine: Promise<EngineConnection> | undefined;
  #supervisor: SupervisorConnection | undefined;
  #ssh: Promise<SshConnection> | undefined;
  /** An address at which the device has proven who it is. */
  #provenAddress: string | undefined;
  #remembering: Promise<void> | undefined;

  constructor(
    found: ResolvedDevice,
    address: string,
    settings: HostSettings | undefined,
    options: DeviceOptions,
    cloud: CloudAccess,
  ) {
    this.name = found.name;
    this.#settings = settings;
    this.#cloud = cloud;
    this.#found = found;
    this.#address = address;
    this.#options = options;
  }

  get address(): string {
    return this.#address;
  }

  get via(): Via {
    return this.#found.route === undefined ? 'local' : 'cloud';
  }

  /** Whether the address is one that connections can be made to from here. */
  get #isNear(): boolean {
    return this.#settings?.proxy === undefined && this.#found.route === undefined;
  }

  engine(): Promise<EngineConnection> {
    this.#engine ??= this.#findEngine();
    return this.#engine;
  }

  async supervisor({ mayLogIn = true }: SupervisorSearch = {}): Promise<SupervisorConnection | undefined> {
    this.#supervisor ??= (await this.#openSupervisor()) ?? (mayLogIn ? await this.#supervisorOverSsh() : undefined);
    return this.#supervisor;
  }

  async ssh(): Promise<SshConnection> {
    this.#ssh ??= this.#openSsh();
    const opening = this.#ssh;
    const connection = await opening.catch((error: unknown) => {
      this.#forget(opening);
      throw error;
    });
    if (connection.isOpen) return connection;
    this.#forget(opening);
    return this.ssh();
  }

  async sshStream(): Promise<Duplex> {
    const { target, options } = this.#login();
    try {
      return await openSshStream(target, options);
    } catch (error) {
      if (!(error instanceof Failure) || !(await this.#isBehindCloud(error))) throw error;
      return this.sshStream();
    }
  }

  async rememberHostname(hostname: string, before: string): Promise<void> {
    const { progress = ignoreProgress } = this.#options;
    await this.#remembering;
    const connection = await this.#ssh?.catch(() => undefined);
    const { engineId, uuid = connection?.uuid } = this.#found;
    const device = { uuid, engineId, hostKey: connection?.hostKey };
    await rememberRenaming({ device, from: before, to: hostname, sshPort: this.#login().options.port, progress });
  }

  async isThere(): Promise<boolean> {
    const { signal } = this.#options;
    if (this.#isNear && !isLoopback(this.#address)) {
      return (await answeringAddress([this.#address], [knockPort], signal)) !== undefined;
    }
    // Whoever stands between accepts connections for a device that is gone.
    const patience = limit(signal, greetingMs);
    try {
      const stream = await this.sshStream();
      stream.on('error', () => undefined);
      const greeting = once(stream, 'readable', { signal: patience.signal }).then(() => stream.readableLength > 0);
      return await greeting.finally(() => stream.destroy());
    } catch {
      signal.throwIfAborted();
      return false;
    } finally {
      patience.end();
    }
  }

  async close(): Promise<void> {
    const connection = await this.#ssh?.catch(() => undefined);
    await connection?.close();
    await this.#remembering;
  }

  /** Makes the next call open a connection anew, unless somebody else's already does. */
  #forget(opening: Promise<SshConnection>): void {
    if (this.#ssh === opening) this.#ssh = undefined;
  }

  async #openSsh(): Promise<SshConnection> {
    const { progress = ignoreProgress } = this.#options;
    const { target, options } = this.#login();
    try {
      const connection = await this.#logIn(target, options);
      // A known UUID has a pinned key, or is asked for.
      if (this.#isNear && target.uuid !== undefined) this.#provenAddress = this.#address;
      const { route } = this.#found;
      const address = this.#isNear ? this.#address : undefined;
      // In the cloud the device may be called anything.
      const found = route === undefined ? this.#found : { ...this.#found, uuid: route.uuid, hostname: undefined };
      this.#remembering = rememberMeeting({ found, address, sshPort: options.port, connection, progress });
      return connection;
    } catch (error) {
      if (!(error instanceof Failure && isAboutAddress(error))) throw error;
      if (!(await this.#moved(error)) && !(await this.#isBehindCloud(error))) throw error;
      return this.#openSsh();
    }
  }

  async #logIn(target: SshTarget, options: SshOptions): Promise<SshConnection> {
    try {
      return await openSsh(target, options);
    } catch (error) {
      if (!isLoginRefused(error) || (options.user ?? target.settings?.user) !== undefined) throw error;
      return this.#cloud.logIn(error, target, options, this.#found.route);
    }
  }

  /** Whether the cloud leads to the device where its address does not: then that is its way from now on. */
  async #isBehindCloud({ kind }: Failure): Promise<boolean> {
    const { signal, via } = this.#options;
    const { name, uuid } = this.#found;
    // By its name alone it could be another one there.
    if (kind !== 'unreachable' || !this.#isNear || uuid === undefined || via === 'local') return false;
    const route = await this.#cloud.findRoute({ name, uuid }, signal).catch((error: unknown) => {
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      return undefined;
    });
    if (route?.isOpen !== true) return false;
    this.#found = { ...this.#found, route, lookAgain: undefined };
    this.#address = route.address;
    return true;
  }

  /** To what, and how, SSH logs in: what came with the name of the device counts before what was said of all devices of the command. */
  #login() {
    const { signal, progress = ignoreProgress, ssh } = this.#options;
    const { uuid, user, sshPort, announcedSshPort, route } = this.#found;
    // What it announced in its own network may be the port of somebody who forwards.
    const usualPort = route === undefined ? announcedSshPort : undefined;
    const port = sshPort ?? ssh?.port ?? this.#settings?.port ?? usualPort;
    const { address } = this;
    // Under its UUID the device has one key, wherever it is and whatever it is called there.
    const { uuid: name = this.name, openPort } = route ?? {};
    const target = { name, uuid, address, openPort, settings: this.#settings, signal, progress };
    return { target, options: { ...ssh, port, user: user ?? ssh?.user } };
  }

  /**
   * Whether the device, which is not where it was last seen, is somewhere else: then that is its address from now on. Fails as not found
   * when somebody else is there and nothing answers by its name.
   */
  async #moved(reason: Failure | undefined): Promise<boolean> {
    const { signal, enginePort = developmentEnginePort } = this.#options;
    const { lookAgain } = this.#found;
    if (lookAgain === undefined) return false;
    const found = await lookAgain();
    if (found === undefined) {
      if (reason?.kind === 'unreachable') return false;
      const message = `${this.name} does not answer by its name, and at ${this.#address}, where it was last seen, is another device`;
      throw new Failure('not-found', 'device-not-found', message, {
        hint: `davit scan lists the devices in this network. If that is the device all the same, flashed anew, use its address: ${this.#address}`,
        cause: reason,
      });
    }
    const before = this.#address;
    this.#found = found;
    this.#address = found.route?.address ?? (await reachableAddress(found.addresses, enginePort, signal));
    return this.#address !== before;
  }

  async #findEngine(): Promise<EngineConnection> {
    const { signal, enginePort = developmentEnginePort } = this.#options;
    if (!this.#isNear || this.#isForwarded(this.#options.enginePort)) return this.#engineOverSsh();
    try {
      const socket = await connectTcp({ address: this.address, port: enginePort, timeoutMs: engineProbeMs, signal });
      socket.destroy();
    } catch {
      signal.throwIfAborted();
      return this.#engineOverSsh(enginePort);
    }
    const engine = tcpEngineConnection(this.address, enginePort);
    if (await this.#isItsEngine(engine)) return engine;
    // An open port asks nobody for a key, but a login does.
    if (this.#found.lookAgain === undefined) return this.#engineOverSsh();
    return (await this.#moved(undefined)) ? this.#findEngine() : engine;
  }

  /** Whether whoever is at the address has proven to be the device, by a login. */
  get #isProven(): boolean {
    return this.#provenAddress === this.#address;
  }

  /** Whether the device is behind a port of this computer, whose other ports are its own. */
  #isForwarded(givenPort: number | undefined): boolean {
    const { sshPort = this.#options.ssh?.port, announcedSshPort = sshPort } = this.#found;
    return givenPort === undefined && isLoopback(this.#address) && announcedSshPort !== undefined;
  }

  /**
   * Whether an engine is the device's own: the address may be only the last one that it had, and a device that was asked for by its UUID or
   * an alias may have lost its host name to another one.
   */
  async #isItsEngine(engine: EngineConnection): Promise<boolean> {
    const { lookAgain, engineId, name, isWhoeverIsThere } = this.#found;
    if (this.#isProven || (lookAgain === undefined && (isWhoeverIsThere || engineId === undefined))) return true;
    const { id, hostname } = await engineInfo(engine, this.#options.signal);
    if (id !== undefined && id === engineId) return true;
    return lookAgain !== undefined && hostname?.toLowerCase() === name.toLowerCase();
  }

  /** The Supervisor on its port in the network. */
  async #openSupervisor(): Promise<SupervisorConnection | undefined> {
    const { signal, supervisorPort } = this.#options;
    if (!this.#isNear || this.#isForwarded(supervisorPort)) return undefined;
    const supervisor = tcpSupervisorConnection(this.address, supervisorPort);
    if (!(await supervisorAnswers(supervisor, signal))) return undefined;
    return (await this.#isItsSupervisor(supervisor)) ? supervisor : undefined;
  }

  /** The same for a Supervisor, which tells no more than the host name. */
  async #isItsSupervisor(supervisor: SupervisorConnection): Promise<boolean> {
    const { lookAgain, name, isWhoeverIsThere, engineId } = this.#found;
    if (this.#isProven) return true;
    if (lookAgain === undefined) return isWhoeverIsThere || engineId === undefined;
    try {
      return (await supervisedHostname(supervisor, this.#options.signal)) === name.toLowerCase();
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      return false;
    }
  }

  async #supervisorOverSsh(): Promise<SupervisorConnection | undefined> {
    const { signal, supervisorPort = usualSupervisorPort } = this.#options;
    let key: Promise<string | undefined> | undefined;
    const supervisor: SupervisorConnection = {
      description: `the Supervisor of ${this.name} over SSH`,
      connect: async () => (await this.ssh()).openTcp('127.0.0.1', supervisorPort),
      apiKey: () => (key ??= this.engine().then((engine) => readSupervisorKey(engine, signal))),
    };
    // A device that lets nobody in is another matter than one without a Supervisor.
    await this.ssh();
    return (await supervisorAnswers(supervisor, signal)) ? supervisor : undefined;
  }

  async #engineOverSsh(closedPort?: number): Promise<EngineConnection> {
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
    const closed = closedPort === undefined ? '' : `, and its port ${closedPort} is closed`;
    const message = `${this.name} has no engine at ${engineSockets.join(' or ')}${closed}`;
    throw new Failure('unreachable', 'engine-not-found', message, {
      hint: `See whether it runs: davit ssh ${this.name} -- systemctl status balena docker`,
    });
  }
}

/** Whether a connection failed because of who is at the address, or because nobody is. */
function isAboutAddress({ kind, code }: Failure): boolean {
  return kind === 'unreachable' || code === 'host-key-changed' || code === 'other-device';
}
