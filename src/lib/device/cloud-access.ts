import { ambiguousDevice } from '../discovery/find-known-device.js';
import type { DeviceRoute, DistantDevice, FindRoute } from '../discovery/device-route.js';
import { unknownDevice } from '../discovery/known-device.js';
import { Failure, interrupted } from '../failure/failure.js';
import type { Account } from '../fleet/account.js';
import { findAccount, notLoggedIn } from '../fleet/account-store.js';
import { type CloudDevice, describeDevice, deviceOffline, findCloudDevices } from '../fleet/cloud-device.js';
import { whoAmI } from '../fleet/log-in.js';
import { openThroughTunnel } from '../fleet/tunnel-service.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { openSsh, type SshOptions, type SshTarget } from '../ssh/open-ssh.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import { openThroughSshProxy } from './ssh-proxy.js';

/** What leads to a device: this network, or the cloud. */
export const viaWays = ['local', 'cloud'] as const;

export type Via = (typeof viaWays)[number];

/** How long the API of a cloud may take while a user waits for a device. */
const patienceMs = 8000;

/** A way through a cloud. */
interface CloudRoute extends DeviceRoute {
  /** What it fails with when the device is not at the other end. */
  readonly offline: Failure;
}

/** What the cloud that the user is logged in to has to do with devices: it finds them, leads to them, and knows by whose keys they let people in. */
export class CloudAccess {
  readonly #accountName: string | undefined;
  readonly #progress: ProgressListener;
  #account: Promise<Account | undefined> | undefined;

  /** @param accountName the account to use; undefined for the one that counts */
  constructor(accountName: string | undefined, progress: ProgressListener) {
    this.#accountName = accountName;
    this.#progress = progress;
  }

  /** The way to a device of the account, through the tunnel service of its cloud; undefined where there is neither. */
  readonly findRoute: FindRoute = async (wanted, signal) => {
    const account = await this.#findAccount();
    if (account === undefined || !canBeInCloud(wanted)) return undefined;
    const tell = (device: string) => `${device} does not answer here; reaching it`;
    const route = await this.#find(account, wanted, signal, tell);
    if (route?.isOpen === false) {
      this.#progress({ type: 'notice', level: 'info', text: `${route.offline.message}, says ${account.apiUrl}` });
    }
    return route;
  };

  /** The same for a user who asks for it: fails where there is no account or no such device in it. */
  readonly requireRoute: FindRoute = async (wanted, signal) => {
    const account = await this.#findAccount();
    if (account === undefined) throw notLoggedIn();
    if (!canBeInCloud(wanted)) {
      const message = `${wanted.name} is an address or a name of this network, which says nothing to a cloud`;
      throw new Failure('usage', 'not-a-cloud-name', message, {
        hint: 'Give the UUID of the device, the beginning of that, or its name in the cloud',
      });
    }
    const route = await this.#find(account, wanted, signal, (device) => `Reaching ${device}`);
    if (route !== undefined) return route;
    const message = `${account.apiUrl} knows no device ${wanted.uuid ?? wanted.name} of yours`;
    throw new Failure('not-found', 'device-not-found', message, {
      hint: 'Give its UUID, the beginning of that, or its name in the cloud; davit whoami tells who you are there',
    });
  };

  /** Adds to a failure to find a device that there would be another way to look for it. */
  async explain(error: unknown, name: string): Promise<unknown> {
    const isMissing = error instanceof Failure && error.code === 'device-not-found';
    if (!isMissing || !/^[0-9a-f]{7,}$/i.test(name)) return error;
    const account = await this.#findAccount().catch(() => undefined);
    if (account !== undefined) return error;
    return error.withHint(`${error.hint ?? ''}. To reach it in another network through its cloud, log in: davit login`);
  }

