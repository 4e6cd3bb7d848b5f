import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { run } from '../platform/child-process.js';
import { environmentVariable, folders } from '../platform/environment.js';
import { limit } from '../platform/limit.js';
import { readUserFile } from '../platform/read-user-file.js';
import { parseSshPublicKey } from './ssh-public-key.js';

/** A public key of the user's. */
export interface FoundSshKey {
  /** The file that it is in, or the key itself where only the agent has it. */
  readonly word: string;
  /** What tells it from others: `id_ed25519.pub (ssh-ed25519, me@laptop)`. */
  readonly name: string;
}

/** The public keys in the user's `.ssh` folder, and those that only the user's SSH agent has. What cannot be read is not there. */
export async function findSshKeys(signal: AbortSignal): Promise<FoundSshKey[]> {
  const folder = path.join(folders.home(), '.ssh');
  const known = new Set<string>();
  const keys: FoundSshKey[] = [];
  const add = (line: string, word: string, where: string) => {
    const key = parseSshPublicKey(line);
    if (key === undefined || known.has(key.body)) return;
    known.add(key.body);
    const comment = line.trim().split(/\s+/).slice(2).join(' ');
    keys.push({ word, name: `${where} (${[key.type, comment].filter(Boolean).join(', ')})` });
  };
  for (const name of await publicKeyFiles(folder)) {
    const file = path.join(folder, name);
    const lines = String((await readIfPossible(file, signal)) ?? '')
      .trim()
      .split('\n');
    if (lines.length === 1) add(lines[0] ?? '', file, `~/.ssh/${name}`);
  }
  for (const line of await agentKeys(signal)) add(line, line.trim(), 'SSH agent');
  return keys;
}

async function publicKeyFiles(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.pub')).sort();
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    return [];
  }
}

async function readIfPossible(file: string, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    return (await readUserFile(file, { signal })).bytes;
  } catch (error) {
    if (error instanceof Failure && error.kind !== 'interrupted') return undefined;
    throw error;
  }
}

async function agentKeys(signal: AbortSignal): Promise<string[]> {
  if (environmentVariable('SSH_AUTH_SOCK') === undefined) return [];
  // An agent that does not answer must not keep anybody waiting.
  const patience = limit(signal, 3000);
  try {
    const { exitCode, stdout } = await run('ssh-add', ['-L'], { signal: patience.signal });
    return exitCode === 0 ? stdout.split('\n') : [];
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) return [];
    throw error;
  } finally {
    patience.end();
  }
}
