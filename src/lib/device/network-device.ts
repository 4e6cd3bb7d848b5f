import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { isLoopback } from '../discovery/network-links.js';
import { answeringAddress, reachableAddress } from '../discovery/reachable-address.js';
import type { ResolvedDevice } from '../discovery/resolve.js';
import { developmentEnginePort, type EngineConnection, tcpEngineConnection } from '../engine/engine-connection.js';
import { engineInfo } from '../engine/engine-info.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { ignoreProgress } from '../platform/progress.js';
import { connectTcp } from '../platform/tcp.js';
import type { HostSettings } from '../ssh/host-settings.js';
import { openSsh, openSshStream, type SshOptions, type SshTarget } from '../ssh/open-ssh.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import { supervisedHostname } from '../supervisor/host-config.js';
import { supervisorAnswers } from '../supervisor/supervisor-answers.js';
import { type SupervisorConnection, tcpSupervisorConnection } from '../supervisor/supervisor-connection.js';
import { type CloudAccess, isLoginRefused, type Via } from './cloud-access.js';
import type { Device, DeviceOptions, SupervisorSearch } from './device.js';
import { engineOverSsh } from './engine-over-ssh.js';
import { rememberMeeting, rememberRenaming } from './remember-meeting.js';
import { supervisorOverSsh } from './supervisor-over-ssh.js';

const engineProbeMs = 2000;

/** A port that no firewall of a device is silent about. */
const knockPort = 22222;

/** How long an SSH server may take to say that it is one (RFC 4253, 4.2). */
const greetingMs = 3000;

/** A device that connections are made to when they are asked for: at its address, or wherever else it turns out to be. */
export class NetworkDevice implements Device {
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
    this.#supervisor ??=
      (await this.#openSupervisor()) ?? (mayLogIn ? await supervisorOverSsh(this, this.#options) : undefined);
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
    if (!this.#isNear || this.#isForwarded(this.#options.enginePort)) return engineOverSsh(this);
    try {
      const socket = await connectTcp({ address: this.address, port: enginePort, timeoutMs: engineProbeMs, signal });
      socket.destroy();
    } catch {
      signal.throwIfAborted();
      return engineOverSsh(this, enginePort);
    }
    const engine = tcpEngineConnection(this.address, enginePort);
    if (await this.#isItsEngine(engine)) return engine;
    // An open port asks nobody for a key, but a login does.
    if (this.#found.lookAgain === undefined) return engineOverSsh(this);
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

  /** Whether a Supervisor, which tells no more than the host name, is the device's own. */
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
}

/** Whether a connection failed because of who is at the address, or because nobody is. */
function isAboutAddress({ kind, code }: Failure): boolean {
  return kind === 'unreachable' || code === 'host-key-changed' || code === 'other-device';
}
