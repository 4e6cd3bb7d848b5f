import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { installOsConfig } from '../support/guest-os-config.js';
import { bootDevice, configuredImage, type VirtualDevice, virtualDeviceMissing } from '../support/virtual-device.js';

/** Each step stands on the one before it: one device that is looked at, renamed, restarted and switched off. */
describe('a device that is controlled from afar', { skip: virtualDeviceMissing }, () => {
  let folder = '';
  let device: VirtualDevice;
  const options = () => ({
    wrapper: device.wrapper,
    environment: { HOME: folder, DAVIT_DATA_DIR: path.join(folder, 'data'), SSH_AUTH_SOCK: undefined },
    timeoutMs: 240_000,
  });

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'davit-device-verbs-'));
    const image = await configuredImage(folder, { config: { hostname: 'crane', developmentMode: true } });
    device = await bootDevice(image, folder);
  });
  after(async () => {
    await device.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('tells what it is and how it does', async () => {
    const { exitCode, document } = await davitJson(['device', 'info', 'crane'], options());
    assert.equal(exitCode, 0, JSON.stringify(document));
    const info = document as Record<string, unknown> & {
      interfaces: { addresses: string[] }[];
      data: { total: number; available: number };
    };
    assert.deepEqual(
      [info.hostname, info.mode, info.deviceType, info.root, info.isOnTrial, info.apiEndpoint],
      ['crane', 'development', 'virtual-amd64', 'A', false, null],
    );
    assert.match(String(info.uuid), /^[0-9a-f]{32}$/);
    assert.match(String(info.engineVersion), /^\d+\./);
    assert.ok(info.data.available > 0 && info.data.available < info.data.total);
    assert.ok(info.interfaces.some(({ addresses }) => addresses.some((one) => one.startsWith(`${device.address}/`))));
    const shown = await davit(['device', 'info', 'crane'], options());
    assert.match(shown.stdout, /^host name +crane$/m);
  });

  it('takes another name, which is in effect after it has restarted', async () => {
    const named = await davitJson(['device', 'hostname', 'crane', 'heron'], options());
    assert.equal(named.exitCode, 0, JSON.stringify(named.document));
    assert.equal((named.document as { takesEffect: string }).takesEffect, 'at-next-start');
    const bootId = await device.ssh('cat /proc/sys/kernel/random/boot_id');
    const rebooted = await davitJson(['device', 'reboot', 'crane'], options());
    assert.equal(rebooted.exitCode, 0, JSON.stringify(rebooted.document) + rebooted.stderr);
    const now = await davit(['ssh', 'heron', '--', 'cat', '/proc/sys/kernel/random/boot_id'], options());
    assert.equal(now.exitCode, 0, now.stderr);
    assert.notEqual(now.stdout, bootId.stdout);
    assert.equal((await davit(['device', 'hostname', 'heron'], options())).stdout, 'heron\n');
  });

  it('joins a fleet, also when davit is killed, and leaves it; what fails is taken back', async () => {
    await installOsConfig(device);
    const file = path.join(folder, 'fleet.json');
    const fleet = {
      deviceType: 'virtual-amd64',
      applicationId: 17,
      apiEndpoint: 'http://127.0.0.1:9',
      apiKey: 'sesame',
    };
    await writeFile(file, JSON.stringify({ ...fleet, developmentMode: false }));
    const config = async () => (await device.ssh('cat /mnt/boot/config.json')).stdout;
    const own = await config();
    const line = ['join', 'heron', '--config', file, '--yes'];

    await device.ssh('touch /run/fails');
    const failed = await davitJson(line, options());
    assert.equal(failed.exitCode, 5, JSON.stringify(failed.document));
    assert.equal(await config(), own);

    await device.ssh('rm /run/fails');
    const kill = { signal: 'SIGKILL', when: (output: string) => output.includes('Fetching') } as const;
    assert.equal((await davit(line, { ...options(), kill })).signal, 'SIGKILL');
    const result = '/run/davit-join/result';
    const done = await device.ssh(`until [ -e ${result} ]; do sleep 0.2; done; cat ${result}`);
    assert.equal(done.stdout, 'done\n');
    const joined = JSON.parse(await config()) as Record<string, unknown>;
    const { applicationId, deviceId, hostname, developmentMode } = joined;
    assert.deepEqual([applicationId, deviceId, hostname, developmentMode], [17, 4711, 'heron', true]);

    const left = await davitJson(['leave', 'heron', '--yes'], options());
    assert.equal(left.exitCode, 0, JSON.stringify(left.document));
    assert.doesNotMatch(await config(), /apiEndpoint|applicationId/);
    assert.equal((await device.ssh('ls /mnt/boot')).stdout.includes('before'), false);
  });

  it('switches itself off, and is told from one that is still there', async () => {
    const off = await davitJson(['device', 'shutdown', 'heron', '--yes'], options());
    assert.equal(off.exitCode, 0, JSON.stringify(off.document) + off.stderr);
    const gone = await davitJson(['device', 'reboot', 'heron'], options());
    assert.equal(gone.exitCode, 3, JSON.stringify(gone.document));
  });
});
