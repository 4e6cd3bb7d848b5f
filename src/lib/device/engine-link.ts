import type { Device } from './device.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { pingEngine } from '../engine/engine-info.js';
import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';

const retryMs = 1000;

/**
 * A device's engine over a time in which the device may go away and come back, perhaps with another address: after
 * `drop`, the device is looked up and connected to anew.
 */
export class EngineLink {
  readonly #open: () => Promise<Device>;
  #opened: Promise<Device> | undefined;

  constructor(open: () => Promise<Device>) {
    this.#open = open;
  }

  /** The device, which all who ask share. */
  async device(): Promise<Device> {
    const opened = (this.#opened ??= this.#open());
    try {
      return await opened;
    } catch (error) {
      if (this.#opened === opened) this.#opened = undefined;
      throw error;
    }
  }

  async engine(): Promise<EngineConnection> {
    return (await this.device()).engine();
  }

  /**
   * The engine as soon as it answers, for a device that may still be starting. Gives up with the last reason after so long;
   * what waiting cannot mend, such as a refused host key, fails at once.
   */
  async answeringEngine(timeoutMs: number, signal: AbortSignal): Promise<EngineConnection> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        const engine = await this.engine();
        await pingEngine(engine, signal);
        return engine;
      } catch (error) {
        signal.throwIfAborted();
        await this.drop();
        const isAbsent = error instanceof Failure && (error.kind === 'unreachable' || error.kind === 'not-found');
        if (!isAbsent || performance.now() >= deadline) throw error;
      }
      await waitAtMost(retryMs, signal);
    }
  }

  /** Closes what is open; if a device is given, only that one: others who share the link may have opened it anew meanwhile. */
  async drop(lost?: Device): Promise<void> {
    const opened = this.#opened;
    // Whoever opens it hears why it did not open.
    const device = await opened?.catch(() => undefined);
    if (this.#opened !== opened || (lost !== undefined && lost !== device)) return;
    this.#opened = undefined;
    await device?.close();
  }
}
