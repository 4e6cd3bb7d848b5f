// How davit os configure compares with what else changes a file in the boot partition of an image: the same image, interleaved runs, medians.
// Usage: tsx bench/configure.ts [--into docs/performance.md]; see there.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeOsImage } from '../test/support/os-image.js';
import { figure, median, print, printTable, printTargets, writeInto } from './report.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const davit = [process.execPath, path.resolve(here, '..', 'bin', 'run.js')];
const rounds = 15;

/** One way to change an image. The change is another one in every round, because one that changes nothing is not made. */
interface Contestant {
  readonly name: string;
  readonly command: (round: number) => readonly string[];
  /** The file that it reads and writes. */
  readonly image?: string;
}

interface Run {
  readonly milliseconds: number;
  readonly peakMegabytes: number;
}

/** What a program asked of a file. */
interface Requests {
  readonly reads: number;
  readonly kilobytesRead: number;
  readonly writes: number;
  readonly kilobytesWritten: number;
  readonly flushes: number;
}

const { values: flags } = parseArgs({ options: { into: { type: 'string' } } });
const folder = mkdtempSync(path.join(process.env.DAVIT_BENCH_DIR ?? tmpdir(), 'davit-bench-configure-'));
try {
  await main();
} finally {
  rmSync(folder, { recursive: true });
}

async function main(): Promise<void> {
  const image = path.join(folder, 'image.img');
  const { size, boot } = await makeOsImage(image, {
    ...{ table: 'gpt', fat: 16, bootSize: 80, dataSize: 1900 },
    bootFiles: { kernel: Buffer.alloc(20_000_000, 'kernel') },
  });
  const contestants = contestantsFor(image, boot);
  const runs = new Map<string, Run[]>(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, command } of contestants) runs.get(name)?.push(measure(command(round)));
  }
  const middle = (name: string, key: keyof Run) => median((runs.get(name) ?? []).map((run) => run[key]));
  const start = middle('davit --version', 'milliseconds') ?? Number.NaN;
  const hasStrace = spawnSync('strace', ['--version']).error === undefined;
  const programs = [`Node ${process.version}`, firstLine('mcopy', '--version')];
  print(
    `- ${new Date().toISOString().slice(0, 10)}; ${cpus().length} cores ${cpus()[0]?.model ?? ''}; ${programs.join('; ')}`,
  );
  const used = statSync(image).blocks * 512;
  print(
    `- an image of ${figure(size / 1e6)} MB, of which ${figure(used / 1e6)} MB are no holes, with a boot partition of ${figure(boot.size / 1e6)} MB`,
  );
  print('');
  printTable(
    ['program', 'wall ms', 'ratio', 'peak MB', 'reads', 'kB read', 'writes', 'kB written', 'flushes'],
    contestants.map((contestant) => {
      const { name } = contestant;
      const milliseconds = middle(name, 'milliseconds');
      const asked = hasStrace && contestant.image !== undefined ? requestsOf(contestant) : undefined;
      return [
        ...[name, figure(milliseconds), figure((milliseconds ?? 0) / start, 2), figure(middle(name, 'peakMegabytes'))],
        ...[figure(asked?.reads), figure(asked?.kilobytesRead), figure(asked?.writes)],
        ...[figure(asked?.kilobytesWritten), figure(asked?.flushes)],
      ];
    }),
  );
  const inPlace = 'davit os configure --in-place';
  printTargets([
    { what: 'in place: time / davit --version', reached: (middle(inPlace, 'milliseconds') ?? 0) / start, limit: 2 },
    { what: 'in place: peak memory', reached: middle(inPlace, 'peakMegabytes'), limit: 120, unit: 'MB' },
  ]);
  if (flags.into !== undefined) writeInto(flags.into, '## What configuring costs');
}

function contestantsFor(image: string, boot: { readonly start: number; readonly number: number }): Contestant[] {
  const config = path.join(folder, 'config');
  mkdirSync(config);
  const withConfig = (round: number) => {
    const file = path.join(config, 'config.json');
    writeFileSync(file, JSON.stringify({ deviceType: 'raspberrypi4-64', hostname: `mtools-${round}` }));
    return file;
  };
  const output = path.join(folder, 'output.img');
  const configure = (round: number, ...words: string[]) => [
    ...davit,
    'os',
    'configure',
    image,
    '--hostname',
    `davit-${round}`,
    ...words,
  ];
  const address = `${image}@@${boot.start}`;
  const inject = [process.execPath, path.join(here, 'config-inject.js'), image, String(boot.number)];
  return [
    { name: 'davit --version', command: () => [...davit, '--version'] },
    { name: 'davit os configure --in-place', image, command: (round) => configure(round, '--in-place') },
    { name: 'davit os configure --output', image, command: (round) => configure(round, '--output', output, '--force') },
    {
      name: 'mcopy into the image',
      image,
      command: (round) => ['mcopy', '-o', '-i', address, withConfig(round), '::/config.json'],
    },
    {
      name: 'cp, mcopy into the copy',
      command: (round) => [
        'sh',
        '-c',
        `cp ${image} ${output} && mcopy -o -i ${output}@@${boot.start} ${withConfig(round)} ::/config.json`,
      ],
    },
    ...(hasImageFs()
      ? [{ name: 'balena-image-fs', image, command: (round: number) => [...inject, `inject-${round}`] }]
      : []),
  ];
}

function hasImageFs(): boolean {
  const etcher = process.env.DAVIT_BENCH_ETCHER;
  try {
    createRequire(etcher === undefined ? import.meta.url : `${etcher}/`).resolve('balena-image-fs');
    return true;
  } catch {
    print('- balena-image-fs is not there: install etcher-sdk, or name the folder it is in by DAVIT_BENCH_ETCHER');
    return false;
  }
}

function measure(command: readonly string[]): Run {
  const report = path.join(folder, 'time');
  const startedAt = performance.now();
  const { status, stderr } = spawnSync('/usr/bin/time', ['--format', '%M', '--output', report, ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  const milliseconds = performance.now() - startedAt;
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
  return { milliseconds, peakMegabytes: (Number(readFileSync(report, 'utf8')) * 1024) / 1e6 };
}

/** Runs a program once more, outside of the measurement, and counts what it asks of the image. */
function requestsOf({ command, image }: Contestant): Requests {
  const log = path.join(folder, 'strace');
  const calls = 'trace=read,pread64,readv,preadv,write,pwrite64,writev,pwritev,fsync,fdatasync';
  const words = ['-f', '-y', '-e', calls, '-e', 'signal=none', '-s', '0', '-o', log, ...command(rounds)];
  const { status } = spawnSync('strace', words, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`strace ${command(rounds).join(' ')} ended with ${status}`);
  const ofImage = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes(`<${image}>`));
  const results = (name: RegExp) =>
    ofImage.filter((line) => name.test(line)).map((line) => Number(/= (\d+)$/.exec(line)?.[1] ?? 0));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / 1000;
  const [reads, writes, flushes] = [
    results(/ p?readv?(64)?\(/),
    results(/ p?writev?(64)?\(/),
    results(/ f(data)?sync\(/),
  ];
  return {
    ...{ reads: reads.length, kilobytesRead: sum(reads) },
    ...{ writes: writes.length, kilobytesWritten: sum(writes), flushes: flushes.length },
  };
}

function firstLine(command: string, ...words: string[]): string {
  return execFileSync(command, words, { encoding: 'utf8' }).split('\n')[0] ?? '';
}
