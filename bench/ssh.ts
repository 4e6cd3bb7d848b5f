// What `davit ssh dev -- true` costs beside OpenSSH, and how fast `davit cp` is beside scp: interleaved, medians, ratios. Needs root.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../test/support/seeded-random.js';
import { startSshServer } from '../test/support/ssh-server.js';
import { median, printTable, printTargets } from './report.js';

const program = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'run.js');
const [rounds, copyRounds, megabytes] = [15, 5, Number(process.argv[2] ?? 500)];

const server = await startSshServer({ configuration: ['Subsystem sftp /usr/lib/openssh/sftp-server'] });
const folder = mkdtempSync(path.join(tmpdir(), 'davit-bench-ssh-'));
const file = (name: string) => path.join(folder, name);
const environment = { ...process.env, HOME: folder, DAVIT_DATA_DIR: file('data') };
const times = new Map<string, number[]>();

function time(name: string, command: string, words: readonly string[]): void {
  const before = performance.now();
  const { status, stderr } = spawnSync(command, words, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  if (status !== 0) throw new Error(`${name} ended with ${String(status)}: ${stderr.toString()}`);
  times.set(name, [...(times.get(name) ?? []), performance.now() - before]);
}

try {
  writeFileSync(
    file('big'),
    Buffer.concat(Array.from({ length: megabytes }, (_, seed) => seededRandom(seed).bytes(1e6))),
  );
  const options = ['-q', '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${file('known')}`];
  options.push('-o', 'IdentityAgent=none', '-i', server.identityFile);
  const davit = (name: string, command: string, ...words: readonly string[]) => {
    const login = ['--port', String(server.port), '--identity', server.identityFile];
    time(name, process.execPath, [program, command, ...login, ...words]);
  };
  davit('first', 'ssh', '127.0.0.1', '--', 'true');
  for (let round = 0; round < rounds; round++) {
    time('ssh', 'ssh', [...options, '-p', String(server.port), 'root@127.0.0.1', 'true']);
    time('davit --version', process.execPath, [program, '--version']);
    davit('davit ssh', 'ssh', '127.0.0.1', '--', 'true');
  }
  for (let round = 0; round < copyRounds; round++) {
    const scp = ['-P', String(server.port)];
    time('scp up', 'scp', [...options, ...scp, file('big'), `root@127.0.0.1:${file('up-scp')}`]);
    davit('davit cp up', 'cp', file('big'), `127.0.0.1:${file('up-davit')}`);
    time('scp down', 'scp', [...options, ...scp, `root@127.0.0.1:${file('big')}`, file('down-scp')]);
    davit('davit cp down', 'cp', `127.0.0.1:${file('big')}`, file('down-davit'));
  }
} finally {
  await server.close();
  rmSync(folder, { recursive: true });
}

const of = (name: string) => median(times.get(name) ?? []) ?? NaN;
/** Of what ran one after the other, so that what else the computer does counts for both. */
const rateTo = (name: string, other: string) =>
  median((times.get(name) ?? []).map((ms, round) => (times.get(other)?.[round] ?? NaN) / ms)) ?? NaN;
printTable(
  ['what', '', 'ms'],
  [...times.keys()].map((name) => [name, '', of(name).toFixed(0)]),
);
printTargets([
  {
    what: 'davit ssh dev -- true to ssh + davit --version',
    reached: of('davit ssh') / (of('ssh') + of('davit --version')),
    limit: 1.5,
  },
  { what: 'davit cp up, rate to scp', reached: rateTo('davit cp up', 'scp up'), limit: 0.8, atLeast: true },
  { what: 'davit cp down, rate to scp', reached: rateTo('davit cp down', 'scp down'), limit: 0.8, atLeast: true },
]);
