// What it costs to get an image of this computer running on a device behind SSH, beside `docker save | ssh … docker load`: interleaved,
// medians, ratios, and the bytes that the network interface has carried. Needs root.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { importBaseImage } from '../test/support/base-image.js';
import { startEngine } from '../test/support/engine.js';
import { seededRandom } from '../test/support/seeded-random.js';
import { startSshServer } from '../test/support/ssh-server.js';
import { figure, median, printHeading, printTable, printTargets } from './report.js';

const program = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'run.js');
const rounds = Number(process.argv[2] ?? 3);
const [namespace, near, address] = [`davit-bench-${process.pid}`, `bench${process.pid % 100_000}`, '10.98.76.2'];
const folder = mkdtempSync(path.join(tmpdir(), 'davit-bench-push-'));
const file = (name: string) => path.join(folder, name);

interface Cost {
  readonly seconds: number;
  readonly megabytes: number;
}
const costs = new Map<string, Cost[]>();

function run(command: string, words: readonly string[], environment: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, words, { env: { ...process.env, ...environment } });
  if (status !== 0) throw new Error(`${command} ${words.join(' ')} ended with ${String(status)}: ${stderr.toString()}`);
  return stdout.toString();
}

/** Bytes that have left this computer for the device. */
function sentBytes(): number {
  return Number(readFileSync(`/sys/class/net/${near}/statistics/tx_bytes`, 'utf8'));
}

function cost(name: string, work: () => void): void {
  const [before, startedAt] = [sentBytes(), performance.now()];
  work();
  const seconds = (performance.now() - startedAt) / 1000;
  costs.set(name, [...(costs.get(name) ?? []), { seconds, megabytes: (sentBytes() - before) / 1e6 }]);
}

