import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { containerAddress } from '../engine/container-address.js';
import { findRunningService } from '../engine/find-service.js';
import { Failure, interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import type { Device } from './device.js';
import { describeTarget, type TunnelPlan, type TunnelTarget } from './tunnel-target.js';
import { untilReached } from './until-reached.js';

/** A tunnel that is open. */
export interface OpenTunnel {
  readonly address: string;
  readonly port: number;
  /** Where it leads, for people. */
  readonly target: string;
}

/** What tunnels need besides their plans. */
export interface TunnelOptions {
  /** Finds the device, now and whenever the link to it was lost. */
  readonly open: () => Promise<Device>;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/**
 * Opens tunnels to a device, gives each as soon as it is open, and keeps them until the signal is aborted. When the link is lost the device is
 * looked for again and again; whoever connects meanwhile waits. Fails at once when the device cannot be reached the first time, and later
 * when it is another one or lets nobody in any more.
 */
export async function* tunnels(plans: readonly TunnelPlan[], options: TunnelOptions): AsyncGenerator<OpenTunnel> {
  const link = new DeviceLink(options);
  const servers: Server[] = [];
  try {
    await link.connect();
    for (const plan of plans) {
      const server = await listen(plan, (socket) => void serve(socket, plan.target, link, options));
      servers.push(server);
      const { address, port } = addressOf(server);
      yield { address, port, target: describeTarget(plan.target) };
    }
    await link.keep();
  } finally {
    for (const server of servers) server.close();
    await link.close();
  }
}

async function listen({ bindAddress, localPort }: TunnelPlan, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  try {
    server.listen(localPort, bindAddress);
    await once(server, 'listening');
    return server;
  } catch (error) {
    const hint = { hint: 'Give another local port, or 0 for any that is free' };
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EADDRINUSE') {
      throw new Failure(
        'refused',
        'port-in-use',
        `something listens at ${bindAddress} port ${localPort} already`,
        hint,
      );
    }
    throw whileDoing(`listening at ${bindAddress} port ${localPort}`, error, hint);
  }
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address;
}

/** Joins one connection here with one there. */
async function serve(socket: Socket, target: TunnelTarget, link: DeviceLink, options: TunnelOptions): Promise<void> {
  // Whoever connects may go at any time.
  socket.on('error', () => undefined);
  link.add(socket);
  try {
    const stream = await openTarget(await link.device(), target, options.signal);
    stream.on('error', () => socket.destroy());
    // What came last is still to be read here.
    stream.once('close', () => {
      socket.destroySoon();
    });
    socket.once('close', () => stream.destroy());
    if (socket.destroyed) stream.destroy();
    socket.pipe(stream).pipe(socket);
  } catch (error) {
    socket.destroy();
    if (options.signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    options.progress({ type: 'notice', level: 'warning', text: reason });
  }
}

async function openTarget(device: Device, target: TunnelTarget, signal: AbortSignal): Promise<Duplex> {
  switch (target.kind) {
    case 'port':
      return (await device.ssh()).openTcp(target.host, target.port);
    case 'socket':
      return (await device.ssh()).openUnixSocket(target.path);
    case 'service': {
      // Asked each time: a new push makes another container.
      const engine = await device.engine();
      const container = await findRunningService(engine, target.service, signal);
      return (await device.ssh()).openTcp(await containerAddress(engine, container.id, signal), target.port);
    }
  }
}

/** The device behind tunnels, which may go away and come back, and what is connected to it. */
class DeviceLink {
  readonly #options: TunnelOptions;
  readonly #sockets = new Set<Socket>();
  #device: Promise<Device> | undefined;

  constructor(options: TunnelOptions) {
    this.#options = options;
  }

  async connect(): Promise<void> {
    await this.#connected();
  }

  /** The device as soon as it is there. */
  device(): Promise<Device> {
    this.#device ??= untilReached(() => this.#open(), this.#options);
    return this.#device;
  }

  add(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Connects again whenever the link is lost; ends only by failing. */
  async keep(): Promise<never> {
    const { signal, progress } = this.#options;
    for (;;) {
      const connection = await (await this.device()).ssh();
      await Promise.race([connection.closed, aborted(signal)]);
      if (signal.aborted) throw interrupted();
      progress({ type: 'notice', level: 'warning', text: 'The link was lost; connecting again until Ctrl-C' });
      await (await this.#device)?.close();
      this.#device = undefined;
      await this.device();
      progress({ type: 'notice', level: 'info', text: 'Connected again' });
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const device = await this.#device?.catch(() => undefined);
    await device?.close();
  }

  async #connected(): Promise<Device> {
    this.#device ??= this.#open();
    return this.#device;
  }

  async #open(): Promise<Device> {
    const device = await this.#options.open();
    try {
      await device.ssh();
      return device;
    } catch (error) {
      await device.close();
      throw error;
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
  });
}
