import type { TestContext } from 'node:test';
import path from 'node:path';
import { temporaryFolder } from './temporary-folder.js';

/** The environment of a user who has met no device yet and has no keys, nor an agent unless one is given. */
export async function userHome(t: TestContext, agent?: string) {
  const HOME = await temporaryFolder(t);
  return { environment: { HOME, DAVIT_DATA_DIR: path.join(HOME, 'data'), SSH_AUTH_SOCK: agent } };
}
