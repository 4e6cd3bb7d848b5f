import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { shellWord } from './shell-word.js';

/** The value of an environment variable, or undefined when it is unset or empty. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

/** The value of an environment variable, which may be set and empty; undefined when it is not set. */
export function exactEnvironmentVariable(name: string): string | undefined {
  return process.env[name];
}

/** Folders of programs: those of PATH, or of execvp(3) without one, and the ones that Debian leaves out of a user's PATH. */
export function programFolders(): string[] {
  const named = (environmentVariable('PATH') ?? '/bin:/usr/bin')
    .split(path.delimiter)
    .filter((folder) => folder !== '');
  return [...new Set([...named, '/usr/sbin', '/sbin'])];
}

/** A copy of the environment for a child process that finds all programs, with changes laid over it. */
export function childEnvironment(changes: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: programFolders().join(path.delimiter), ...changes };
}

/** davit's own folders, following the XDG base directory specification; `DAVIT_*` variables override each. */
export const folders = {
  /** Things that can be made again: downloads, built layers. */
  cache: () => environmentVariable('DAVIT_CACHE_DIR') ?? xdg('XDG_CACHE_HOME', '.cache'),
  /** Things that cannot: pinned host keys, seen devices. Who runs this through sudo has them where they are without it. */
  data: () =>
    environmentVariable('DAVIT_DATA_DIR') ?? xdg('XDG_DATA_HOME', path.join('.local', 'share'), homeOfSudoUser()),
  /**
   * What is remembered from one run to the next and not missed when it is lost: how far interrupted flashes came. What root does is about
   * the computer and is kept with it, so that sudo leaves no files of root in anybody's home.
   */
  state: () =>
    environmentVariable('DAVIT_STATE_DIR') ??
    (isLinuxRoot() ? '/var/lib/davit' : xdg('XDG_STATE_HOME', path.join('.local', 'state'))),
  home: () => homedir(),
  temporary: () => tmpdir(),
};

function xdg(variable: string, fallback: string, home = homedir()): string {
  return path.join(environmentVariable(variable) ?? path.join(home, fallback), 'davit');
}

/** The home folder of the user who runs this program as root through sudo; undefined when nobody does, or they have none. */
function homeOfSudoUser(): string | undefined {
  const id = environmentVariable('SUDO_UID');
  if (id === undefined || id === '0' || process.getuid?.() !== 0) return undefined;
  // Users need not be in /etc/passwd; where that is all there is, there may be no getent.
  const { stdout, status } = spawnSync('getent', ['passwd', id], { encoding: 'utf8', env: childEnvironment() });
  const home = status === 0 ? stdout.trim().split(':')[5] : undefined;
  return home !== undefined && existsSync(home) ? home : undefined;
}

function isLinuxRoot(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0;
}

/** The command line that runs this very program with these very arguments as root, whatever root's PATH is. */
export function commandLineAsRoot(): string {
  return ['sudo', process.execPath, ...process.argv.slice(1)].map(shellWord).join(' ');
}
