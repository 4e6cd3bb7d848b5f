import { stat } from 'node:fs/promises';
import type { DeviceIdentity } from '../boot-config/device-identity.js';
import { Inventory, inventoryFile } from '../discovery/inventory.js';
import { noteFlashed } from '../discovery/note-sighting.js';
import { Failure } from '../failure/failure.js';
import { folders } from '../platform/environment.js';
import type { ProgressListener } from '../platform/progress.js';
import { homeOfSudoUser } from '../platform/sudo-user.js';
import { hostKeyFile, HostKeyStore, pinnedName } from '../ssh/host-key-store.js';
import { deviceSshPort } from '../ssh/open-ssh.js';

/**
 * Remembers the device that will boot what was flashed, where something is known of it, and forgets the host key pinned for it: it makes a
 * new one. Says so if there was one; that it cannot be done is only warned about, because the drives are done.
 *
 * @param callersHome the home of the user who runs this through sudo
 */
export async function expectFreshDevice(
  { hostname, uuid }: DeviceIdentity,
  progress: ProgressListener,
  callersHome: () => Promise<string | undefined> = homeOfSudoUser,
): Promise<void> {
  // Without a hostname of its own a device takes the short UUID.
  const names = [hostname ?? uuid?.slice(0, 7), uuid].flatMap((name) => name ?? []);
  if (names.length === 0) return;
  const home = await existing(await callersHome());
  // Who flashes through sudo connects without it.
  const dataFolders = [folders.data(), ...(home === undefined ? [] : [folders.dataIn(home)])];
  const inventory = new Inventory(progress, inventoryFile(dataFolders.at(-1)));
  const at = new Date().toISOString();
  await inventory.changeIfPossible((devices) => noteFlashed(devices, { hostname, uuid }, { at }));
  try {
    let wasPinned = false;
    for (const folder of dataFolders) {
      const store = new HostKeyStore(hostKeyFile(folder));
      for (const name of names) if (await store.forget(pinnedName(name, deviceSshPort))) wasPinned = true;
    }
    if (!wasPinned) return;
    const text = `The host key pinned for ${names[0] ?? ''} was forgotten: it gets a new one`;
    progress({ type: 'notice', level: 'info', text });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    progress({ type: 'notice', level: 'warning', text: error.message });
  }
}

/** A home that is there; some users have none, and none is made for them. */
async function existing(home: string | undefined): Promise<string | undefined> {
  if (home === undefined) return undefined;
  return stat(home).then(
    () => home,
    () => undefined,
  );
}
