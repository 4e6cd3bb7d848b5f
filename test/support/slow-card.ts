import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { findProgram } from '../../src/lib/platform/child-process.js';
import { runProgram } from './davit.js';
import { attachLoopDevice, fillFile, type LoopDevice, loopDevicesMissing } from './loop-device.js';

/** A card of a chosen speed whose requests can be made to fail, as a loop device on a FUSE file served by nbdkit. */
export interface SlowCard {
  readonly device: LoopDevice;
  /** From now on every read and write fails with EIO, as on a card that was pulled or has died. */
  readonly fail: () => Promise<void>;
  /** Requests work again. */
  readonly heal: () => Promise<void>;
  /** What drives it dies: every request fails from now on, and nothing heals it. */
  readonly vanish: () => Promise<void>;
  /** What is on the card, past all its faults; only where it is kept in a file, see `CardOptions`. */
  readonly content: string;
}

/** How a card behaves. */
export interface CardOptions {
  /** Bytes. */
  readonly size: number;
  /** Each way; as fast as it can without. */
  readonly bytesPerSecond?: number;
  /** Each write waits as long before it is done. */
  readonly writeDelayMs?: number;
  /** Every byte in this range comes back changed, as on a worn or counterfeit card. */
  readonly corruptedAt?: CardRange;
  /** Requests that touch this range fail with EIO, as on a card with a bad block. */
  readonly brokenAt?: CardRange & { readonly on: 'read' | 'write' };
  /** The card has only so many bytes, begins anew behind them and hides that, as counterfeits do. */
  readonly wrapsAt?: number;
  /** What is written from there on is lost, a multiple of 1 MiB, and zeros come back. */
  readonly losesFrom?: number;
  /** The content is kept in a file, where a test can change it; it is with the faults above too, which make a card slow. */
  readonly isFile?: boolean;
}

/** Bytes of a card. */
interface CardRange {
  readonly start: number;
  readonly size: number;
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
  const content = path.join(folder, 'card-content');
  if (keepsFile(options)) await fillFile(content, options.wrapsAt ?? options.size, 0xaa);
  const processFile = path.join(folder, 'process');
  const server = spawn(
    'nbdfuse',
    [file, '[', 'nbdkit', '--pidfile', processFile, ...nbdkitWords(options, content, errorFile), ']'],
    {
      // What they say about each request that is made to fail helps nobody.
      stdio: 'ignore',
    },
  );
  const ended = once(server, 'exit');
  const attached: LoopDevice[] = [];
  // One hook for all, because they must go in this order.
  t.after(async () => {
    await rm(errorFile, { force: true });
    for (const device of attached) await device.detach();
    // SIGTERM makes nbdfuse unmount; it takes nbdkit down with it.
    server.kill('SIGTERM');
    await ended;
    // It leaves the mount to others when it has lost nbdkit before.
    await runProgram(['umount', '--lazy', file]);
    await rm(folder, { recursive: true });
  });
  while ((await stat(file)).size !== options.size) {
    if (server.exitCode !== null) throw new Error('nbdfuse ended before the card was there');
    await wait(10);
  }
  // Without direct I/O the loop device would answer reads from the page cache of the FUSE file, not from the card.
  const device = await attachLoopDevice(t, file, { directIo: true });
  attached.push(device);
  return {
    device,
    content,
    fail: () => writeFile(errorFile, ''),
    heal: () => rm(errorFile, { force: true }),
    vanish: async () => {
      process.kill(Number(await readFile(processFile, 'utf8')), 'SIGKILL');
    },
  };
}

function nbdkitWords(options: CardOptions, content: string, errorFile: string): string[] {
  const filters = ['--filter=error'];
  const settings = [`error-file=${errorFile}`, 'error=EIO', 'error-rate=100%'];
  if (options.writeDelayMs !== undefined) {
    filters.push('--filter=delay');
    settings.push(`wdelay=${options.writeDelayMs}ms`);
  }
  if (options.bytesPerSecond !== undefined) {
    filters.push('--filter=rate');
    // nbdkit counts bits, and would let two seconds' worth pass at once.
    settings.push(`rate=${Math.round(options.bytesPerSecond * 8)}`, 'burstiness=0.1');
  }
  return [...filters, ...plugin(options, content), ...settings];
}

function keepsFile(options: CardOptions): boolean {
  return options.isFile === true || hasFaults(options);
}

function hasFaults({ corruptedAt, brokenAt, wrapsAt, losesFrom }: CardOptions): boolean {
  return corruptedAt !== undefined || brokenAt !== undefined || wrapsAt !== undefined || losesFrom !== undefined;
}

function plugin(options: CardOptions, content: string): string[] {
  if (!keepsFile(options)) return ['memory', String(options.size)];
  if (!hasFaults(options)) return ['file', content];
  const { size, corruptedAt, brokenAt, wrapsAt, losesFrom } = options;
  const touches = (range: CardRange) => `[ $4 -lt ${range.start + range.size} ] && [ $(($4 + $3)) -gt ${range.start} ]`;
  const breaksOn = (kind: 'read' | 'write') =>
    brokenAt?.on === kind ? `if ${touches(brokenAt)}; then echo EIO bad block >&2; exit 1; fi; ` : '';
  const isLost = (otherwise: string) =>
    losesFrom === undefined ? '' : `if [ $4 -ge ${losesFrom} ]; then ${otherwise}; exit 0; fi; `;
  const at = wrapsAt === undefined ? '$4' : `$(($4 % ${wrapsAt}))`;
  const read = `dd if=${content} skip=${at} count=$3 iflag=count_bytes,skip_bytes bs=1M status=none`;
  // Each byte of what touches the range is counted up by one.
  const readChanged =
    corruptedAt && `if ${touches(corruptedAt)}; then ${read} | tr '\\000-\\377' '\\001-\\377\\000'; else ${read}; fi`;
  return [
    'eval',
    `get_size=echo ${size}`,
    'can_write=exit 0',
    'can_flush=exit 0',
    'flush=exit 0',
    `pwrite=${breaksOn('write')}${isLost('cat >/dev/null')}dd of=${content} seek=${at} oflag=seek_bytes conv=notrunc bs=1M iflag=fullblock status=none`,
    `pread=${breaksOn('read')}${isLost('head -c $3 /dev/zero')}${readChanged ?? read}`,
  ];
}
