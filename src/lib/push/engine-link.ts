import type { Device } from '../device/device.js';
import type { EngineConnection } from '../engine/engine-connection.js';

/**
 * A device's engine over a time in which the device may go away and come back, perhaps with another address: after
 * `drop`, the device is looked up and connected to anew.
 */
export class EngineLink {
  readonly #open: () => Promise<Device>;
  #device: Device | undefined;

  constructor(open: () => Promise<Device>) {
    this.#open = open;
  }

  async device(): Promise<Device> {
    this.#device ??= await this.#open();
    return this.#device;
  }

  async engine(): Promise<EngineConnection> {
    return (await this.device()).engine();
  }

  /** Closes what is open. */
  async drop(): Promise<void> {
    const device = this.#device;
    this.#device = undefined;
    await device?.close();
  }
}
