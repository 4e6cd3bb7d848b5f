import { createHash } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { systemErrorCode } from '../failure/while-doing.js';

/** What tells a process from all others, also on other computers and before the last start of this one. */
interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, in ticks since the computer was; empty where that cannot be told. */
  readonly start: string;
  /** The process namespace that its number counts in. */
  readonly namespace: string;
  /** One start of the computer. */
  readonly boot: string;
  readonly computer: string;
}

let own: Promise<string> | undefined;

/** A word for this process, by which another davit tells whether it is still there; it may be a part of a file name. */
export function ownProcess(): Promise<string> {
  own ??= identify(process.pid).then(({ pid, start, namespace, boot, computer }) =>
    [pid, start, namespace, boot, computer].join('.'),
  );
  return own;
}

/** Whether a process that called itself so is known to be gone. One on another computer never is. */
export async function isProcessGone(word: string): Promise<boolean> {
  const named = parse(word);
  if (named === undefined) return false;
  const here = await identify(named.pid);
  if (named.computer !== here.computer) return false;
  if (named.boot !== here.boot) return true;
  if (named.namespace !== here.namespace) return false;
  // Where /proc hides the processes of others (hidepid of proc(5)), only signals tell that there is one.
  return named.start === '' || here.start === '' ? !exists(named.pid) : named.start !== here.start;
}

/** The number of the process that called itself so, for people. */
export function processNumber(word: string): string {
  return word.split('.')[0] ?? '';
}

function parse(word: string): ProcessIdentity | undefined {
  const [pid = '', start, namespace, boot, computer, ...rest] = word.split('.');
  if (!/^\d+$/.test(pid) || start === undefined || namespace === undefined || boot === undefined) return undefined;
  if (computer === undefined || rest.length > 0) return undefined;
  return { pid: Number(pid), start, namespace, boot, computer };
}

async function identify(pid: number): Promise<ProcessIdentity> {
  const [stat, namespace, boot, machine] = await Promise.all([
    textOf(`/proc/${pid}/stat`),
    readlink('/proc/self/ns/pid').catch(() => ''),
    textOf('/proc/sys/kernel/random/boot_id'),
    textOf('/etc/machine-id'),
  ]);
  // The name of the program, in parentheses, may hold anything; the 20th field behind it is the start (proc(5)).
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return { pid, start, namespace: short(namespace), boot: short(boot), computer: short(`${machine} ${hostname()}`) };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'EPERM';
  }
}

/** Empty where there is no such file, as elsewhere than on Linux. */
async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

function short(text: string): string {
  return createHash('sha256').update(text.trim()).digest('hex').slice(0, 10);
}
