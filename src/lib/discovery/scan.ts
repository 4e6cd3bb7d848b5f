import { interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { browseDevices } from './browse.js';
import type { DeviceChange, FoundDevice } from './found-device.js';
import type { Inventory } from './inventory.js';
import { noteSighting } from './note-sighting.js';
import { type DeviceSources, Sightings } from './sightings.js';
import { type SweepRange, sweepRanges } from './sweep.js';

/** How a scan is done. */
export interface ScanOptions {
  readonly signal: AbortSignal;
  /** How long to listen at least; without it until the signal is aborted, and devices that go away are told. */
  readonly timeoutMs: number | undefined;
  /** Where what is found is remembered. */
  readonly inventory: Inventory;
  readonly interfaces?: readonly string[] | undefined;
  /** Addresses to knock at, besides listening. */
  readonly sweep?: readonly SweepRange[] | undefined;
  readonly sources?: DeviceSources;
  /** Tells of each device only when all is known of it that can be learned, for who can show it but once. */
  readonly tellsOnce?: boolean;
  readonly onChange: (change: DeviceChange) => void;
}

/** As long as a timer can wait. */
const foreverMs = 2 ** 31 - 1;

const devicePort = 22222;

/** How long a device is held back for the sake of facts that are slow to come, and by when all have come. */
const quickFactsMs = 700;
const allFactsMs = 5000;

/** How long a device that was found by its address gets to say its name. */
const nameMs = 500;

/** How long after a question a device that is there has answered it, also on slow Wi-Fi. */
const answerMs = 2500;

/** Looks for devices and tells of each as soon as its facts are known. Gives those that are there in the end, sorted by name. */
export async function scanDevices(options: ScanOptions): Promise<FoundDevice[]> {
  const { signal, timeoutMs, inventory, interfaces, sweep = [], sources = {}, onChange, tellsOnce = false } = options;
  const known = await inventory.readIfPossible();
  const sightings = new Sightings({
    signal,
    known,
    sources,
    onChange,
    heldBackMs: tellsOnce ? allFactsMs : quickFactsMs,
  });
  const listening = limit(signal, foreverMs);
  try {
    const browsing = await browseDevices({
      signal: listening.signal,
      interfaces,
      onHost: (hostname, devices) => {
        sightings.hear(hostname, devices);
      },
      onHeard: (hostname) => {
        sightings.heard(hostname);
      },
      onAsked: () => {
        if (timeoutMs === undefined) void follow(performance.now());
      },
    });
    sightings.onGone = (hostname) => {
      browsing.forget(hostname);
    };
    await Promise.all([
      waitAtMost(timeoutMs ?? foreverMs, listening.signal),
      sweepRanges(sweep, {
        signal: listening.signal,
        port: devicePort,
        onTry: (address) => {
          browsing.askAt(address);
        },
        onOpen: (address) => {
          sightings.meet(address, devicePort);
        },
      }).then(() => waitAtMost(sweep.length > 0 ? nameMs : 0, listening.signal)),
    ]);
    listening.end();
    await browsing.done;
    const found = await sightings.finish();
    await remember();
    if (signal.aborted) throw interrupted();
    return found;
  } finally {
    listening.end();
  }

  /** Sees who has not answered a question that was asked then, and what has changed about the others. */
  async function follow(askedAt: number): Promise<void> {
    await waitAtMost(answerMs, listening.signal);
    if (listening.signal.aborted) return;
    await sightings.refresh(askedAt);
    await remember();
  }

  async function remember(): Promise<void> {
    const at = new Date().toISOString();
    const noted = sightings.takeNew();
    if (noted.length === 0) return;
    await inventory.changeIfPossible((devices) => noted.reduce((all, one) => noteSighting(all, one, { at }), devices));
  }
}

/** Looks for devices until it is left, and gives what happens to them as it happens. */
export async function* watchDevices(
  options: Omit<ScanOptions, 'timeoutMs' | 'onChange'>,
): AsyncGenerator<DeviceChange> {
  const changes: DeviceChange[] = [];
  let wake: () => void = () => undefined;
  const watching = limit(options.signal, foreverMs);
  let end: { readonly error?: unknown } | undefined;
  const onChange = (change: DeviceChange) => {
    changes.push(change);
    wake();
  };
  const scanning = scanDevices({ ...options, signal: watching.signal, timeoutMs: undefined, onChange }).then(
    () => (end = {}),
    (error: unknown) => (end = { error }),
  );
  void scanning.then(() => {
    wake();
  });
  try {
    for (;;) {
      const waiting = new Promise<void>((resolve) => (wake = resolve));
      yield* changes.splice(0);
      if (end !== undefined) throw end.error;
      if (changes.length === 0) await waiting;
    }
  } finally {
    watching.end();
    await scanning;
  }
}
