// npm run demo: the whole job, for real, on a virtual device. Sets up what it needs and leaves nothing running behind.
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build, installDebianPackages, installDependencies, root } from './setup.js';

class DemoFailed extends Error {}

if (process.platform !== 'linux' || process.getuid?.() !== 0) {
  console.error('The demo attaches a loop device and makes a network namespace, so it needs root on Linux.');
  process.exit(7);
}

installDependencies();
installDebianPackages();
build();

const folder = mkdtempSync(path.join(tmpdir(), 'davit-demo-'));
const at = (name) => path.join(folder, name);
const namespace = `davit-demo-${process.pid}`;
// Pins and other memories of the demo's devices are none of the user's business.
process.env.DAVIT_DATA_DIR = at('data');
const davitProgram = [process.execPath, path.join(root, 'bin', 'run.js')];
const inNetwork = ['ip', 'netns', 'exec', namespace];
let card;
let device;

process.on('SIGINT', () => finish(130));
process.on('SIGTERM', () => finish(130));

try {
  say('An empty card, and a network of its own for the device.');
  quietly('ip', ['netns', 'add', namespace]);
  quietly('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  closeSync(openSync(at('card'), 'w'));
  truncateSync(at('card'), 4 * 1024 ** 3);
  card = quietly('losetup', ['--find', '--show', at('card')]).trim();
  writeFileSync(
    at('workshop.nmconnection'),
    [
      '[connection]',
      'id=workshop',
      'type=ethernet',
      'autoconnect-priority=10',
      '[ipv4]',
      'method=auto',
      '[ipv6]',
      'addr-gen-mode=eui64',
      'method=auto',
      '',
    ].join('\n'),
  );
  mkdirSync(at('hello'));
  for (const name of ['Dockerfile', 'index.html'])
    copyFileSync(path.join(root, 'demo', 'hello', name), path.join(at('hello'), name));
  copyFileSync('/bin/busybox', path.join(at('hello'), 'busybox'));

  say('Build an operating-system image, and make it ours.');
  davit('os', 'build', 'virtual-amd64', '--output', 'device.img');
  davit(
    'os',
    'configure',
    'device.img',
    '--output',
    'crane.img',
    '--dev',
    '--hostname',
    'crane',
    '--network',
    'workshop.nmconnection',
  );
  davit('os', 'inspect', 'crane.img');

  say('Write it to the card.');
  davit('flash', 'crane.img', '--drive', card, '--yes');

  say('Boot the card.');
  device = startDevice();
  await device.ready;

  say('Find the device, run a project on it, look inside.');
  davitInNetwork('scan');
  davitInNetwork('push', 'crane.local', '--source', 'hello', '--detached');
  const page = ['curl', '--silent', `http://${JSON.parse(readFileSync(at('ready.json'), 'utf8')).ssh.address}:8080/`];
  runShown(page, [...inNetwork, ...page]);
  davitInNetwork('logs', 'crane.local', '--tail', '5');
  davitInNetwork('ssh', 'crane.local', '--', 'nmcli', '--fields', 'NAME,TYPE,STATE', 'connection', 'show');
  finish(0);
} catch (error) {
  console.error(error instanceof DemoFailed ? error.message : error);
  finish(1);
}

function say(text) {
  console.log(`\n# ${text}`);
}

/** Shows a davit command and runs it. */
function davit(...words) {
  runShown(['davit', ...words], [...davitProgram, ...words]);
}

/** Shows a davit command and runs it in the demo's network, where the device is. */
function davitInNetwork(...words) {
  runShown(['davit', ...words], [...inNetwork, ...davitProgram, ...words]);
}

function runShown(shown, [command, ...words]) {
  console.log(`\n$ ${shown.join(' ')}`);
  const result = spawnSync(command, words, { cwd: folder, stdio: 'inherit' });
  if (result.status !== 0) throw new DemoFailed(`${shown.join(' ')} ended with exit code ${result.status}`);
}

/** Boots the card in the background; `ready` resolves when davit says that the device answers. */
function startDevice() {
  const words = ['os', 'run', card, '--network', 'bridge', '--keep'];
  console.log(`\n$ davit ${words.join(' ')} &`);
  const files = ['--serial-log', 'serial.log', '--ready-file', 'ready.json'];
  const child = spawn('ip', [...inNetwork.slice(1), ...davitProgram, ...words, ...files], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ready = new Promise((resolve, reject) => {
    const watcher = setInterval(() => {
      if (!existsSync(at('ready.json'))) return;
      clearInterval(watcher);
      resolve();
    }, 200);
    child.on('exit', (code) => {
      clearInterval(watcher);
      reject(
        new DemoFailed(`the virtual device stopped with exit code ${code}; its console is in ${at('serial.log')}`),
      );
    });
  });
  return { child, ready };
}

function quietly(command, commandArguments) {
  const result = spawnSync(command, commandArguments, { encoding: 'utf8' });
  if (result.status !== 0) throw new DemoFailed(`${command} ${commandArguments.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

async function finish(exitCode) {
  if (device && device.child.exitCode === null) {
    const stopped = new Promise((resolve) => device.child.once('exit', resolve));
    device.child.kill('SIGINT');
    await stopped;
  }
  if (card) spawnSync('losetup', ['--detach', card]);
  spawnSync('ip', ['netns', 'delete', namespace]);
  if (exitCode === 0) rmSync(folder, { recursive: true, force: true });
  else console.error(`What the demo made is in ${folder}`);
  process.exit(exitCode);
}
