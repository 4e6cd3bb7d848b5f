import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import {
  type BootConfigurationPlan,
  planBootConfiguration,
} from '../../../src/lib/boot-config/boot-configuration-plan.js';
import {
  type BootConfigurationRequest,
  connectionsOf,
  layersOf,
  withStandIns,
} from '../../../src/lib/boot-config/boot-configuration-request.js';
import { networkFiles } from '../../../src/lib/boot-config/network-files.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { type BlockReader, openBlockFile } from '../../../src/lib/image/block-file.js';
import { applyChanges } from '../../../src/lib/image/overlay.js';
import { readPartitionTable } from '../../../src/lib/image/partition-table.js';
import { run, runChecked } from '../../../src/lib/platform/child-process.js';
import { isRecord } from '../../../src/lib/platform/json.js';
import { makeOsImage, type OsImage, type OsImageOptions, readBootFile } from '../../support/os-image.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me';
const everything: BootConfigurationRequest = {
  config: { custom: { kept: true } },
  developmentMode: true,
  hostname: 'kiosk',
  sshKeys: [sshKey],
  persistentLogging: true,
  connections: [
    ...(await networkFiles('resin-wifi', { type: 'wifi', ssid: 'Office', key: 'correct horse' })),
    { name: 'lan.nmconnection', content: Buffer.from('[connection]\ntype=ethernet\n') },
  ],
};

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<OsImage> {
  return makeOsImage(path.join(await temporaryFolder(t), 'test.img'), options);
}

async function planFor(image: OsImage, request: BootConfigurationRequest): Promise<BootConfigurationPlan> {
  const file = await openBlockFile(image.path);
  try {
    return await planBootConfiguration(file, request);
  } finally {
    await file.close();
  }
}

async function configure(image: OsImage, request: BootConfigurationRequest): Promise<BootConfigurationPlan> {
  const plan = await planFor(image, request);
  const file = await openBlockFile(image.path, { writable: true });
  await applyChanges(file, plan.changes);
  await file.close();
  return plan;
}

async function bootJson(image: OsImage): Promise<unknown> {
  return JSON.parse(String(await readBootFile(image, 'config.json', `${image.path}.config`)));
}

/** The boot partition as a file of its own, checked by fsck. */
async function assertClean(image: OsImage): Promise<void> {
  const whole = await readFile(image.path);
  const part = `${image.path}.boot`;
  await writeFile(part, whole.subarray(image.boot.start, image.boot.start + image.boot.size));
  const { exitCode, stdout } = await run('fsck.fat', ['-n', part]);
  assert.equal(exitCode, 0, stdout);
}

