import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';
import type { ProgressListener } from '../platform/progress.js';
import { changeSharedFile, readSharedFile } from '../platform/shared-file.js';
import { type KnownDevice, parseKnownDevice } from './known-device.js';

/** Makes other devices of the known ones. Pure, because it is done under the lock. */
export type InventoryChange = (devices: readonly KnownDevice[]) => readonly KnownDevice[];

/** Devices beyond these are forgotten, the ones not seen for the longest time first; those with an alias never are. */
const mostDevices = 1000;

const mostBytes = 2_000_000;

/**
 * The devices that davit has seen, the latest first: `devices.json` in its data folder. Any number of davits may read and change it at
 * once. A damaged file is put aside, which is told, and begun anew.
 */
export class Inventory {
  readonly file: string;
  readonly #progress: ProgressListener;

  constructor(progress: ProgressListener, file = inventoryFile()) {
    this.file = file;
    this.#progress = progress;
  }

  async read(): Promise<readonly KnownDevice[]> {
    const content = await this.#read();
    if (content !== 'damaged') return content;
    await this.change((devices) => devices);
    return [];
  }

  /** Changes the devices and gives what they are now. Nothing is written when the change gives back what it was given. */
  async change(change: InventoryChange): Promise<readonly KnownDevice[]> {
    let damaged: string | undefined;
    let devices: readonly KnownDevice[] = [];
    try {
      await changeSharedFile(this.file, (text) => {
        const content = parseInventory(text, this.file);
        damaged = content === 'damaged' ? text : undefined;
        const before = content === 'damaged' ? [] : content;
        devices = change(before);
        if (devices === before && damaged === undefined) return undefined;
        devices = bounded(devices);
        return `${JSON.stringify({ version: 1, devices }, null, 2)}\n`;
      });
      if (damaged !== undefined) await this.#putAside(damaged);
      return devices;
    } catch (error) {
      // A change that fails says itself what it fails at.
      throw error instanceof Failure ? error : whileDoing(`changing ${this.file}`, error);
    }
  }

  /** Whether the devices can be told; when not, that is a warning, for all who can do without. */
  async readIfPossible(): Promise<readonly KnownDevice[]> {
    return this.#ifPossible([], () => this.read());
  }

  /** Changes the devices, or warns that it cannot be done. */
  async changeIfPossible(change: InventoryChange): Promise<void> {
    await this.#ifPossible([], () => this.change(change));
  }

  async #ifPossible<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#progress({ type: 'notice', level: 'warning', text: `${error.message}; known devices stay as they are` });
      return otherwise;
    }
  }

  async #read(): Promise<readonly KnownDevice[] | 'damaged'> {
    try {
      return parseInventory(await readSharedFile(this.file), this.file);
    } catch (error) {
      throw whileDoing(`reading the known devices in ${this.file}`, error);
    }
  }

  async #putAside(text: string): Promise<void> {
    const aside = `${this.file}.damaged-${randomBytes(4).toString('hex')}`;
    await writeFile(aside, text, { mode: 0o600, flag: 'wx' });
    const told = `${this.file} was damaged; what was in it is now in ${aside}, and davit learns its devices anew`;
    this.#progress({ type: 'notice', level: 'warning', text: told });
  }
}

/** Where davit keeps what it knows of devices, given its data folder. */
export function inventoryFile(dataFolder = folders.data()): string {
  return path.join(dataFolder, 'devices.json');
}

function parseInventory(text: string | undefined, file: string): readonly KnownDevice[] | 'damaged' {
  if (text === undefined) return [];
  let parsed: unknown;
  try {
    parsed = text.length > mostBytes ? undefined : JSON.parse(text);
  } catch {
    return 'damaged';
  }
  if (!isRecord(parsed) || typeof parsed.version !== 'number' || !Array.isArray(parsed.devices)) return 'damaged';
  if (parsed.version !== 1) {
    throw new Failure('refused', 'inventory-newer', `${file} was written by a later version of davit`, {
      hint: 'Use that version, or remove the file to begin anew',
    });
  }
  return parsed.devices.flatMap((one: unknown) => parseKnownDevice(one) ?? []);
}

function bounded(devices: readonly KnownDevice[]): readonly KnownDevice[] {
  if (devices.length <= mostDevices) return devices;
  const lastTime = ({ seenAt, flashedAt }: KnownDevice) => [seenAt ?? '', flashedAt ?? ''].sort()[1] ?? '';
  const disposable = devices.filter((one) => one.aliases.length === 0);
  const kept = new Set(
    disposable
      .sort((a, b) => (lastTime(a) < lastTime(b) ? 1 : -1))
      .slice(0, Math.max(0, mostDevices - (devices.length - disposable.length))),
  );
  return devices.filter((one) => one.aliases.length > 0 || kept.has(one));
}