run('ip', ['netns', 'add', namespace]);
const [host, device] = await Promise.all([startEngine(), startEngine()]);
const enter = `mount -t tmpfs none /run && mkdir /run/sshd && ln -s ${device.socket} /run/balena-engine.sock && exec "$@"`;
const wrapper = ['ip', 'netns', 'exec', namespace, 'unshare', '--mount', 'sh', '-c', enter, 'sh'];
run('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
run('ip', ['address', 'add', '10.98.76.1/24', 'dev', near]);
run('ip', ['link', 'set', near, 'up']);
run('ip', ['-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
run('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up']);
run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
const server = await startSshServer({ wrapper });

const ssh = ['-q', '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${file('known')}`, '-i'];
ssh.push(server.identityFile, '-p', String(server.port), `root@${address}`);
const onHost = { DOCKER_HOST: `tcp://127.0.0.1:${host.port}`, DOCKER_BUILDKIT: '0', DOCKER_CONFIG: file('client') };
const onDevice = `DOCKER_HOST=unix://${device.socket} docker`;
const davitEnvironment = { ...onHost, HOME: folder, DAVIT_DATA_DIR: file('data'), DAVIT_STATE_DIR: file('state') };

/** An image of about 200 MB, half programs and half what cannot be compressed, with a last layer of its own. */
function build(image: string, seed: number): void {
  const steps = ['FROM base', 'COPY programs /programs', 'COPY media /media', 'COPY app /app'];
  writeFileSync(file('app'), seededRandom(seed).bytes(1e6));
  writeFileSync(file('Dockerfile'), [...steps, 'CMD trap "exit 0" TERM; while true; do sleep 0.1; done'].join('\n'));
  run('docker', ['build', '--quiet', '--tag', image, folder], onHost);
}

/** Takes everything off the device but, if wanted, the image that was there before. */
function clear(keep: string | undefined): void {
  const docker = (words: string) => run('sh', ['-c', `${onDevice} ${words}`]);
  for (const id of docker('ps --all --quiet').split('\n').filter(Boolean)) docker(`rm --force ${id}`);
  for (const line of docker(`images --format '{{.Repository}} {{.ID}}'`).split('\n').filter(Boolean)) {
    const [name, id = ''] = line.split(' ');
    if (name !== keep) docker(`rmi --force ${id}`);
  }
}

const login = ['--port', String(server.port), '--identity', server.identityFile, '--engine-port', '9'];

function withDavit(image: string): void {
  run(process.execPath, [program, 'push', address, '--image', image, '--detached', ...login], davitEnvironment);
}

function withDocker(image: string): void {
  const remote = `${onDevice} load --quiet && ${onDevice} rm --force main >/dev/null 2>&1; ${onDevice} run --detach --name main --network host ${image}`;
  const words = ssh.map((word) => `'${word}'`).join(' ');
  run('sh', ['-c', `docker save ${image} | ssh ${words} '${remote.replaceAll("'", `'\\''`)}'`], onHost);
}

/** Milliseconds from saving a file until the container that runs has it, each time. */
async function carryOver(times: number): Promise<number[]> {
  const project = file('project');
  mkdirSync(project, { recursive: true });
  writeFileSync(path.join(project, 'Dockerfile'), 'FROM base\n#dev-cmd-live=sleep 10000\nCOPY line /app/\n');
  writeFileSync(path.join(project, 'line'), 'first');
  const words = [program, 'push', address, '--source', project, ...login];
  const child = spawn(process.execPath, words, { env: { ...process.env, ...davitEnvironment }, stdio: 'ignore' });
  const ended = once(child, 'exit');
  const running = `${onDevice} inspect --format '{{.State.Pid}}' $(${onDevice} ps --quiet) 2>/dev/null || true`;
  let inside: string | undefined;
  while (inside === undefined) {
    await sleep(100);
    if (child.exitCode !== null) throw new Error(`davit push ended with ${child.exitCode}`);
    const pid = run('sh', ['-c', running]).trim();
    const found = `/proc/${pid}/root/app/line`;
    if (/^[1-9]\d*$/.test(pid) && existsSync(found)) inside = found;
  }
  const taken: number[] = [];
  for (let time = 0; time <= times; time++) {
    // Not in step with what davit waits for.
    await sleep(1000 + 37 * time);
    const startedAt = performance.now();
    writeFileSync(path.join(project, 'line'), `line ${time}`);
    while (readFileSync(inside, 'utf8') !== `line ${time}`) {
      await sleep(1);
      if (child.exitCode !== null) throw new Error(`davit push ended with ${child.exitCode}`);
    }
    taken.push(performance.now() - startedAt);
  }
  child.kill('SIGINT');
  await ended;
  // The first one opens what the others use.
  return taken.slice(1);
}

const contestants = { 'docker save | ssh docker load': withDocker, 'davit push': withDavit };

const carried: number[] = [];

try {
  await importBaseImage(host.connection);
  await importBaseImage(device.connection);
  carried.push(...(await carryOver(5 * rounds)));
  clear(undefined);
  copyFileSync(process.execPath, file('programs'));
  writeFileSync(file('media'), Buffer.concat(Array.from({ length: 100 }, (_, seed) => seededRandom(seed).bytes(1e6))));
  build('before', 0);
  for (const [link, limit] of [
    ['no limit', undefined],
    ['100 Mbit/s', ['rate', '100mbit', 'burst', '256kb', 'latency', '50ms']],
  ] as const) {
    if (limit !== undefined) run('tc', ['qdisc', 'add', 'dev', near, 'root', 'tbf', ...limit]);
    for (let round = 0; round < rounds; round++) {
      build('after', 1 + round);
      const order = Object.entries(contestants);
      for (const [name, push] of round % 2 === 0 ? order : order.toReversed()) {
        clear(undefined);
        cost(`${link}, whole image: ${name}`, () => {
          push('before');
        });
        run('sh', ['-c', `${onDevice} tag ${name === 'davit push' ? 'local_image_main' : 'before'} kept`]);
        cost(`${link}, last layer changed: ${name}`, () => {
          push('after');
        });
        cost(`${link}, nothing changed: ${name}`, () => {
          push('after');
        });
      }
    }
  }
} finally {
  await server.close();
  await Promise.all([host.close(), device.close()]);
  run('ip', ['netns', 'del', namespace]);
  rmSync(folder, { recursive: true });
}

printHeading('A changed line to a running container behind SSH');
printTable(
  ['what', '', 'median ms', 'longest ms'],
  [['saved to there', '', figure(median(carried) ?? NaN, 0), figure(Math.max(...carried), 0)]],
);

const of = (name: string, what: keyof Cost) => median((costs.get(name) ?? []).map((one) => one[what])) ?? NaN;
printHeading('An image of 200 MB to a device behind SSH');
printTable(
  ['what', '', 's', 'MB sent'],
  [...costs.keys()].map((name) => [name, '', figure(of(name, 'seconds'), 2), figure(of(name, 'megabytes'), 2)]),
);
const ratio = (what: string, measure: keyof Cost) =>
  of(`${what}: davit push`, measure) / of(`${what}: docker save | ssh docker load`, measure);
printTargets([
  {
    what: 'bytes of a changed last layer, to those of the peer',
    reached: ratio('no limit, last layer changed', 'megabytes'),
    limit: 0.02,
  },
  {
    what: 'time of a changed last layer at 100 Mbit/s, to the peer',
    reached: ratio('100 Mbit/s, last layer changed', 'seconds'),
    limit: 0.5,
  },
  {
    what: 'time of a whole image at 100 Mbit/s, to the peer',
    reached: ratio('100 Mbit/s, whole image', 'seconds'),
    limit: 1.25,
  },
  {
    what: 'time of a whole image without a limit, to the peer',
    reached: ratio('no limit, whole image', 'seconds'),
    limit: 2,
  },
  {
    what: 'seconds of a push that changes nothing, at 100 Mbit/s',
    reached: of('100 Mbit/s, nothing changed: davit push', 'seconds'),
    limit: 1.5,
  },
  {
    what: 'milliseconds until a changed line is in the container, over a link without a delay',
    reached: median(carried),
    limit: 300,
  },
]);