describe('planning a boot configuration', () => {
  test('replaces a network of a lower layer with all its parts', async () => {
    const bridge = { type: 'bridge', interface: 'lan0', ports: ['eth0'] } as const;
    const lower = { connections: [...(await networkFiles('LAN', bridge)), ...(await networkFiles('other', bridge))] };
    const upper = { connections: await networkFiles('lan', { type: 'ethernet' }) };
    assert.deepEqual(
      connectionsOf([lower, upper]).map(({ name }) => name),
      ['other', 'other-port-eth0', 'lan'],
    );
  });

  test('removes what null stands for before the rest of the same request is added', async (t) => {
    const image = await makeImage(t);
    await configure(image, { sshKeys: [sshKey], udevRules: { old: 'a' } });
    await configure(image, { udevRules: { new: 'b' } });
    const { os } = (await bootJson(image)) as { os: unknown };
    assert.deepEqual(os, { sshKeys: [sshKey], udevRules: { old: 'a', new: 'b' } });
    const plan = await configure(image, { config: { os: null }, developmentMode: true, udevRules: { new: 'b' } });
    assert.deepEqual(((await bootJson(image)) as { os: unknown }).os, { udevRules: { new: 'b' } });
    assert.deepEqual(
      plan.summary.config.map(({ key }) => key),
      ['os.udevRules.old', 'os.sshKeys', 'developmentMode'],
    );
  });

  const layouts: readonly OsImageOptions[] = [
    { table: 'gpt', fat: 16 },
    { table: 'gpt', fat: 32 },
    { table: 'mbr', fat: 16 },
    { table: 'mbr', fat: 32 },
    { table: 'mbr', fat: 12 },
    { table: 'gpt', flasher: true },
    { table: 'mbr', flasher: true },
    { table: 'gpt', partitionsBeforeBoot: 11 },
  ];
  for (const layout of layouts) {
    test(`configures an image with ${JSON.stringify(layout)} and touches nothing but its boot partition`, async (t) => {
      const image = await makeImage(t, layout);
      const before = await readFile(image.path);
      const { summary } = await configure(image, everything);
      const after = await readFile(image.path);
      const { start, size, number } = image.boot;
      assert.ok(before.subarray(0, start).equals(after.subarray(0, start)));
      assert.ok(before.subarray(start + size).equals(after.subarray(start + size)));
      await assertClean(image);
      assert.deepEqual(await bootJson(image), {
        deviceType: 'raspberrypi4-64',
        persistentLogging: true,
        custom: { kept: true },
        developmentMode: true,
        hostname: 'kiosk',
        os: { sshKeys: [sshKey] },
      });
      const wifi = String(await readBootFile(image, 'system-connections/resin-wifi', `${image.path}.wifi`));
      assert.match(wifi, /^ssid=Office$/m);
      assert.match(wifi, /^psk=correct horse$/m);
      assert.equal(summary.partition.number, number);
      assert.equal(summary.partition.foundBy, layout.table === 'mbr' ? 'label' : 'name');
      assert.equal(summary.os.osVersion, '6.8.1');
      assert.equal(summary.os.kind, layout.flasher === true ? 'flasher' : 'direct');
      assert.equal(summary.os.deviceType?.slug, 'raspberrypi4-64');
      assert.doesNotMatch(JSON.stringify(summary), /correct horse/);
    });
  }

  test('finds nothing to change the second time', async (t) => {
    const image = await makeImage(t);
    await configure(image, everything);
    const again = await planFor(image, everything);
    assert.deepEqual(again.changes, []);
    assert.deepEqual(again.summary.config, []);
    assert.deepEqual(new Set(again.summary.files.map((file) => file.action)), new Set(['keep']));
  });

  test('gives the same bytes for the same image and request, also on another day', async (t) => {
    const image = await makeImage(t);
    const first = await planFor(image, everything);
    t.mock.timers.enable({ apis: ['Date'], now: new Date('2031-05-05T05:05:05Z') });
    assert.deepEqual((await planFor(image, everything)).changes, first.changes);
  });

  test('changes nothing for an empty request', async (t) => {
    const image = await makeImage(t, { config: '{ "strange" :   "layout" }' });
    assert.deepEqual((await planFor(image, {})).changes, []);
  });

  test('needs no more of the image than its beginning up to the end of the boot partition', async (t) => {
    for (const layout of [{}, { table: 'mbr' }, { flasher: true }] as const) {
      const image = await makeImage(t, layout);
      const file = await openBlockFile(image.path);
      t.after(() => file.close());
      const end = image.boot.start + image.boot.size;
      const head: BlockReader = {
        size: image.size,
        read: (offset, length) =>
          offset + length <= end
            ? file.read(offset, length)
            : Promise.reject(new Failure('failed', 'unexpected-end', 'not there yet')),
      };
      const table = await readPartitionTable(head, { frontOnly: true });
      assert.deepEqual(
        (await planBootConfiguration(head, everything, { table, bootOnly: true })).changes,
        (await planFor(image, everything)).changes,
      );
    }
  });

  test('adds SSH keys to those that are there, once', async (t) => {
    const other = sshKey.replace('yq2S', 'yq2Q');
    const image = await makeImage(t, { config: JSON.stringify({ os: { sshKeys: [other], other: 1 } }) });
    await configure(image, { sshKeys: [sshKey, `${sshKey} again`] });
    assert.deepEqual(await bootJson(image), { os: { sshKeys: [other, sshKey], other: 1 } });
  });

  test('finds the boot partition by device-type.json when nothing is named like one', async (t) => {
    const image = await makeImage(t, { bootName: 'BOOT', bootLabel: 'BOOT', partitionsBeforeBoot: 2 });
    const { summary } = await configure(image, { hostname: 'kiosk' });
    assert.equal(summary.partition.number, 3);
    assert.equal(summary.partition.foundBy, 'device-type.json');
    assert.ok(summary.warnings.some((warning) => warning.includes('partition 3')));
  });

  test('takes a bare FAT file system with a config.json', async (t) => {
    const file = path.join(await temporaryFolder(t), 'edison.hddimg');
    await runChecked('making a file', 'truncate', ['-s', '4M', file]);
    await runChecked('making FAT', 'mkfs.vfat', [file]);
    await writeFile(`${file}.json`, '{"deviceType":"intel-edison"}');
    await runChecked('copying', 'mcopy', ['-i', file, `${file}.json`, '::/config.json']);
    const reader = await openBlockFile(file);
    t.after(() => reader.close());
    const { summary, changes } = await planBootConfiguration(reader, { hostname: 'kiosk' });
    assert.deepEqual(summary.partition, { number: 0, start: 0, size: 4 * 1024 * 1024, foundBy: 'bare-file-system' });
    assert.ok(changes.length > 0);
  });

  test('makes a config.json where there is none, and says so', async (t) => {
    const image = await makeImage(t, { config: null });
    const { summary } = await configure(image, { developmentMode: true });
    assert.deepEqual(await bootJson(image), { deviceType: 'raspberrypi4-64', developmentMode: true });
    assert.ok(summary.warnings.some((warning) => warning.includes('no config.json')));
  });

  test('refuses a full boot partition with the bytes that are missing', async (t) => {
    const image = await makeImage(t, { fat: 12, bootSize: 1, bootFiles: { 'big.bin': Buffer.alloc(980_000) } });
    await assert.rejects(
      planFor(image, { config: { filler: 'x'.repeat(60_000) } }),
      (error: unknown) =>
        error instanceof Failure &&
        error.code === 'boot-partition-full' &&
        /: \d+ bytes are missing/.test(error.message),
    );
  });

  const refused: readonly (readonly [string, OsImageOptions, BootConfigurationRequest, string])[] = [
    ['invalid JSON in the image', { config: '{"apiKey": "s3cret",}' }, {}, 'invalid-json'],
    [
      'no boot partition',
      { bootName: 'X', bootLabel: 'X', bootFiles: { 'device-type.json': null }, config: null },
      {},
      'boot-partition-not-found',
    ],
    ['a bad host name', {}, { hostname: 'a.b' }, 'invalid-config'],
    ['a bad value in the configuration', {}, { config: { os: { sshKeys: 'x' } } }, 'invalid-config'],
    [
      'an empty list of keys in development mode',
      {},
      { developmentMode: true, config: { os: { sshKeys: [] } } },
      'invalid-config',
    ],
    [
      'development mode where the image has an empty list of keys',
      { config: '{"os":{"sshKeys":[]}}' },
      { developmentMode: true },
      'invalid-config',
    ],
    ['a key that is none', {}, { sshKeys: ['ssh-ed25519 x'] }, 'invalid-config'],
    [
      'two connections of one name',
      {},
      {
        connections: [
          { name: 'A', content: Buffer.alloc(0) },
          { name: 'a', content: Buffer.alloc(0) },
        ],
      },
      'same-connection-twice',
    ],
    [
      'a name that FAT cannot hold',
      {},
      { connections: [{ name: 'a:b', content: Buffer.alloc(0) }] },
      'invalid-file-name',
    ],
  ];
  for (const [what, options, request, code] of refused) {
    test(`refuses ${what}`, async (t) => {
      const image = await makeImage(t, options);
      await assert.rejects(planFor(image, request), (error: unknown) => {
        assert.ok(error instanceof Failure);
        assert.equal(error.code, code);
        assert.ok(error.hint);
        return !error.message.includes('s3cret');
      });
    });
  }

  const warned: readonly (readonly [string, OsImageOptions, BootConfigurationRequest, RegExp])[] = [
    ['development mode on an OS too old for it', { osVersion: '2.83.1+rev2' }, { developmentMode: true }, /2\.85/],
    ['a configuration that lets nobody in', {}, { hostname: 'kiosk' }, /nobody will be able to log in/],
    [
      'what was doubtful in a file',
      {},
      { developmentMode: true, warnings: ['fleet.json:1:1: /x'] },
      /^fleet.json:1:1: .x$/,
    ],
    ['a key of flashers in another image', {}, { config: { installer: { secureboot: true } } }, /installer.secureboot/],
    ['Wi-Fi keys that have no effect', {}, { config: { wifiSsid: 'x', wifiKey: 'y' } }, /--wifi-ssid/],
    [
      'another device type',
      { config: '{"deviceType":"raspberrypi3"}' },
      { developmentMode: true },
      /raspberrypi3.*raspberrypi4-64/,
    ],
    ['a cloud without a key for it', {}, { config: { apiEndpoint: 'https://x.example' } }, /not be able to register/],
    ['a key without the cloud', {}, { developmentMode: true, config: { apiKey: 'x' } }, /no use without apiEndpoint/],
    ['a flasher', { flasher: true }, { developmentMode: true }, /internal disk/],
    [
      'bad values that the image had before',
      { config: '{\n"hostname":"a.b"}' },
      { developmentMode: true },
      /^config.json in the image:2:1: .hostname must be/,
    ],
    [
      'an empty list of keys that the image had before',
      { config: '{"developmentMode":true,"os":{"sshKeys":[]}}' },
      { hostname: 'kiosk' },
      /nobody can log in/,
    ],
  ];
  for (const [what, options, request, pattern] of warned) {
    test(`warns about ${what}`, async (t) => {
      const { summary } = await planFor(await makeImage(t, options), request);
      assert.ok(
        summary.warnings.some((warning) => pattern.test(warning)),
        summary.warnings.join('\n'),
      );
    });
  }

  test('warns about nothing when there is nothing to warn about', async (t) => {
    for (const request of [{ developmentMode: true }, { sshKeys: [sshKey] }]) {
      assert.deepEqual((await planFor(await makeImage(t), request)).summary.warnings, []);
    }
  });
});

