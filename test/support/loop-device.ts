import { open } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { runProgram } from './davit.js';

/** A loop device: a real block device whose content is a file. */
export interface LoopDevice {
  readonly path: string;
  readonly file: string;
  /** Sectors of 512 bytes written to it so far. */
  readonly sectorsWritten: () => Promise<number>;
  /** Detaches it before the test ends, as if the card were pulled. */
  readonly detach: () => Promise<void>;
}

/** How a file is attached. */
export interface LoopOptions {
  readonly readOnly?: boolean;
  readonly sectorSize?: number;
  /** Let the kernel make partition nodes. */
  readonly scanPartitions?: boolean;
  /** Go past the page cache of the file behind the device. */
  readonly directIo?: boolean;
}

/** Why tests that need loop devices cannot run here, or false where they can. */
export const loopDevicesMissing: string | false =
  process.platform !== 'linux' || process.getuid?.() !== 0 ? 'needs root on Linux for loop devices' : false;

/** Attaches a file to a free loop device and detaches it when the test ends, however it ends. */
export async function attachLoopDevice(
  t: Pick<TestContext, 'after'>,
  file: string,
  options: LoopOptions = {},
): Promise<LoopDevice> {
  const path = await checked([
    'losetup',
    '--find',
    '--show',
    ...(options.readOnly === true ? ['--read-only'] : []),
    ...(options.directIo === true ? ['--direct-io=on'] : []),
    ...(options.scanPartitions === true ? ['--partscan'] : []),
    ...(options.sectorSize === undefined ? [] : ['--sector-size', String(options.sectorSize)]),
    file,
  ]);
  let attached = true;
  const detach = async () => {
    if (!attached) return;
    attached = false;
    await checked(['losetup', '--detach', path]);
  };
  t.after(detach);
  return { path, file, detach, sectorsWritten: () => sectorsWritten(path) };
}

/** Makes a file of a size, filled with one byte so that whatever is not written to it can be told, and attaches it. */
export async function attachUsedCard(
  t: Pick<TestContext, 'after'>,
  file: string,
  size: number,
  options: { readonly fill?: number; readonly sectorSize?: number } = {},
): Promise<LoopDevice> {
  await fillFile(file, size, options.fill ?? 0xaa);
  return attachLoopDevice(t, file, options);
}

/** Attaches a card of 32 MiB with two partitions, of 16 and 8 MiB, of which the first is named "my pictures". */
export async function attachPartitionedCard(t: TestContext, file: string): Promise<LoopDevice> {
  await fillFile(file, 32 * 1024 * 1024, 0);
  await checked(['sfdisk', '--quiet', file], 'label: gpt\nsize=16M, name="my pictures"\nsize=8M\n');
  const card = await attachLoopDevice(t, file, { scanPartitions: true });
  await checked(['partx', '--update', card.path]);
  return card;
}

/** Writes a file of a size in which every byte is the same. */
export async function fillFile(file: string, size: number, byte: number): Promise<void> {
  const handle = await open(file, 'w');
  try {
    const block = Buffer.alloc(4 * 1024 * 1024, byte);
    for (let at = 0; at < size; at += block.length) await handle.write(block, 0, Math.min(block.length, size - at), at);
  } finally {
    await handle.close();
  }
}

/** Runs a program that must succeed and gives its output without the last line end. */
export async function checked(words: readonly string[], input?: string): Promise<string> {
  const result = await runProgram(words, input === undefined ? {} : { input });
  if (result.exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${result.exitCode}: ${result.stderr}`);
  return result.stdout.trimEnd();
}

async function sectorsWritten(path: string): Promise<number> {
  const words = (await checked(['cat', `/sys/block/${path.replace('/dev/', '')}/stat`])).trim().split(/\s+/);
  return Number(words[6]);
}
