// How davit flash compares with the usual programs and with what a card allows: the same images, the same cards, interleaved runs, medians.
// Usage, as root on Linux: tsx bench/flash.ts [fast] [80] [20] [eight] [--into docs/performance.md]; see there.
import { execFileSync } from 'node:child_process';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { attachLoopDevice } from '../test/support/loop-device.js';
import { slowCardsMissing, startSlowCard } from '../test/support/slow-card.js';
import {
  bmaptool,
  type Contestant,
  davit,
  dd,
  etcher,
  hasEtcher,
  mappedBytes,
  packedAs,
  thereAndBack,
} from './contestants.js';
import { type BenchImage, makeBenchImages } from './flash-image.js';
import { measure, type Measurement } from './measure.js';
import { figure, median, print, printHeading, printTable, printTargets, type Target, writeInto } from './report.js';

/** What the runs of a contestant gave, or why it failed. */
type Outcome = readonly Measurement[] | string;
type Cleanup = () => unknown;

const mebibyte = 1024 * 1024;
/** Keeps the images between runs. */
const folder = process.env.DAVIT_BENCH_DIR ?? path.join(tmpdir(), 'davit-bench-flash');
const { values: flags, positionals: wanted } = parseArgs({
  options: { into: { type: 'string' } },
  allowPositionals: true,
});
const targets: Target[] = [];
const cleanups: Cleanup[] = [];
/** Stands for a test, to the functions that make cards for tests. */
const context = {
  after: (cleanup?: unknown) => {
    cleanups.push(cleanup as Cleanup);
  },
};

if (process.getuid?.() !== 0) throw new Error('needs root for loop devices');
if (slowCardsMissing !== false) throw new Error(slowCardsMissing);
const images = makeBenchImages(folder);
const isEtcherThere = hasEtcher();
describeMachine();
try {
  await section('fast', 'A loop device in memory, which shows what each program itself costs', () => fastDrive(3));
  await section('80', 'A card of 80 MB/s each way, 2 GiB image', () => throttledCard(images.large, 80e6, 1, true));
  await section('20', 'A card of 20 MB/s each way, 512 MiB image', () => throttledCard(images.small, 20e6, 2, false));
  await section('eight', 'One card and eight of 20 MB/s each way, 512 MiB image', () => severalCards(2));
} finally {
  await cleanUp();
}
printTargets(targets);
if (flags.into !== undefined) writeInto(flags.into, '## What was measured');

