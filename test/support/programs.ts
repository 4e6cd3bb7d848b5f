import { spawnSync } from 'node:child_process';

function missing(program: string, debianPackage: string, question = '--version'): string | false {
  const isThere = spawnSync(program, [question]).error === undefined;
  return isThere ? false : `needs ${program}: apt install ${debianPackage}`;
}

/** Why tests that need squashfs cannot run here, or false where they can. */
export const squashfsToolsMissing = missing('mksquashfs', 'squashfs-tools');

/** Why tests that need Python cannot run here, or false where they can. */
export const pythonMissing = missing('python3', 'python3');

/** Why tests that need bmaptool cannot run here, or false where they can. */
export const bmaptoolMissing = missing('bmaptool', 'bmap-tools');

/** Why tests that need redsocks, the program that a device reaches its proxy with, cannot run here, or false where they can. */
export const redsocksMissing = missing('redsocks', 'redsocks', '-v');

/** Why tests that stop a program at one of its system calls cannot run here, or false where they can. */
export const straceMissing = missing('strace', 'strace');

/** Why tests that compare with Docker's own command cannot run here, or false where they can. */
export const dockerCommandMissing = missing('docker', 'docker-cli');
