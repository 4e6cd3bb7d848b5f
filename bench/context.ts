// How soon a large build context begins to stream, and what memory that takes, against a stand-in for an engine that swallows it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { figure, median, printTable, printTargets } from './report.js';

const program = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'run.js');
const rounds = 5;
const folder = mkdtempSync(path.join(tmpdir(), 'davit-bench-context-'));
const many = path.join(folder, 'many');
const large = path.join(folder, 'large');
const environment = { ...process.env, HOME: folder, DAVIT_DATA_DIR: path.join(folder, 'data') };

for (let index = 0; index < 10_000; index++) {
  const place = path.join(many, `folder-${index % 100}`);
  mkdirSync(place, { recursive: true });
  writeFileSync(path.join(place, `file-${index}`), `content of ${index}`);
}
mkdirSync(large);
for (let index = 0; index < 20; index++) {
  const file = path.join(large, `file-${index}`);
  writeFileSync(file, '');
  truncateSync(file, 100e6);
}
for (const project of [many, large]) writeFileSync(path.join(project, 'Dockerfile'), 'FROM scratch\nCOPY . /\n');

/** The stand-in: an empty engine that refuses every build once it has been sent whole. */
let firstByteAt = 0;
const server = createServer((request, response) => {
  const answers: Readonly<Record<string, unknown>> = {
    '/_ping': 'OK',
    '/info': {
      Name: 'bench',
      Architecture: 'x86_64',
      OperatingSystem: 'bench',
      OSType: 'linux',
      ServerVersion: '20.10',
    },
    '/version': { ApiVersion: '1.41', Version: '20.10' },
  };
  const [place = ''] = (request.url ?? '').split('?');
  if (place !== '/build') {
    response.end(typeof answers[place] === 'string' ? answers[place] : JSON.stringify(answers[place] ?? []));
    return;
  }
  request.once('data', () => {
    firstByteAt = performance.now();
  });
  request.resume();
  request.on('end', () => response.end(JSON.stringify({ errorDetail: { message: 'swallowed' }, error: 'swallowed' })));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
const port = address !== null && typeof address === 'object' ? address.port : 0;

/** Pushes a project; gives how long the first byte took, in ms, and the most memory that davit had, in MB. */
async function push(project: string): Promise<{ readonly begun: number; readonly memory: number }> {
  const startedAt = performance.now();
  const words = [program, 'push', '127.0.0.1', '--engine-port', String(port), '--source', project, '--detached'];
  const davit = spawn(process.execPath, words, { env: environment, stdio: 'ignore' });
  let memory = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${String(davit.pid)}/status`, 'utf8');
      memory = Math.max(memory, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0) / 1000);
    } catch {
      // It has ended.
    }
  }, 20);
  await once(davit, 'exit');
  clearInterval(timer);
  return { begun: firstByteAt - startedAt, memory };
}

try {
  const [starts, begun]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const before = performance.now();
    spawnSync(process.execPath, [program, '--version'], { env: environment });
    starts.push(performance.now() - before);
    begun.push((await push(many)).begun);
  }
  const whole = await push(large);
  const [start = Number.NaN, first = Number.NaN] = [median(starts), median(begun)];
  printTable(
    ['what', '', 'value'],
    [
      ['davit --version', 'ms', figure(start)],
      ['first byte of 10,000 files', 'ms', figure(first)],
      ['most memory for 2 GB', 'MB', figure(whole.memory)],
    ],
  );
  printTargets([
    { what: 'first byte of 10,000 files after the start', reached: first - start, limit: 300, unit: 'ms' },
    { what: 'most memory for a context of 2 GB', reached: whole.memory, limit: 150, unit: 'MB' },
  ]);
} finally {
  server.close();
  rmSync(folder, { recursive: true, force: true });
}