async function section(name: string, title: string, run: () => Promise<void>): Promise<void> {
  if (wanted.length > 0 && !wanted.includes(name)) return;
  printHeading(title);
  const startedAt = performance.now();
  await run();
  print(`Took ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
  await cleanUp();
}

async function fastDrive(rounds: number): Promise<void> {
  const { path: image, bmap, size } = images.large;
  const card = path.join('/dev/shm', `davit-bench-card-${process.pid}`);
  writeFileSync(card, '');
  truncateSync(card, size + 64 * mebibyte);
  const { path: drive } = await attachLoopDevice(context, card);
  context.after(() => execFileSync('rm', ['--force', card]));
  const packed = (source: string): Contestant[] => [
    once(dd(image, source, drive)),
    once(bmaptool(image, source, drive)),
    once(bmaptool(image, source, drive, bmap)),
    ...ifEtcher(etcher(image, source, [drive], 'write'), etcher(image, source, [drive], 'verify')),
    davit(image, source, [drive], '--verify=none'),
    davit(image, source, [drive]),
  ];
  const contestants: Contestant[] = [
    dd(image, 'raw', drive),
    once(bmaptool(image, 'raw', drive)),
    bmaptool(image, 'raw', drive, bmap),
    ...ifEtcher(...(['write', 'verify', 'trim'] as const).map((mode) => etcher(image, 'raw', [drive], mode))),
    davit(image, 'raw', [drive], '--all'),
    davit(image, 'raw', [drive], '--verify=none'),
    davit(image, 'raw', [drive], '--bmap', bmap),
    davit(image, 'raw', [drive]),
    ...packed('gz'),
    ...packed('zip'),
    dd(image, 'zst', drive),
    bmaptool(image, 'zst', drive),
    bmaptool(image, 'zst', drive, bmap),
    davit(image, 'zst', [drive], '--verify=none'),
    davit(image, 'zst', [drive]),
    dd(image, 'xz', drive),
    once(bmaptool(image, 'xz', drive, bmap)),
    ...ifEtcher(once(etcher(image, 'xz', [drive], 'verify'))),
    davit(image, 'xz', [drive], '--verify=none'),
    davit(image, 'xz', [drive]),
  ];
  const outcomes = await compare(contestants, drive, rounds);
  printOutcomes(outcomes);
  const seconds = (source: string, name: string) => figureOf(outcomes, source, name, 'seconds');
  const add = (what: string, reached: number | undefined, limit: number, more: Partial<Target> = {}) =>
    targets.push({ what, reached, limit, ...more });
  const ratio = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? undefined : a / b;
  const ours = (source: string) => seconds(source, 'davit flash');
  add('raw, map and verify: time / bmaptool with bmap', ratio(ours('raw'), seconds('raw', 'bmaptool with bmap')), 1);
  for (const source of ['gz', 'zip', 'zst']) {
    if (source !== 'zst') {
      const theirs = seconds(source, 'etcher-sdk, verify');
      add(`${source}: etcher-sdk with verify / davit`, ratio(theirs, ours(source)), 3, { atLeast: true });
    }
    for (const name of ['bmaptool', 'bmaptool with bmap']) {
      add(`${source}: ${name} / davit`, ratio(seconds(source, name), ours(source)), 2.5, { atLeast: true });
    }
  }
  add('xz of many blocks: davit / (xz -dc -T0, dd)', ratio(ours('xz'), seconds('xz', 'xz -dc -T0, dd')), 1.1);
  for (const source of ['raw', 'gz', 'zip', 'zst', 'xz']) {
    const memory = figureOf(outcomes, source, 'davit flash', 'peakMegabytes');
    add(`${source}: peak memory`, memory, source === 'xz' ? 250 : 150, { unit: 'MB' });
    const first = figureOf(outcomes, source, 'davit flash', 'firstByteSeconds');
    add(`${source}: first byte of the image on the card`, first, 0.3, { unit: 's' });
  }
}

async function throttledCard(
  image: BenchImage,
  bytesPerSecond: number,
  rounds: number,
  withOthers: boolean,
): Promise<void> {
  const card = await startSlowCard(context, { size: image.size + 64 * mebibyte, bytesPerSecond });
  const drive = card.device.path;
  const bytes = mappedBytes(image.path, drive);
  const limit = (2 * bytes) / bytesPerSecond;
  const sources = withOthers ? ['raw', 'gz', 'zst', 'zip'] : ['raw', 'gz'];
  const contestants: Contestant[] = [
    once(thereAndBack(image.path, drive, bytes)),
    ...(withOthers
      ? [
          dd(image.path, 'gz', drive),
          bmaptool(image.path, 'gz', drive, image.bmap),
          ...ifEtcher(etcher(image.path, 'gz', [drive], 'verify')),
        ].map(once)
      : []),
    ...sources.map((source) => davit(image.path, source, [drive])),
  ];
  const outcomes = await compare(contestants, drive, rounds);
  print(
    `Limit: ${figure(bytes / 1e6)} MB written and as many read back at ${bytesPerSecond / 1e6} MB/s: ${figure(limit, 2)} s.\n`,
  );
  printOutcomes(outcomes, limit);
  for (const source of sources) {
    const seconds = figureOf(outcomes, source, 'davit flash', 'seconds');
    const what = `${source} on ${bytesPerSecond / 1e6} MB/s: time / limit`;
    targets.push({ what, reached: seconds === undefined ? undefined : seconds / limit, limit: 1.03 });
  }
}

async function severalCards(rounds: number): Promise<void> {
  const { path: image, size } = images.small;
  const cards = await Promise.all(
    Array.from({ length: 8 }, () => startSlowCard(context, { size: size + 8 * mebibyte, bytesPerSecond: 20e6 })),
  );
  const drives = cards.map((card) => card.device.path);
  const [first = ''] = drives;
  const one = davit(image, 'gz', [first]);
  const eight = { ...davit(image, 'gz', drives), name: 'davit flash, eight cards' };
  const outcomes = await compare([one, eight], first, rounds);
  printOutcomes(outcomes);
  const of = (contestant: Contestant, key: keyof Measurement) => figureOf(outcomes, 'gz', contestant.name, key) ?? NaN;
  const add = (what: string, reached: number, limit: number, unit = '') => targets.push({ what, reached, limit, unit });
  add('eight cards from one gz: time / that of one card', of(eight, 'seconds') / of(one, 'seconds'), 1.15);
  const more = (of(eight, 'peakMegabytes') - of(one, 'peakMegabytes')) / 7;
  add('memory for each further card', more, 15, 'MB');
}

/** Runs the contestants in turn, so often. One that fails is not run again. */
async function compare(
  contestants: readonly Contestant[],
  drive: string,
  rounds: number,
): Promise<Map<Contestant, Outcome>> {
  // What is read from memory by the second program should not be read from disk by the first.
  for (const { command } of contestants) {
    const file = command.find((word) => word.startsWith(folder));
    if (file !== undefined) execFileSync('cat', [file], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const outcomes = new Map<Contestant, Outcome>();
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) {
      const before = outcomes.get(contestant) ?? [];
      if (typeof before === 'string' || (round > 0 && contestant.once === true)) continue;
      const { wipedBytes = 0 } = contestant;
      const measuring = measure(contestant.command, { drive, wipedBytes });
      const outcome = await measuring.catch((error: unknown) => (error instanceof Error ? error.message : 'failed'));
      outcomes.set(contestant, typeof outcome === 'string' ? outcome : [...before, outcome]);
    }
  }
  return outcomes;
}

function printOutcomes(outcomes: ReadonlyMap<Contestant, Outcome>, limit?: number): void {
  const headings = [
    'source',
    'program',
    'wall s',
    'ratio',
    'CPU s',
    'peak MB',
    'first byte s',
    'MB written',
    'MB read',
  ];
  const rows = [...outcomes].map(([{ source, name }, outcome]) => {
    if (typeof outcome === 'string') return [source, name, 'fails'];
    const middle = (key: keyof Measurement) => median(outcome.flatMap((one) => one[key] ?? []));
    const others = [...outcomes].filter(([one]) => one.source === source).map(([, one]) => one);
    const base =
      limit ?? median((others.find((one) => typeof one !== 'string') ?? []).map((one) => one.seconds)) ?? NaN;
    return [
      source,
      name,
      figure(middle('seconds'), 2),
      figure((middle('seconds') ?? NaN) / base, 2),
      figure(middle('cpuSeconds'), 2),
      figure(middle('peakMegabytes')),
      figure(middle('firstByteSeconds'), 2),
      figure(middle('megabytesWritten')),
      figure(middle('megabytesRead')),
    ];
  });
  printTable(headings, rows);
  for (const [{ source, name }, outcome] of outcomes) {
    if (typeof outcome === 'string') print(`${name} from ${source}: ${outcome}\n`);
  }
}

function figureOf(
  outcomes: ReadonlyMap<Contestant, Outcome>,
  source: string,
  name: string,
  key: keyof Measurement,
): number | undefined {
  for (const [contestant, outcome] of outcomes) {
    if (contestant.source !== source || contestant.name !== name || typeof outcome === 'string') continue;
    return median(outcome.flatMap((one) => one[key] ?? []));
  }
  return undefined;
}

function once(contestant: Contestant): Contestant {
  return { ...contestant, once: true };
}

function ifEtcher(...contestants: readonly Contestant[]): readonly Contestant[] {
  return isEtcherThere ? contestants : [];
}

function describeMachine(): void {
  const firstLine = (command: string, ...words: string[]) =>
    execFileSync(command, words, { encoding: 'utf8' }).split('\n')[0] ?? '';
  const programs = [`Node ${process.version}`, firstLine('dd', '--version'), firstLine('bmaptool', '--version')];
  print(
    `- ${new Date().toISOString().slice(0, 10)}; ${cpus().length} cores ${cpus()[0]?.model ?? ''}; ${programs.join('; ')}`,
  );
  if (!isEtcherThere) print('- etcher-sdk is not there: install it, or name the folder it is in by DAVIT_BENCH_ETCHER');
  for (const { path: image, size } of Object.values(images)) {
    const packed = ['gz', 'zst', 'zip', 'xz'].map((as) => `${as} ${figure(statSync(packedAs(image, as)).size / 1e6)}`);
    print(`- ${path.basename(image)}: ${figure(size / 1e6)} MB; packed, in MB: ${packed.join(', ')}`);
  }
}

/** In the order in which things were made, as a test would: a device before the file behind it. */
async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0)) await cleanup();
}
