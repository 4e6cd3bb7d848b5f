import { Failure } from '../failure/failure.js';
import { folders } from '../platform/environment.js';
import type { ProgressListener } from '../platform/progress.js';
import { homeOfSudoUser } from '../platform/sudo-user.js';
import { hostKeyFile, HostKeyStore, pinnedName } from '../ssh/host-key-store.js';
import { deviceSshPort } from '../ssh/open-ssh.js';

/**
 * Forgets the host key pinned for `<hostname>` and `<hostname>.local`, whose device makes a new one when it boots the fresh system. Says so
 * if there was one; that it cannot be forgotten is only warned about, because the drives are done.
 *
 * @param callersHome the home of the user who runs this through sudo
 */
export async function forgetHostKey(
  hostname: string,
  progress: ProgressListener,
  callersHome: () => Promise<string | undefined> = homeOfSudoUser,
): Promise<void> {
  try {
    const owner = pinnedName(hostname, deviceSshPort);
    const home = await callersHome();
    // Who flashes through sudo connects without it.
    const stores = [new HostKeyStore()];
    if (home !== undefined) stores.push(new HostKeyStore(hostKeyFile(folders.dataIn(home))));
    let wasPinned = false;
    for (const store of stores) if (await store.forget(owner)) wasPinned = true;
    if (!wasPinned) return;
    progress({
      type: 'notice',
      level: 'info',
      text: `The host key pinned for ${hostname} was forgotten: it gets a new one`,
    });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    progress({ type: 'notice', level: 'warning', text: error.message });
  }
}
