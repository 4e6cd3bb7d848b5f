// How soon after its start `davit scan` shows fifty devices on three interfaces, and what it costs to wait. Needs root and Avahi; Linux.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDavit } from '../test/support/davit.js';
import { createNetwork } from '../test/support/network-namespace.js';
import { median, printTable, printTargets } from './report.js';

const [count, rounds, idleSeconds] = [50, 5, 6];

const network = await createNetwork(
  Array.from({ length: count }, (_, index) => ({
    hostname: `${index.toString(16).padStart(2, '0')}abcde`,
    segment: `segment ${index % 3}`,
  })),
);

/** Milliseconds from the start of a process to its first line and to the last of so many, after which it is ended. */
async function times(words: readonly string[], lines: number): Promise<{ first: number; last: number }> {
  const startedAt = performance.now();
  const child = startDavit(words, { wrapper: network.wrapper });
  let [seen, first, last] = [0, 0, 0];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    seen += text.split('\n').length - 1;
    first ||= performance.now() - startedAt;
    if (seen < lines || last > 0) return;
    last = performance.now() - startedAt;
    child.kill('SIGINT');
  });
  await once(child, 'close');
  if (last === 0) throw new Error(`only ${seen} of ${lines} lines came`);
  return { first, last };
}

/** How long a process has been running on a processor (proc(5): fields 14 and 15, in hundredths of a second). */
function processorSeconds(id: number | undefined): number {
  const fields =
    readFileSync(`/proc/${String(id)}/stat`, 'utf8')
      .split(') ')[1]
      ?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const starts: number[] = [];
const firsts: number[] = [];
const lasts: number[] = [];
let idle: number;
try {
  for (let round = 0; round < rounds; round++) {
    // What davit has to load before it can do anything.
    const { first: start } = await times(['--version'], 1);
    const { first, last } = await times(['scan', '--timeout', '20'], count + 1);
    starts.push(start);
    firsts.push(first - start);
    lasts.push(last - start);
  }
  const child = startDavit(['scan', '--timeout', '20', '--json'], { wrapper: network.wrapper });
  await sleep(3000);
  const before = processorSeconds(child.pid);
  await sleep(idleSeconds * 1000);
  idle = (processorSeconds(child.pid) - before) / idleSeconds;
  child.kill('SIGINT');
  await once(child, 'close');
} finally {
  await network.close();
}

const milliseconds = (list: readonly number[]) => list.map((ms) => ms.toFixed(0)).join(' ');
printTable(
  ['what', '', 'ms'],
  [
    ['start', '', milliseconds(starts)],
    ['first device after it', '', milliseconds(firsts)],
    ['all devices after it', '', milliseconds(lasts)],
  ],
);
printTargets([
  { what: 'first device after the start', reached: median(firsts), limit: 150, unit: 'ms' },
  { what: 'all devices after the start', reached: median(lasts), limit: 1500, unit: 'ms' },
  { what: 'processor while it waits', reached: idle, limit: 0.05 },
]);
