import { findProgram, run } from './child-process.js';
import { environmentVariable } from './environment.js';

/** The home folder of the user who runs this program as root through sudo, or undefined when nobody does. */
export async function homeOfSudoUser(): Promise<string | undefined> {
  const id = environmentVariable('SUDO_UID');
  if (id === undefined || id === '0' || process.getuid?.() !== 0) return undefined;
  // Users need not be in /etc/passwd; where that is all there is, there may be no getent.
  const getent = await findProgram('getent');
  if (getent === undefined) return undefined;
  const { stdout } = await run(getent, ['passwd', id]);
  const home = stdout.trim().split(':')[5];
  return home === undefined || home === '' ? undefined : home;
}
