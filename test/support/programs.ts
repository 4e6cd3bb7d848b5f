import { spawnSync } from 'node:child_process';

/** Why tests that need squashfs cannot run here, or false where they can. */
export const squashfsToolsMissing: string | false =
  spawnSync('mksquashfs', ['-version']).error === undefined ? false : 'needs mksquashfs: apt install squashfs-tools';
