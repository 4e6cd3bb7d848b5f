// Runs a program and watches its time, the memory of its whole process tree and the drive it writes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What one run of a program cost. */
export interface Measurement {
  readonly seconds: number;
  /** Of the program and all its children. */
  readonly cpuSeconds: number;
  /**
   * The largest sum of the resident memory of all its processes, seen every 20 ms. Pages that two processes share, such as those of
   * a library, count twice: it is never less than what the program needs.
   */
  readonly peakMegabytes: number;
  /** Of the drive, until the first bytes beyond `wiped` were on it. */
  readonly firstByteSeconds: number | undefined;
  readonly megabytesWritten: number;
  readonly megabytesRead: number;
}

/** Runs a command to its end; fails when it ends with anything but 0. */
export async function measure(
  words: readonly string[],
  { drive, wipedBytes = 0 }: { readonly drive: string; readonly wipedBytes?: number },
): Promise<Measurement> {
  const report = path.join(tmpdir(), `davit-bench-time-${process.pid}`);
  const before = transferred(drive);
  const startedAt = performance.now();
  const child = spawn('/usr/bin/time', ['--format', '%e %U %S', '--output', report, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  let peak = 0;
  let firstByteSeconds: number | undefined;
  const watchDrive = setInterval(() => {
    if (transferred(drive).written - before.written <= wipedBytes) return;
    firstByteSeconds = (performance.now() - startedAt) / 1000;
    clearInterval(watchDrive);
  }, 2);
  const watchMemory = setInterval(() => {
    peak = Math.max(peak, residentBytesBelow(child.pid ?? 0));
  }, 20);
  const [exitCode] = (await once(child, 'close')) as [number | null];
  clearInterval(watchDrive);
  clearInterval(watchMemory);
  if (exitCode !== 0) throw new Error(`ended with ${exitCode}: ${errors.trim().split('\n').at(-1) ?? ''}`);
  const [seconds = 0, user = 0, system = 0] = readFileSync(report, 'utf8').split(' ').map(Number);
  rmSync(report);
  const after = transferred(drive);
  return {
    seconds,
    cpuSeconds: user + system,
    peakMegabytes: peak / 1e6,
    firstByteSeconds,
    megabytesWritten: (after.written - before.written) / 1e6,
    megabytesRead: (after.read - before.read) / 1e6,
  };
}

/** Bytes that a drive was asked to read and write since it exists (Documentation/admin-guide/iostats.rst of Linux). */
function transferred(drive: string): { readonly read: number; readonly written: number } {
  const fields = readFileSync(`/sys/block/${path.basename(drive)}/stat`, 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number);
  return { read: (fields[2] ?? 0) * 512, written: (fields[6] ?? 0) * 512 };
}

/** Resident memory of all processes below one; those that end meanwhile count as nothing. */
function residentBytesBelow(parent: number): number {
  let sum = 0;
  for (const child of childrenOf(parent)) {
    const [, kibibytes] = /^VmRSS:\s+(\d+)/m.exec(readIfThere(`/proc/${child}/status`)) ?? [];
    sum += Number(kibibytes ?? 0) * 1024 + residentBytesBelow(child);
  }
  return sum;
}

/** Any thread of a program may have started its children. */
function childrenOf(pid: number): number[] {
  const found: number[] = [];
  for (const thread of threadsOf(pid)) {
    found.push(...readIfThere(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
  }
  return found;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
