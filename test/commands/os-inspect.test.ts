import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openBlockFile } from '../../src/lib/image/block-file.js';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { makeOsImage, type OsImage, type OsImageOptions } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const secretWifi =
  '[connection]\nid=home\ntype=wifi\n\n[wifi]\nssid=My Home\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=s3cret-psk\n';

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<OsImage> {
  return makeOsImage(path.join(await temporaryFolder(t), 'device.img'), options);
}

async function inspect(file: string) {
  const { exitCode, document, stderr } = await davitJson(['os', 'inspect', file]);
  assert.equal(exitCode, 0, stderr);
  assert.ok(isRecord(document));
  const { boot, os, partitions, warnings } = document;
  assert.ok(Array.isArray(partitions) && Array.isArray(warnings));
  return { document, boot: isRecord(boot) ? boot : undefined, os: isRecord(os) ? os : undefined, partitions, warnings };
}

describe('os inspect', () => {
  it('shows layout, device type, OS and configuration', async (t) => {
    const image = await makeImage(t, { table: 'mbr', fat: 32 });
    const { boot, os, partitions, warnings } = await inspect(image.path);
    assert.deepEqual(
      partitions.map((one: unknown) => isRecord(one) && [one.number, one.fileSystem, one.label, one.start]),
      image.partitions.map(({ number, label, start }, index) => [number, index === 0 ? 'fat32' : 'ext4', label, start]),
    );
    assert.deepEqual(os?.deviceType, { slug: 'raspberrypi4-64', name: 'Test board raspberrypi4-64', arch: 'aarch64' });
    assert.equal(os.osVersion, '6.8.1');
    assert.equal(os.kind, 'direct');
    assert.deepEqual(boot?.config, { deviceType: 'raspberrypi4-64', persistentLogging: false });
    assert.equal(boot.partition, 1);
    assert.deepEqual(warnings, []);
    const { stdout } = await davit(['os', 'inspect', image.path]);
    for (const text of ['raspberrypi4-64', 'balenaOS 6.8.1', 'MBR', 'resin-data', 'persistentLogging']) {
      assert.ok(stdout.includes(text), `${text} in\n${stdout}`);
    }
  });

  it('lets nothing in an image take over the terminal', async (t) => {
    const deviceType = JSON.stringify({ slug: 'x', name: 'Board\u001b[2J\u009b2J\r', arch: 'amd64' });
    const image = await makeImage(t, { bootFiles: { 'device-type.json': deviceType } });
    const { stdout } = await davit(['os', 'inspect', image.path]);
    assert.match(stdout, /Board/);
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  it('hides every secret, in text and in JSON', async (t) => {
    const image = await makeImage(t, {
      config: JSON.stringify({
        apiKey: 's3cret-1',
        deviceApiKeys: { host: 's3cret-2' },
        wifiKey: 's3cret-3',
        hostname: 'seen',
      }),
      bootFiles: { 'system-connections/home': secretWifi, 'system-connections/notes.txt': 's3cret-4, not a key file' },
    });
    for (const extra of [[], ['--json']]) {
      const { exitCode, stdout, stderr } = await davit(['os', 'inspect', image.path, ...extra]);
      assert.equal(exitCode, 0);
      assert.doesNotMatch(stdout + stderr, /s3cret/);
      assert.match(stdout, /seen/);
      assert.match(stdout, /My Home/);
    }
  });

  it('tells which connections NetworkManager ignores', async (t) => {
    const image = await makeImage(t, { bootFiles: { 'system-connections/home': secretWifi } });
    const { boot } = await inspect(image.path);
    assert.ok(Array.isArray(boot?.connections));
    assert.deepEqual(
      boot.connections.map((one: unknown) => isRecord(one) && [one.file, one.isIgnored, one.ssid]),
      [
        ['README.ignore', true, null],
        ['balena-sample.ignore', true, 'My_Wifi_Ssid'],
        ['home', false, 'My Home'],
      ],
    );
  });

  for (const table of ['gpt', 'mbr'] as const) {
    it(`reads the OS version of a flasher from its root file system, with ${table}`, async (t) => {
      const { os } = await inspect((await makeImage(t, { table, flasher: true, osVersion: '2.115.4+rev3' })).path);
      assert.equal(os?.kind, 'flasher');
      assert.equal(os.osVersion, '2.115.4+rev3');
    });
  }

  it('leaves the image as it is', async (t) => {
    const image = await makeImage(t);
    const sha256 = async () =>
      createHash('sha256')
        .update(await readFile(image.path))
        .digest('hex');
    const before = await sha256();
    await inspect(image.path);
    assert.equal(await sha256(), before);
  });

  it('looks into a drive', { skip: process.getuid?.() === 0 ? false : 'a loop device needs root' }, async (t) => {
    const image = await makeImage(t);
    const loop = (await runChecked('attaching', 'losetup', ['--find', '--show', '--read-only', image.path])).trim();
    try {
      const { document, os } = await inspect(loop);
      assert.equal(document.isDrive, true);
      assert.equal(document.size, image.size);
      assert.equal(os?.osVersion, '6.8.1');
    } finally {
      await runChecked('detaching', 'losetup', ['--detach', loop]);
    }
  });

  it('shows what it can of a damaged image and warns about the rest', async (t) => {
    const image = await makeImage(t, { config: '{"hostname": "a.b",}', bootFiles: { 'device-type.json': '{' } });
    const file = await openBlockFile(image.path, { writable: true });
    await file.write(512, Buffer.alloc(512));
    await file.close();
    const { boot, os, partitions, warnings } = await inspect(image.path);
    assert.equal(boot?.config, null);
    assert.equal(os?.osVersion, '6.8.1');
    assert.equal(partitions.length, 5);
    const text = warnings.join('\n');
    for (const pattern of [/backup/, /config\.json is not valid JSON/, /device-type\.json/])
      assert.match(text, pattern);
  });

  it('says that an image is truncated', async (t) => {
    const image = await makeImage(t);
    await truncate(image.path, image.size - 20_000_000);
    const { boot, warnings } = await inspect(image.path);
    assert.ok(boot);
    assert.match(warnings.join('\n'), /truncated/);
  });

  it('shows the layout of a disk that has no boot partition', async (t) => {
    const image = await makeImage(t, {
      bootName: 'X',
      bootLabel: 'X',
      config: null,
      bootFiles: { 'device-type.json': null },
    });
    const { boot, os, partitions, warnings } = await inspect(image.path);
    assert.equal(boot, undefined);
    assert.equal(os, undefined);
    assert.equal(partitions.length, 5);
    assert.match(warnings.join('\n'), /no boot partition/);
  });

  const unusable: readonly (readonly [string, Buffer, number, string])[] = [
    ['text', Buffer.from('no image '.repeat(200)), 4, 'not-an-image'],
    ['an empty file', Buffer.alloc(0), 5, 'image-empty'],
    ['a broken xz archive', Buffer.from('fd377a585a000004', 'hex'), 5, 'archive-corrupt'],
  ];
  for (const [what, content, expected, code] of unusable) {
    it(`refuses ${what}`, async (t) => {
      const file = path.join(await temporaryFolder(t), 'thing');
      await writeFile(file, content);
      const { exitCode, document } = await davitJson(['os', 'inspect', file]);
      assert.equal(exitCode, expected);
      assert.ok(isRecord(document) && isRecord(document.error));
      assert.equal(document.error.code, code);
      assert.ok(document.error.hint);
    });
  }

  it('fails with exit code 3 on a path that is not there', async () => {
    const { exitCode, stderr } = await davit(['os', 'inspect', '/nowhere/device.img']);
    assert.equal(exitCode, 3);
    assert.match(stderr, /Check the path/);
  });
});