describe('planning what has to be asked for', () => {
  const asked = (hostname: string, more: BootConfigurationRequest = {}): BootConfigurationRequest => ({
    ...more,
    hostname: 'stand-in',
    later: () => Promise.resolve({ ...more, hostname }),
  });

  const requests: readonly [string, BootConfigurationRequest][] = [
    ['at the top', asked('answer')],
    ['in a layer under it', { developmentMode: true, under: asked('answer') }],
    ['in a layer under what is asked too', { country: 'DE', under: asked('answer', { under: asked('below') }) }],
    ['in what an answer comes to', { ...asked('x'), later: () => Promise.resolve({ under: asked('answer') }) }],
  ];
  for (const [where, request] of requests) {
    test(`puts the answer in ${where}, and never what stands in for it`, async (t) => {
      const image = await makeImage(t);
      const { request: known } = await configure(image, request);
      const config = await bootJson(image);
      assert.ok(isRecord(config) && config.hostname === 'answer');
      assert.ok(!JSON.stringify(known).includes('stand-in'));
    });

    test(`changes nothing where it is only looked at, with a question ${where}`, async (t) => {
      const { changes, staged, contents } = await planFor(await makeImage(t), withStandIns(request));
      assert.deepEqual([changes, staged], [[], { before: [], stages: [] }]);
      assert.ok(contents.length > 0);
    });

    test(`uses no request with a question ${where}`, () => {
      assert.throws(() => layersOf(request), /answered/);
    });
  }
});
