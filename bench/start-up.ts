// How long davit takes to start, as a ratio to `node -e 0` in the same run: interleaved, medians of 21.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const program = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'run.js');

const contestants: Readonly<Record<string, readonly string[]>> = {
  'node -e 0': ['-e', '0'],
  'davit --version': [program, '--version'],
  'davit flash --help': [program, 'flash', '--help'],
  'davit os inspect (no such file)': [program, 'os', 'inspect', '/nonexistent'],
};

const times = new Map<string, number[]>(Object.keys(contestants).map((name) => [name, []]));
for (let round = 0; round < 21; round++) {
  for (const [name, words] of Object.entries(contestants)) {
    const before = process.hrtime.bigint();
    spawnSync(process.execPath, words, { stdio: 'ignore' });
    times.get(name)?.push(Number(process.hrtime.bigint() - before) / 1e6);
  }
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const bare = median(times.get('node -e 0') ?? []);
for (const [name, values] of times) {
  console.log(`${name.padEnd(34)} ${median(values).toFixed(0).padStart(5)} ms  ${(median(values) / bare).toFixed(2)}`);
}
