import type { Duplex } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';

/** A way to a device that is in another network: through a service that both sides can reach. */
export interface DeviceRoute {
  /** The whole UUID of the device to which it leads. */
  readonly uuid: string;
  /** What the device is called on the way, in place of an IP address. */
  readonly address: string;
  /** Whether the device was at the other end of it when it was found; it may be in this network all the same. */
  readonly isOpen: boolean;
  /** A byte stream to a TCP port of the device. */
  readonly openPort: (port: number, signal: AbortSignal) => Promise<Duplex>;
}

/** What is known of a device to which a way is looked for. */
export interface DistantDevice {
  /** What the user wrote, without user and port. */
  readonly name: string;
  /** Its UUID, where the user gave a whole one or davit knows it. */
  readonly uuid: string | undefined;
}

/** Looks for a way to a device, and opens none yet. Undefined when there is none, or nobody is logged in to the service. */
export type FindRoute = (device: DistantDevice, signal: AbortSignal) => Promise<DeviceRoute | undefined>;

/** How long a device gets to answer in this network, in which it is asked for twice, when there is a way to it from another one. */
const nearMs = 1500;

/** How long a device gets to answer in this network before anybody else is asked about it. */
const headStartMs = 500;

const foreverMs = 2 ** 31 - 1;

/** Looks for a way to a device while it is looked for in this network. */
export class RouteSearch {
  readonly #near: ReturnType<typeof limit>;
  readonly #search: ReturnType<typeof limit>;
  readonly #found: Promise<DeviceRoute | undefined>;

  constructor(
    find: FindRoute | undefined,
    device: DistantDevice,
    { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressListener },
  ) {
    this.#near = limit(signal, foreverMs);
    this.#search = limit(signal, foreverMs);
    const near = waitAtMost(nearMs, this.#search.signal);
    const found = waitAtMost(find === undefined ? 0 : headStartMs, this.#search.signal).then(() =>
      this.#search.signal.aborted ? undefined : find?.(device, this.#search.signal),
    );
    this.#found = found.then(
      (route) => {
        if (route?.isOpen === true) void near.then(this.#near.end);
        return route;
      },
      (error: unknown) => {
        // What the user wrote can mean several devices, or is wrong in some other way that no waiting mends.
        if (!(error instanceof Failure) || error.kind === 'usage') throw error;
        if (!this.#search.signal.aborted) progress({ type: 'notice', level: 'warning', text: error.message });
        return undefined;
      },
    );
    // A search that is not waited for any more may fail.
    this.#found.catch(() => undefined);
  }

  /** Ends the search in this network: there is a way from another one, and this one has had its time. */
  get nearSignal(): AbortSignal {
    return this.#near.signal;
  }

  /** The way, when the search for it is over. */
  async found(): Promise<DeviceRoute | undefined> {
    const route = await this.#found;
    if (this.#search.signal.aborted) throw interrupted();
    return route;
  }

  end(): void {
    this.#search.end();
    this.#near.end();
  }
}