  /**
   * Logs in to a device that does not let root in: as the user of the account, whose keys devices of a cloud ask it for (OS 2.44 and later);
   * where the way leads through the cloud and that fails too, through its SSH proxy, which knows those keys itself.
   *
   * @param refusal why root was not let in
   */
  async logIn(
    refusal: Failure,
    target: SshTarget,
    options: SshOptions,
    route: DeviceRoute | undefined,
  ): Promise<SshConnection> {
    const account = await this.#findAccount().catch(() => undefined);
    const user = account && (await userNameOf(account, target.signal));
    if (account === undefined || user === undefined || user === 'root') throw refusal;
    try {
      return await openSsh(target, { ...options, user });
    } catch (error) {
      if (!isLoginRefused(error)) throw error;
      if (route === undefined || account.sshProxy === null) throw error;
    }
    const text = `${target.name} lets neither root nor ${user} in; going through the SSH proxy ${account.sshProxy.host}`;
    this.#progress({ type: 'notice', level: 'info', text });
    const { signal, progress } = target;
    return openThroughSshProxy(account.sshProxy, { user, route, signal, progress }, options);
  }

  #findAccount(): Promise<Account | undefined> {
    this.#account ??= findAccount(this.#accountName);
    return this.#account;
  }

  /** @param tell begins the sentence that tells that the way is taken */
  async #find(
    account: Account,
    wanted: DistantDevice,
    signal: AbortSignal,
    tell: (device: string) => string,
  ): Promise<CloudRoute | undefined> {
    const patience = limit(signal, patienceMs);
    try {
      const [device, ...others] = await findCloudDevices(account, wanted, patience.signal);
      if (device === undefined) return undefined;
      if (others.length > 0) throw ambiguousDevice(wanted.name, [device, ...others].map(asCandidate));
      return this.#route(account, device, tell(calledBy(wanted, device)));
    } catch (error) {
      if (signal.aborted) throw interrupted();
      if (!patience.signal.aborted) throw error;
      const message = `${account.apiUrl} does not answer within ${patienceMs / 1000} s`;
      throw new Failure('unreachable', 'timeout', message, { cause: error });
    } finally {
      patience.end();
    }
  }

  #route(account: Account, device: CloudDevice, beginning: string): CloudRoute {
    let isTold = false;
    const offline = deviceOffline(account, device);
    return {
      uuid: device.uuid,
      address: `${device.uuid}.balena`,
      isOpen: device.isConnected,
      offline,
      openPort: async (port, signal) => {
        // As of its last word: the service itself would let us wait.
        if (!device.isConnected) throw offline;
        const stream = await openThroughTunnel(account, device, port, signal);
        const text = `${beginning} through the tunnel service of ${account.name}`;
        if (!isTold) this.#progress({ type: 'notice', level: 'info', text });
        isTold = true;
        return stream;
      },
    };
  }
}

/** Whether a login failed for the want of a key that the other side accepts. */
export function isLoginRefused(error: unknown): error is Failure {
  return error instanceof Failure && error.code === 'ssh-login-refused';
}

/** Addresses, names of the DNS, and those of this computer mean nothing in a cloud. */
function canBeInCloud({ name, uuid }: DistantDevice): boolean {
  return uuid !== undefined || (!/[.:]/.test(name) && name.toLowerCase() !== 'localhost');
}

/** The device as the user called it, and which one that is. */
function calledBy({ name }: DistantDevice, device: CloudDevice): string {
  const isSaid = name === device.name || device.uuid.startsWith(name.toLowerCase());
  return isSaid ? describeDevice(device) : `${name}, which is ${describeDevice(device)},`;
}

function asCandidate({ uuid, name }: CloudDevice) {
  return { ...unknownDevice, uuid, hostname: name === '' ? null : name };
}

async function userNameOf(account: Account, signal: AbortSignal): Promise<string | undefined> {
  if (account.userName !== null) return account.userName;
  const patience = limit(signal, patienceMs);
  try {
    return await whoAmI(account, patience.signal);
  } catch (error) {
    if (signal.aborted) throw interrupted();
    if (error instanceof Failure) return undefined;
    throw error;
  } finally {
    patience.end();
  }
}
