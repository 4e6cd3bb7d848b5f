import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { hostKeyOwner, HostKeyStore } from '../ssh/host-key-store.js';
import { deviceSshPort } from '../ssh/open-ssh.js';

/**
 * Forgets the host key pinned for `<hostname>` and `<hostname>.local`, whose device makes a new one when it boots the fresh system. Says so
 * if there was one; that it cannot be forgotten is only warned about, because the drives are done.
 */
export async function forgetHostKey(hostname: string, progress: ProgressListener): Promise<void> {
  try {
    // It is pinned without .local, see hostKeyOwner.
    const wasPinned = await new HostKeyStore().forget(hostKeyOwner({ name: hostname, port: deviceSshPort }));
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
