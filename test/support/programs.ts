import { spawnSync } from 'node:child_process';

function missing(program: string, debianPackage: string): string | false {
  const isThere = spawnSync(program, ['--version']).error === undefined;
  return isThere ? false : `needs ${program}: apt install ${debianPackage}`;
}

/** Why tests that need squashfs cannot run here, or false where they can. */
export const squashfsToolsMissing = missing('mksquashfs', 'squashfs-tools');

/** Why tests that need bmaptool cannot run here, or false where they can. */
export const bmaptoolMissing = missing('bmaptool', 'bmap-tools');
