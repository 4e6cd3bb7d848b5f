import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { findProgram } from '../../src/lib/platform/child-process.js';
import { attachLoopDevice, type LoopDevice, loopDevicesMissing } from './loop-device.js';

/** A card of a chosen speed whose requests can be made to fail, as a loop device on a FUSE file served by nbdkit. */
export interface SlowCard {
  readonly device: LoopDevice;
  /** From now on every read and write fails with EIO, as on a card that was pulled or has died. */
  readonly fail: () => Promise<void>;
  /** Requests work again. */
  readonly heal: () => Promise<void>;
}

/** How a card behaves. */
export interface CardOptions {
  /** Bytes. */
  readonly size: number;
  /** Each way; as fast as it can without. */
  readonly bytesPerSecond?: number;
  /** Every byte in this range comes back changed, as on a worn or counterfeit card. */
  readonly corruptedAt?: { readonly start: number; readonly size: number };
}

/** Why cards of nbdkit cannot be made here, or false where they can. */
export const slowCardsMissing: string | false =
  loopDevicesMissing ||
  ((await findProgram('nbdkit')) === undefined || (await findProgram('nbdfuse')) === undefined
    ? 'needs the Debian packages nbdkit, libnbd-bin and fuse3'
    : false);

/** Starts a card and ends it, and the programs behind it, when the test ends. */
export async function startSlowCard(t: Pick<TestContext, 'after'>, options: CardOptions): Promise<SlowCard> {
  const folder = await mkdtemp(path.join(tmpdir(), 'davit-card-'));
  const file = path.join(folder, 'card');
  const errorFile = path.join(folder, 'card-fails');
  await writeFile(file, '');
  const server = spawn('nbdfuse', [file, '[', 'nbdkit', ...nbdkitWords(options, folder, errorFile), ']'], {
    // What they say about each request that is made to fail helps nobody.
    stdio: 'ignore',
  });
  const ended = once(server, 'exit');
  const attached: LoopDevice[] = [];
  // One hook for all, because they must go in this order.
  t.after(async () => {
    await rm(errorFile, { force: true });
    for (const device of attached) await device.detach();
    // SIGTERM makes nbdfuse unmount; it takes nbdkit down with it.
    server.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true });
  });
  while ((await stat(file)).size !== options.size) {
    if (server.exitCode !== null) throw new Error('nbdfuse ended before the card was there');
    await wait(10);
  }
  // Without direct I/O the loop device would answer reads from the page cache of the FUSE file, not from the card.
  const device = await attachLoopDevice(t, file, { directIo: true });
  attached.push(device);
  return { device, fail: () => writeFile(errorFile, ''), heal: () => rm(errorFile, { force: true }) };
}

function nbdkitWords(options: CardOptions, folder: string, errorFile: string): string[] {
  const filters = ['--filter=error'];
  const settings = [`error-file=${errorFile}`, 'error=EIO', 'error-rate=100%'];
  if (options.bytesPerSecond !== undefined) {
    filters.push('--filter=rate');
    // nbdkit counts bits, and would let two seconds' worth pass at once.
    settings.push(`rate=${Math.round(options.bytesPerSecond * 8)}`, 'burstiness=0.1');
  }
  return [...filters, ...plugin(options, folder), ...settings];
}

function plugin(options: CardOptions, folder: string): string[] {
  if (options.corruptedAt === undefined) return ['memory', String(options.size)];
  // dd keeps the content in a file; requests that touch the range are read back with each byte counted up by one.
  const content = path.join(folder, 'card-content');
  const { start, size } = options.corruptedAt;
  const touches = `[ $4 -lt ${start + size} ] && [ $(($4 + $3)) -gt ${start} ]`;
  const read = `dd if=${content} skip=$4 count=$3 iflag=count_bytes,skip_bytes bs=1M status=none`;
  return [
    'eval',
    `after_fork=truncate -s ${options.size} ${content}`,
    `get_size=echo ${options.size}`,
    'can_write=exit 0',
    'can_flush=exit 0',
    'flush=exit 0',
    `pwrite=dd of=${content} seek=$4 oflag=seek_bytes conv=notrunc bs=1M iflag=fullblock status=none`,
    `pread=if ${touches}; then ${read} | tr '\\000-\\377' '\\001-\\377\\000'; else ${read}; fi`,
  ];
}
