// How long davit takes to flash, beside the usual programs: one image, one loop device, interleaved runs, medians. A loop device is faster than any
// card, so this shows what each program itself costs; on a card the bytes written and read back decide.
// Usage: tsx bench/flash.ts [rounds] [folder that keeps the image]
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeBenchImage } from './flash-image.js';

const rounds = Number(process.argv[2] ?? 5);
const folder = process.argv[3] ?? path.join(tmpdir(), 'davit-bench-flash');
const davit = `${process.execPath} ${path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'run.js')}`;

interface Contestant {
  readonly source: 'raw' | 'gz' | 'zst' | 'xz';
  readonly name: string;
  readonly command: string;
}

interface Measurement {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of the largest process. */
  readonly residentMegabytes: number;
  readonly megabytesWritten: number;
}

if (process.getuid?.() !== 0) throw new Error('needs root for loop devices');
const image = makeBenchImage(folder);
const card = path.join(folder, 'card');
writeFileSync(card, '');
truncateSync(card, statSync(image).size + 64 * 1024 * 1024);
const device = execFileSync('losetup', ['--find', '--show', card], { encoding: 'utf8' }).trim();
const dd = `dd of=${device} bs=4M oflag=direct conv=fsync iflag=fullblock status=none`;
const quiet = '--yes --progress none';
const contestants: readonly Contestant[] = [
  { source: 'raw', name: 'dd oflag=direct conv=fsync', command: `${dd} if=${image}` },
  { source: 'raw', name: 'bmaptool', command: `bmaptool -q copy --nobmap ${image} ${device}` },
  { source: 'raw', name: 'bmaptool with bmap', command: `bmaptool -q copy --bmap ${image}.bmap ${image} ${device}` },
  {
    source: 'raw',
    name: 'davit flash --no-verify',
    command: `${davit} flash ${image} -d ${device} ${quiet} --no-verify`,
  },
  { source: 'raw', name: 'davit flash', command: `${davit} flash ${image} -d ${device} ${quiet}` },
  { source: 'raw', name: 'davit flash --all', command: `${davit} flash ${image} -d ${device} ${quiet} --all` },
  ...(['gz', 'zst', 'xz'] as const).flatMap((source): Contestant[] => {
    const packed = `${image}.${source}`;
    const unpack = { gz: 'gzip -dc', zst: 'zstd -dcq', xz: 'xz -dc -T0' }[source];
    return [
      { source, name: `${unpack} | dd`, command: `sh -c '${unpack} ${packed} | ${dd}'` },
      { source, name: 'bmaptool with bmap', command: `bmaptool -q copy --bmap ${image}.bmap ${packed} ${device}` },
      {
        source,
        name: 'davit flash --no-verify',
        command: `${davit} flash ${packed} -d ${device} ${quiet} --no-verify`,
      },
      { source, name: 'davit flash', command: `${davit} flash ${packed} -d ${device} ${quiet}` },
    ];
  }),
];

const measurements = new Map(contestants.map((one) => [one, [] as Measurement[]]));
try {
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) measurements.get(contestant)?.push(measure(contestant));
  }
} finally {
  execFileSync('losetup', ['--detach', device]);
  rmSync(card);
}

console.log(`image ${(statSync(image).size / 1e6).toFixed(0)} MB, ${rounds} rounds, medians`);
console.log(`${'source'.padEnd(7)}${'program'.padEnd(28)}   wall s    ratio   CPU s  RSS MB  MB written`);
for (const [{ source, name }, all] of measurements) {
  const base = contestants.find((one) => one.source === source);
  const middle = (key: keyof Measurement, of = all) => median(of.map((one) => one[key]));
  const ratio = middle('seconds') / middle('seconds', base && measurements.get(base));
  console.log(
    [
      `${source.padEnd(7)}${name.padEnd(28)}`,
      middle('seconds').toFixed(2).padStart(8),
      ratio.toFixed(2).padStart(8),
      middle('cpuSeconds').toFixed(2).padStart(7),
      middle('residentMegabytes').toFixed(0).padStart(7),
      middle('megabytesWritten').toFixed(0).padStart(11),
    ].join(' '),
  );
}

function measure({ name, command }: Contestant): Measurement {
  const before = sectorsWritten();
  const report = path.join(folder, 'time');
  const words = ['--format', '%e %U %S %M', '--output', report, ...shellWords(command)];
  const { status, stderr } = spawnSync('/usr/bin/time', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
  const [seconds = 0, user = 0, system = 0, kilobytes = 0] = readFileSync(report, 'utf8').split(' ').map(Number);
  return {
    seconds,
    cpuSeconds: user + system,
    residentMegabytes: kilobytes / 1000,
    megabytesWritten: ((sectorsWritten() - before) * 512) / 1e6,
  };
}

function sectorsWritten(): number {
  const stat = readFileSync(`/sys/block/${path.basename(device)}/stat`, 'utf8').trim();
  return Number(stat.split(/\s+/)[6]);
}

/** Words of a command in which only single quotes group. */
function shellWords(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
