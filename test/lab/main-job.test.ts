import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson, projectRoot } from '../support/davit.js';
import { checked } from '../support/loop-device.js';
import { bootDevice, builtImage, type VirtualDevice, virtualDeviceMissing } from '../support/virtual-device.js';

const connection = '[connection]\nid=workshop\ntype=ethernet\nautoconnect-priority=10\n[ipv4]\nmethod=auto\n';

/** Each step stands on the one before it, as it does for a user; together they are what `npm run demo` shows. */
describe('the main job, from a recipe to a container that answers', { skip: virtualDeviceMissing }, () => {
  let folder = '';
  let card = '';
  let device: VirtualDevice | undefined;
  const onDevice = (...words: string[]) =>
    davit(words, {
      wrapper: device?.wrapper ?? [],
      // Pins and inventory of the user's own are none of a test's business.
      environment: { DAVIT_DATA_DIR: path.join(folder, 'data') },
      timeoutMs: 120_000,
    });

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'davit-main-job-'));
    // Larger than the image, as cards are, and full: what the image leaves free must not need to be zero.
    await checked(['sh', '-c', 'head --bytes=4G /dev/urandom >"$0"', path.join(folder, 'card')]);
    card = await checked(['losetup', '--find', '--show', path.join(folder, 'card')]);
  });

  after(async () => {
    await device?.stop();
    if (card !== '') await checked(['losetup', '--detach', card]);
    await rm(folder, { recursive: true, force: true });
  });

  it('configures a built image as a new file', async () => {
    const keyfile = path.join(folder, 'workshop.nmconnection');
    await writeFile(keyfile, connection);
    const output = path.join(folder, 'crane.img');
    const image = await builtImage();
    const configured = await davit([
      'os',
      'configure',
      image,
      '--output',
      output,
      '--dev',
      '--hostname',
      'crane',
      '--network',
      keyfile,
    ]);
    assert.equal(configured.exitCode, 0, configured.stderr);
    const { document } = await davitJson(['os', 'inspect', output]);
    assert.ok(isRecord(document) && isRecord(document.boot) && isRecord(document.boot.config));
    assert.equal(document.boot.config.hostname, 'crane');
  });

  it('flashes it, packed, onto a card full of something else, writing only what matters', async () => {
    const image = path.join(folder, 'crane.img');
    await checked(['gzip', '-1', image]);
    const flashed = await davit(['flash', `${image}.gz`, '--drive', card, '--yes', '--json'], { timeoutMs: 300_000 });
    assert.equal(flashed.exitCode, 0, flashed.stderr);
    const { drives, ...result } = JSON.parse(flashed.stdout) as {
      image: { size: number };
      drives: { bytesWritten: number; bytesVerified: number; verifiedFrom: string }[];
    };
    const [drive] = drives;
    assert.ok(drive);
    assert.ok(drive.bytesWritten < 0.6 * result.image.size, `${drive.bytesWritten} of ${result.image.size} bytes`);
    assert.deepEqual([drive.bytesVerified, drive.verifiedFrom], [drive.bytesWritten, 'medium']);
  });

  it('boots the card', async () => {
    device = await bootDevice(card, folder, ['--keep']);
    assert.notEqual(device.address, '');
  });

  it('finds the device by mDNS, under the host name of config.json', async () => {
    const scanned = await onDevice('scan', '--json');
    assert.equal(scanned.exitCode, 0, scanned.stderr);
    const document: unknown = JSON.parse(scanned.stdout);
    assert.ok(isRecord(document) && Array.isArray(document.devices));
    const found: unknown = document.devices[0];
    assert.ok(isRecord(found) && Array.isArray(found.addresses));
    assert.equal(found.hostname, 'crane.local');
    assert.ok(found.addresses.includes(device?.address));
    assert.equal(found.mode, 'development');
  });

  it('runs commands over SSH and passes their exit codes on', async () => {
    const hostname = await onDevice('ssh', 'crane.local', '--', 'cat', '/proc/sys/kernel/hostname');
    assert.equal(hostname.stdout, 'crane\n', hostname.stderr);
    assert.equal((await onDevice('ssh', 'crane', '--', 'sh', '-c', 'exit 42')).exitCode, 42);
  });

  it('has NetworkManager use the injected connection', async () => {
    const listed = await onDevice('ssh', 'crane.local', '--', 'nmcli', '-g', 'NAME,STATE', 'connection', 'show');
    assert.match(listed.stdout, /^workshop:activated$/m);
  });

  it('pushes a project whose container answers', async () => {
    const project = path.join(folder, 'hello');
    await mkdir(project);
    for (const name of ['Dockerfile', 'index.html']) {
      await copyFile(path.join(projectRoot, 'demo', 'hello', name), path.join(project, name));
    }
    await copyFile('/bin/busybox', path.join(project, 'busybox'));
    const pushed = await onDevice('push', 'crane.local', '--source', project, '--detached');
    assert.equal(pushed.exitCode, 0, pushed.stderr);
    const url = `http://${device?.address ?? ''}:8080/`;
    const page = await checked([
      ...(device?.wrapper ?? []),
      'curl',
      '--silent',
      '--retry',
      '20',
      '--retry-connrefused',
      url,
    ]);
    assert.match(page, /Hello from a container that davit pushed/);
  });

  it('shows the log of the container', async () => {
    const logs = await onDevice('logs', 'crane.local', '--tail', '20');
    assert.equal(logs.exitCode, 0, logs.stderr);
    assert.match(logs.stdout, /response:200/);
  });
});
