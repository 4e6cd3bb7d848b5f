import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson, projectRoot } from '../support/davit.js';
import { checked } from '../support/loop-device.js';
import { bootDevice, builtImage, type VirtualDevice, virtualDeviceMissing } from '../support/virtual-device.js';

const uuid = 'c4a9e14d6bb1ee1ed1eb7a8e05ce0d00';

const connection = '[connection]\nid=workshop\ntype=ethernet\nautoconnect-priority=10\n[ipv4]\nmethod=auto\n';

/** Each step stands on the one before it, as it does for a user; those up to the log are what `npm run demo` shows. */
describe(
  'the main job, from a recipe to a container that answers, and on to the next card',
  { skip: virtualDeviceMissing },
  () => {
    let folder = '';
    let card = '';
    let device: VirtualDevice | undefined;
    // Pins and inventory of the user's own are none of a test's business.
    const environment = () => ({ DAVIT_DATA_DIR: path.join(folder, 'data') });
    const onDevice = (...words: string[]) =>
      davit(words, { wrapper: device?.wrapper ?? [], environment: environment(), timeoutMs: 120_000 });
    const pins = () => readFile(path.join(folder, 'data', 'known_hosts'), 'utf8');
    const flash = () =>
      davit(['flash', path.join(folder, 'crane.img.gz'), '--drive', card, '--yes', '--json'], {
        environment: environment(),
        timeoutMs: 300_000,
      });
    const bootAgain = async (change: () => Promise<void>) => {
      await device?.stop();
      await change();
      device = await bootDevice(card, folder, ['--keep']);
    };

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
      const profile = path.join(folder, 'crane.yml');
      await writeFile(profile, `config:\n  uuid: ${uuid}\n`);
      const output = path.join(folder, 'crane.img');
      const image = await builtImage();
      const configured = await davit([
        'os',
        'configure',
        image,
        '--output',
        output,
        '--dev',
        '--profile',
        profile,
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
      const flashed = await flash();
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

    it('shows the journal of the device itself, and the last lines of it', async () => {
      const all = await onDevice('logs', 'crane.local', '--system');
      assert.equal(all.exitCode, 0, all.stderr);
      assert.match(all.stdout, /^kernel: .*Linux version/m);
      assert.doesNotMatch(all.stdout, /response:200/);
      const some = await onDevice('logs', 'crane.local', '--system', '--tail', '3');
      assert.equal(some.exitCode, 0, some.stderr);
      // A message may have several lines.
      assert.ok(some.stdout.split('\n').length > 3, some.stdout);
      const none = await onDevice('logs', 'crane.local', '--system', '--since', '2999-01-01T00:00:00Z');
      assert.deepEqual([none.exitCode, none.stdout], [0, ''], none.stderr);
    });

    it('reaches the device by its UUID after a restart, by the same host key', async () => {
      const pinned = await pins();
      assert.ok(pinned.startsWith(`${uuid},`), pinned);
      const bootId = async () => (await onDevice('ssh', uuid, '--', 'cat', '/proc/sys/kernel/random/boot_id')).stdout;
      const before = await bootId();
      await onDevice('ssh', uuid, '--', 'systemctl', 'reboot');
      await until('the device has started again', async () => !['', before].includes(await bootId()));
      assert.equal(await pins(), pinned);
    });

    it('takes the new host key of a card that davit has flashed anew', async () => {
      const before = await pins();
      await bootAgain(async () => {
        const flashed = await flash();
        assert.equal(flashed.exitCode, 0, flashed.stderr);
        assert.match(flashed.stderr, /host key pinned for crane was forgotten/);
        assert.ok(!(await pins()).includes(uuid));
      });
      const { exitCode, stdout, stderr } = await onDevice('ssh', uuid, '--', 'cat', '/proc/sys/kernel/hostname');
      assert.deepEqual([exitCode, stdout], [0, 'crane\n'], stderr);
      const now = await pins();
      assert.ok(now.startsWith(`${uuid},`), now);
      assert.notEqual(keyIn(now), keyIn(before));
    });

    it('refuses the new host key of a card that was written by something else, until it is accepted', async () => {
      const before = await pins();
      const write = 'zcat "$0" | dd of="$1" bs=4M conv=fsync,notrunc status=none';
      await bootAgain(async () => {
        await checked(['sh', '-c', write, path.join(folder, 'crane.img.gz'), card]);
      });
      const refused = await onDevice('ssh', uuid, '--json', '--', 'true');
      const { error } = JSON.parse(refused.stdout) as { error: { code: string; message: string; hint: string } };
      assert.deepEqual([refused.exitCode, error.code], [4, 'host-key-changed']);
      assert.match(error.message, /it was SHA256:[\w+/]{43} .*, now it is SHA256:[\w+/]{43} /);
      assert.equal(await pins(), before);
      const command = /accept its new key: davit ([^.]+)\./.exec(error.hint)?.[1];
      assert.ok(command !== undefined, error.hint);
      const accepted = await onDevice(...command.split(' '), '--', 'true');
      assert.equal(accepted.exitCode, 0, accepted.stderr);
      for (const name of [uuid, 'crane']) assert.equal((await onDevice('ssh', name, '--', 'true')).exitCode, 0);
      assert.notEqual(keyIn(await pins()), keyIn(before));
    });
  },
);

/** The key in a known-hosts file of one line. */
function keyIn(pins: string): string {
  const [line = '', ...others] = pins.trim().split('\n');
  assert.deepEqual(others, []);
  return line.split(' ').slice(1).join(' ');
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 300_000;
  while (!(await isSo())) assert.ok(performance.now() < end, `waited in vain until ${what}`);
}
