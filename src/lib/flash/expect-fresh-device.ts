import type { DeviceIdentity } from '../boot-config/device-identity.js';
import { Inventory } from '../discovery/inventory.js';
import { noteFlashed } from '../discovery/note-sighting.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { HostKeyStore, pinnedName } from '../ssh/host-key-store.js';
import { deviceSshPort } from '../ssh/open-ssh.js';

/**
 * Remembers the device that will boot what was flashed, where something is known of it, and forgets the host key pinned for it: it makes a
 * new one. Says so if there was one; that it cannot be done is only warned about, because the drives are done.
 */
export async function expectFreshDevice({ hostname, uuid }: DeviceIdentity, progress: ProgressListener): Promise<void> {
  // Without a hostname of its own a device takes the short UUID.
  const names = [hostname ?? uuid?.slice(0, 7), uuid].flatMap((name) => name ?? []);
  if (names.length === 0) return;
  const at = new Date().toISOString();
  await new Inventory(progress).changeIfPossible((devices) => noteFlashed(devices, { hostname, uuid }, { at }));
  try {
    let wasPinned = false;
    const store = new HostKeyStore();
    for (const name of names) if (await store.forget(pinnedName(name, deviceSshPort))) wasPinned = true;
    if (!wasPinned) return;
    const text = `The host key pinned for ${names[0] ?? ''} was forgotten: it gets a new one`;
    progress({ type: 'notice', level: 'info', text });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    progress({ type: 'notice', level: 'warning', text: error.message });
  }
}
