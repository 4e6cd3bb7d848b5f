import type { Duplex } from 'node:stream';
import { type DeviceTarget, parseDeviceTarget } from '../discovery/device-target.js';
import { reachableAddress } from '../discovery/reachable-address.js';
import { type ResolvedDevice, resolveDevice } from '../discovery/resolve.js';
import { developmentEnginePort, type EngineConnection } from '../engine/engine-connection.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { deviceSettings } from '../ssh/host-settings.js';
import type { SshOptions } from '../ssh/open-ssh.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { CloudAccess, type Via } from './cloud-access.js';
import { deviceSources } from './device-sources.js';
import { NetworkDevice } from './network-device.js';

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
