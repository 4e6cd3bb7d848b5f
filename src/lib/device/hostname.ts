import { isHostname } from '../boot-config/config-values.js';
import { multicastAddresses } from '../discovery/multicast-addresses.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { setSupervisedHostname, supervisedHostname } from '../supervisor/host-config.js';
import { bySupervisor } from './by-supervisor.js';
import type { Device } from './device.js';
import { changeLiveConfig } from './live-config.js';
import { runOnHost } from './run-on-host.js';
import { requireUnlocked } from './update-locks.js';

/** A host name for a device, and how it is given. */
export interface HostnameRequest {
  readonly hostname: string;
  /** Gives it although a service holds an update lock, or another device has the name. */
  readonly force: boolean;
  /** How long to wait until the device answers by the name; undefined for not at all. */
  readonly waitMs: number | undefined;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** The host name of a device after it was asked or given. */
export interface NamedDevice {
  readonly hostname: string;
  /** What it was called before; the same where nothing was changed. */
  readonly before: string;
  /** When the device goes by it: now, or from its next start on. */
  readonly takesEffect: 'now' | 'at-next-start';
  /** Whether the network answers for the name; null where nobody waited for that. */
  readonly isAnnounced: boolean | null;
}

/** How long another device of the name gets to say so. */
const namesakeMs = 600;

/** How long the OS gets to take over what is in config.json. */
const takeOverMs = 30_000;

const pollMs = 300;

/** Fails as usage where a word cannot be the host name of a device: the OS takes whatever it is given. */
export function requireHostname(text: string): string {
  if (isHostname(text)) return text;
  throw new Failure('usage', 'invalid-hostname', `"${text}" cannot be a host name`, {
    hint: 'Use letters, digits and inner hyphens, 63 at most, and no dots: bench-3',
  });
}

/** The host name that a device has now. */
export async function readHostname(device: Device, signal: AbortSignal): Promise<string> {
  const told = await bySupervisor(
    device,
    (supervisor) => supervisedHostname(supervisor, signal),
    () => Promise.resolve(undefined),
  );
  return told ?? (await kernelHostname(device));
}

/**
 * Gives a device another host name, through its Supervisor or in its config.json, and waits until it goes by it. From then on davit knows the
 * device by the new name, and its host key too. Says so where the OS takes the name over at its next start only.
 */
export async function setHostname(device: Device, request: HostnameRequest): Promise<NamedDevice> {
  const { hostname, force, waitMs, signal, progress } = request;
  const before = await readHostname(device, signal);
  if (before.toLowerCase() === hostname.toLowerCase()) {
    return { hostname: before, before, takesEffect: 'now', isAnnounced: null };
  }
  if (!force) await requireFree(hostname, signal);
  const step = { type: 'step', id: device.name, phase: 'rename' } as const;
  progress({ ...step, state: 'active' });
  try {
    const isLive = await bySupervisor(
      device,
      async (supervisor) => {
        await setSupervisedHostname(supervisor, hostname, { force, signal });
        return true;
      },
      async () => {
        if (!force) await requireUnlocked(device);
        await changeLiveConfig(device, (config) => ({ ...config, hostname }));
        return isTakenOver(device, request);
      },
    );
    if (!isLive) {
      progress({ ...step, state: 'done' });
      return { hostname, before, takesEffect: 'at-next-start', isAnnounced: null };
    }
    await device.rememberHostname(hostname, before);
    if (waitMs === undefined) return { hostname, before, takesEffect: 'now', isAnnounced: null };
    progress({ ...step, state: 'active', detail: `waiting for ${hostname}.local` });
    const isAnnounced = await isAnswered(hostname, waitMs, signal);
    signal.throwIfAborted();
    progress({ ...step, state: 'done' });
    return { hostname, before, takesEffect: 'now', isAnnounced };
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw error;
  }
}

async function kernelHostname(device: Device): Promise<string> {
  const doing = `asking ${device.name} for its host name`;
  return (await runOnHost(device, { doing, script: 'cat /proc/sys/kernel/hostname' })).trim();
}

/** Whether the OS takes over what is written to config.json at once, as balenaOS does, and has done so if that is awaited. */
async function isTakenOver(device: Device, { hostname, waitMs, signal }: HostnameRequest): Promise<boolean> {
  const script = 'systemctl is-active --quiet config-json.path && echo yes || echo no';
  const doing = `asking ${device.name} when it takes over its new name`;
  if ((await runOnHost(device, { doing, script })).trim() !== 'yes') return false;
  if (waitMs === undefined) return true;
  const wait = limit(signal, takeOverMs);
  try {
    while (!wait.signal.aborted) {
      if ((await kernelHostname(device)).toLowerCase() === hostname.toLowerCase()) return true;
      await waitAtMost(pollMs, wait.signal);
    }
    signal.throwIfAborted();
    return false;
  } finally {
    wait.end();
  }
}

async function isAnswered(hostname: string, waitMs: number, signal: AbortSignal): Promise<boolean> {
  const wait = limit(signal, waitMs);
  try {
    for (;;) {
      if ((await multicastAddresses(`${hostname}.local`, wait.signal)).length > 0) return true;
      if (wait.signal.aborted) return false;
      await waitAtMost(pollMs, wait.signal);
    }
  } finally {
    wait.end();
  }
}

/** Two devices of one name would get in each other's way: one of them is then announced under yet another name. */
async function requireFree(hostname: string, signal: AbortSignal): Promise<void> {
  const search = limit(signal, namesakeMs);
  try {
    const [place] = await multicastAddresses(`${hostname}.local`, search.signal);
    signal.throwIfAborted();
    if (place === undefined) return;
    throw new Failure('refused', 'hostname-taken', `${hostname}.local is another device, at ${place[0] ?? '?'}`, {
      hint: 'Choose another name, or pass --force',
    });
  } finally {
    search.end();
  }
}
