import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { HostKeyStore } from '../../src/lib/ssh/host-key-store.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { bytesAt } from '../support/disk-content.js';
import { attachUsedCard, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImageOptions } from '../support/os-image.js';
import { hostKeyFrom } from '../support/host-key.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const skip = loopDevicesMissing;
const wishes = ['--dev', '--hostname', 'kiosk', '--wifi-ssid', 'Office', '--wifi-key-file', '-'];
const key = 'correct horse battery';

async function setUp(t: TestContext, options: OsImageOptions) {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), options);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size + 8 * 1024 * 1024);
  return { folder, image, card };
}

const packers: Readonly<Record<string, readonly string[]>> = {
  raw: ['cp'],
  xz: ['sh', '-c', 'xz -0 <"$0" >"$1"'],
  gz: ['sh', '-c', 'gzip -1 <"$0" >"$1"'],
};

describe('flash with configuration flags', () => {
  for (const [format, table, flasher] of [
    ['raw', 'mbr', false],
    ['gz', 'mbr', false],
    ['xz', 'gpt', true],
  ] as const) {
    it(
      `writes the boot partition that os configure makes, from a ${format} image with ${table}`,
      { skip },
      async (t) => {
        const { folder, image, card } = await setUp(t, { table, flasher, fat: 32 });
        const packed = path.join(folder, `packed.${format}`);
        const [program = '', ...words] = packers[format] ?? [];
        await runChecked('packing', program, [...words, image.path, packed]);
        const before = await readFile(packed);

        const flashed = await davitJson(['flash', packed, '--drive', card.path, '--yes', ...wishes], { input: key });
        assert.equal(flashed.exitCode, 0, flashed.stderr);
        const configured = path.join(folder, 'configured.img');
        const words2 = ['os', 'configure', image.path, '--output', configured, ...wishes];
        assert.equal((await davit(words2, { input: key })).exitCode, 0);

        // Free space is not written, so that only what both file systems hold can be compared.
        const { start, size } = image.boot;
        const [mine, theirs] = [path.join(folder, 'card.fat'), path.join(folder, 'configured.fat')];
        await writeFile(mine, await bytesAt(card.file, start, size));
        await writeFile(theirs, await bytesAt(configured, start, size));
        await runChecked('checking', 'fsck.fat', ['-n', mine]);
        for (const disk of [mine, theirs]) {
          await runChecked('making a folder', 'mkdir', [`${disk}.files`]);
          await runChecked('copying out', 'mcopy', ['-s', '-i', disk, '::/*', `${disk}.files`]);
        }
        await runChecked('comparing', 'diff', ['-r', `${mine}.files`, `${theirs}.files`]);
        const wifi = await readFile(path.join(`${mine}.files`, 'system-connections', 'resin-wifi'), 'utf8');
        assert.ok(wifi.includes(`psk=${key}\n`));

        assert.ok(before.equals(await readFile(packed)), 'the image is not changed');
        assert.ok(isRecord(flashed.document) && isRecord(flashed.document.configuration));
        assert.ok(!JSON.stringify(flashed.document).includes(key) && !flashed.stderr.includes(key));
      },
    );
  }

  it('configures an image from standard input', { skip }, async (t) => {
    const { image, card } = await setUp(t, { table: 'mbr' });
    const words = ['flash', '-', '--drive', card.path, '--yes', '--hostname', 'kiosk', '--dev'];
    const { exitCode, stderr } = await davit(words, { input: await readFile(image.path) });
    assert.equal(exitCode, 0, stderr);
    const address = `${card.file}@@${image.boot.start}`;
    const config: unknown = JSON.parse(await runChecked('reading', 'mtype', ['-i', address, '::/config.json']));
    assert.ok(isRecord(config));
    assert.equal(config.hostname, 'kiosk');
  });

  it('refuses before it touches the card what os configure refuses', { skip }, async (t) => {
    const { image, card } = await setUp(t, { config: '{"a": 1,}' });
    const before = await card.sectorsWritten();
    const base = ['flash', image.path, '--drive', card.path, '--yes'];
    for (const [words, exitCode, input] of [
      [[...base, '--dev'], 5, ''],
      [[...base, '--hostname', 'a.b'], 5, ''],
      [[...base, '--wifi-ssid', 'x', '--wifi-key-file', '-'], 2, ''],
      [['flash', '-', '--drive', card.path, '--yes', '--wifi-ssid', 'x', '--wifi-key-file', '-'], 2, 'longenough'],
    ] as const) {
      assert.equal((await davit(words, { input })).exitCode, exitCode, words.join(' '));
    }
    assert.equal(await card.sectorsWritten(), before);
  });

  it('forgets the host key pinned for the hostname that the device will have, and says so', { skip }, async (t) => {
    const { folder, image, card } = await setUp(t, { table: 'mbr', config: '{"hostname":"Lobby"}' });
    const environment = { DAVIT_DATA_DIR: path.join(folder, 'data') };
    const keys = new HostKeyStore(path.join(folder, 'data', 'known_hosts'));
    await runChecked('packing', 'gzip', ['-1', '--keep', image.path]);
    const names = ['lobby', 'kiosk', 'other'];
    const nameless = path.join(folder, 'nameless.json');
    await writeFile(nameless, '{"hostname":null}');
    for (const [source, words, forgotten] of [
      [image.path, [], 'lobby'],
      [image.path, ['--hostname', 'Kiosk', '--dev'], 'kiosk'],
      [image.path, ['--config', nameless], undefined],
      [`${image.path}.gz`, ['--dev'], 'lobby'],
      [`${image.path}.gz`, [], 'lobby'],
    ] as const) {
      for (const [seed, name] of names.entries()) await keys.replace(name, hostKeyFrom(seed));
      const base = ['flash', source, '--drive', card.path, ...words];
      assert.equal((await davit([...base, '--dry-run'], { environment })).exitCode, 0);
      for (const [seed, name] of names.entries()) assert.deepEqual(await keys.find(name), [hostKeyFrom(seed)]);
      const { exitCode, stderr } = await davit([...base, '--yes'], { environment });
      assert.equal(exitCode, 0, stderr);
      assert.equal(/host key pinned for \w+ was forgotten/.test(stderr), forgotten !== undefined, stderr);
      for (const [seed, name] of names.entries()) {
        assert.deepEqual(await keys.find(name), name === forgotten ? [] : [hostKeyFrom(seed)], name);
      }
    }
    const again = await davit(['flash', image.path, '--drive', card.path, '--yes', '--hostname', 'new'], {
      environment,
    });
    assert.doesNotMatch(again.stderr, /host key/);
    const { document } = await davitJson(['device', 'list'], { environment });
    const { devices } = document as {
      devices: { hostname: string; flashedAt: string | null; seenAt: string | null }[];
    };
    assert.deepEqual(devices.map((one) => one.hostname).sort(), ['kiosk', 'lobby', 'new']);
    assert.ok(devices.every(({ flashedAt, seenAt }) => flashedAt !== null && seenAt === null));
  });

  it('shows in a dry run what it would put in', { skip }, async (t) => {
    const { image, card } = await setUp(t, {});
    const words = ['flash', image.path, '--drive', card.path, '--dry-run', '--hostname', 'kiosk', '--dev'];
    const { exitCode, stdout } = await davit(words);
    assert.equal(exitCode, 0);
    assert.match(stdout, /hostname: not set -> "kiosk"/);
  });
});
