import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson, davitProgram, runProgram } from '../support/davit.js';
import { bytesAt, partitionContent } from '../support/disk-content.js';
import { attachLoopDevice, checked, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImageOptions, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

const skip = loopDevicesMissing;

/** A card that has been flashed. */
async function setUp(t: TestContext, options: OsImageOptions = {}, sectorSize = 512) {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'card'), options);
  const card = await attachLoopDevice(t, image.path, { sectorSize });
  const boot = { bootAddress: `${card.path}@@${image.boot.start}` };
  const config = async (): Promise<unknown> =>
    JSON.parse(String(await readBootFile(boot, 'config.json', path.join(folder, 'config.read'))));
  return { folder, image, card, config };
}

async function assertRefused(words: readonly string[], expected: { code: string; exitCode: number }): Promise<void> {
  const { exitCode, document, stderr } = await davitJson(words);
  assert.ok(isRecord(document) && isRecord(document.error), stderr);
  assert.deepEqual({ code: document.error.code, exitCode }, expected);
}

describe('os configure on a drive', { skip }, () => {
  it('shows what would change on a drive that may only be read, with --diff and --check', async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'card'));
    const card = await attachLoopDevice(t, image.path, { readOnly: true });
    const words = ['os', 'configure', card.path, '--dev'];
    const { exitCode, stdout, stderr } = await davit([...words, '--diff']);
    assert.deepEqual([exitCode, stdout], [0, 'config.json (changed)\n  +developmentMode: true\n'], stderr);
    assert.equal((await davit([...words, '--check'])).exitCode, 4);
    assert.equal((await davit(['os', 'configure', card.path, '--no-persistent-logging', '--check'])).exitCode, 0);
  });

  for (const [what, words, question, name] of [
    ['os configure', ['os', 'configure'], /Wi-Fi key of the network Office/, 'resin-wifi'],
    ['network add', ['network', 'add'], /Wi-Fi key of the network office/, 'office'],
  ] as const) {
    it(`asks for the key of a Wi-Fi network once: ${what}`, async (t) => {
      const { card, image, folder } = await setUp(t);
      const named = what === 'network add' ? [name] : [];
      const command = [...davitProgram, ...words, card.path, ...named, '--wifi-ssid', 'Office', '--yes'].join(' ');
      const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
      t.after(() => terminal.close());
      await terminal.until(question);
      await terminal.type('a long enough key');
      await terminal.press('Enter');
      await terminal.until(/ended with 0/);
      const boot = { bootAddress: `${card.path}@@${image.boot.start}` };
      const written = await readBootFile(boot, `system-connections/${name}`, path.join(folder, 'wifi.read'));
      assert.match(String(written), /^psk=a long enough key$/m);
    });
  }

  for (const [options, sectorSize] of [
    [{ table: 'mbr', fat: 32 }, 512],
    [{ table: 'gpt', fat: 16 }, 512],
    [{ table: 'mbr', fat: 12, flasher: true }, 512],
    [{ table: 'mbr', fat: 16 }, 4096],
  ] as const) {
    const { table, fat } = options;
    it(`changes what is asked for and nothing else: ${table}, FAT${fat}, sectors of ${sectorSize} bytes`, async (t) => {
      const { image, card, config } = await setUp(t, options, sectorSize);
      const { start, size } = image.boot;
      const rest = async () => [
        await bytesAt(card.path, 0, start),
        await bytesAt(card.path, start + size, image.size - start - size),
      ];
      const before = await rest();
      const { files } = await partitionContent(card.path, image.boot);
      const sectors = await card.sectorsWritten();
      const words = ['os', 'configure', card.path, '--dev', '--hostname', 'kiosk', '--yes'];
      const { exitCode, document, stderr } = await davitJson(words);
      assert.equal(exitCode, 0, stderr);
      assert.ok(isRecord(document));
      assert.deepEqual([document.isWritten, document.output], [true, card.path]);
      const configured = await config();
      assert.ok(isRecord(configured));
      assert.deepEqual([configured.hostname, configured.developmentMode], ['kiosk', true]);
      const { problems, files: after } = await partitionContent(card.path, image.boot);
      assert.equal(problems, 0);
      assert.deepEqual({ ...after, 'config.json': files['config.json'] }, files);
      assert.deepEqual(await rest(), before);
      const written = (await card.sectorsWritten()) - sectors;
      assert.ok(written < 200, `${written} sectors were written`);

      const inspected = await davitJson(['os', 'inspect', card.path]);
      assert.ok(isRecord(inspected.document) && isRecord(inspected.document.boot));
      assert.deepEqual(inspected.document.boot.config, configured);

      const again = await card.sectorsWritten();
      const second = await davitJson(words.slice(0, -1));
      assert.equal(second.exitCode, 0, 'nothing is asked when there is nothing to change');
      assert.ok(isRecord(second.document) && second.document.isWritten === false);
      assert.equal(await card.sectorsWritten(), again);
    });
  }

  it('writes nothing when it is only to show what would change, or nobody can be asked', async (t) => {
    const { folder, card } = await setUp(t);
    const before = await card.sectorsWritten();
    const base = ['os', 'configure', card.path, '--dev'];
    const shown = await davit([...base, '--dry-run']);
    assert.equal(shown.exitCode, 0, shown.stderr);
    assert.match(shown.stdout, /developmentMode: not set -> true/);
    assert.equal((await davit([...base, '--diff'])).exitCode, 0);
    await assertRefused([...base, '--check'], { code: 'would-change', exitCode: 4 });
    await assertRefused(base, { code: 'answer-needed', exitCode: 2 });
    const output = path.join(folder, 'out.img');
    await assertRefused([...base, '--yes', '--output', output], { code: 'drive-to-file', exitCode: 2 });
    assert.equal(await card.sectorsWritten(), before);
  });

  it('refuses one on which something is mounted, and unmounts it when told to', async (t) => {
    const { folder, image, card } = await setUp(t);
    const data = image.partitions.find(({ label }) => label === 'resin-data');
    assert.ok(data);
    await checked(['partx', '--add', '--nr', String(data.number), card.path]);
    const mountPoint = path.join(folder, 'mounted');
    await mkdir(mountPoint);
    // Read-only, because ext4 writes for itself after it was mounted.
    await checked(['mount', '-o', 'ro,noload', `${card.path}p${data.number}`, mountPoint]);
    try {
      const before = await card.sectorsWritten();
      const words = ['os', 'configure', card.path, '--dev', '--yes'];
      await assertRefused(words, { code: 'drive-mounted', exitCode: 4 });
      assert.equal(await card.sectorsWritten(), before);
      const { exitCode, stderr } = await davit([...words, '--unmount']);
      assert.equal(exitCode, 0, stderr);
      assert.notEqual((await runProgram(['findmnt', mountPoint])).exitCode, 0);
    } finally {
      await runProgram(['umount', mountPoint]);
      await runProgram(['partx', '--delete', card.path]);
    }
  });

  it('refuses a partition, naming its drive, and what is locked or read-only', async (t) => {
    const { image, card } = await setUp(t);
    const base = ['os', 'configure', '--dev', '--yes'];
    await checked(['partx', '--add', '--nr', String(image.boot.number), card.path]);
    await assertRefused([...base, `${card.path}p${image.boot.number}`], { code: 'is-partition', exitCode: 4 });
    await checked(['partx', '--delete', card.path]);
    const locked = await runProgram(['flock', '-x', card.path, ...davitProgram, ...base, card.path]);
    assert.equal(locked.exitCode, 4, locked.stderr);
    assert.match(locked.stderr, /is in use by/);
    await card.detach();
    const readOnly = await attachLoopDevice(t, image.path, { readOnly: true });
    await assertRefused([...base, readOnly.path], { code: 'drive-read-only', exitCode: 4 });
  });

  it('refuses where there is no room for both the old and the new, which an image file gets by without', async (t) => {
    const options = { fat: 12, bootSize: 1, bootFiles: { 'config.txt': Buffer.alloc(985_000, '#\n') } } as const;
    const { folder, image, card } = await setUp(t, options);
    const profile = path.join(folder, 'profile.yaml');
    await runProgram(['sh', '-c', 'printf "configTxt: [gpu_mem=16]\\n" >"$0"', profile]);
    const before = await card.sectorsWritten();
    const words = ['os', 'configure', card.path, '--profile', profile];
    await assertRefused([...words, '--yes'], { code: 'boot-partition-full', exitCode: 4 });
    assert.equal(await card.sectorsWritten(), before);
    await card.detach();
    const { exitCode, stderr } = await davit(['os', 'configure', image.path, '--in-place', '--profile', profile]);
    assert.equal(exitCode, 0, stderr);
    const { problems } = await partitionContent(image.path, image.boot);
    assert.equal(problems, 0);
    const content = await readBootFile(image, 'config.txt', path.join(folder, 'read'));
    assert.ok(String(content).includes('gpu_mem=16'));
  });

  it('asks on a terminal, and does nothing unless told yes', async (t) => {
    const { folder, card, config } = await setUp(t);
    const command = [...davitProgram, 'os', 'configure', card.path, '--dev'].join(' ');
    for (const [answer, ended] of [
      ['n', 130],
      ['y', 0],
    ] as const) {
      const before = await card.sectorsWritten();
      const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
      t.after(() => terminal.close());
      const shown = await terminal.until(/Change the configuration on \/dev\/loop\d+\?/);
      assert.match(shown, /developmentMode: not set -> true/);
      await terminal.type(answer);
      await terminal.press('Enter');
      await terminal.until(new RegExp(`ended with ${ended}`));
      if (answer === 'n') assert.equal(await card.sectorsWritten(), before);
    }
    const configured = await config();
    assert.ok(isRecord(configured) && configured.developmentMode === true);
  });
});

describe('the networks of a drive', { skip }, () => {
  it('are listed, added, removed and reset like those of an image', async (t) => {
    const { image, card } = await setUp(t, { table: 'mbr', fat: 32, fingerprint: true });
    const { files } = await partitionContent(card.path, image.boot);
    const run = async (...words: string[]) => {
      const { exitCode, document, stderr } = await davitJson(words);
      assert.equal(exitCode, 0, stderr);
      assert.ok(isRecord(document));
      return document;
    };
    const content = async () => {
      const { problems, files: now } = await partitionContent(card.path, image.boot);
      assert.equal(problems, 0);
      return now;
    };
    await assertRefused(['network', 'add', card.path, 'wired'], { code: 'answer-needed', exitCode: 2 });
    await run('network', 'add', card.path, 'wired', '--address', '10.0.0.5/24', '--yes');
    await run('network', 'add', card.path, 'modem', '--apn', 'internet', '--yes');
    const { networks } = await run('network', 'list', card.path);
    assert.ok(Array.isArray(networks));
    assert.deepEqual(
      networks.map((one) => isRecord(one) && one.name),
      ['balena-sample.ignore', 'modem', 'wired'],
    );
    await run('network', 'remove', card.path, 'wired', '--yes');
    assert.ok(!('system-connections/wired' in (await content())));
    await run('os', 'configure', card.path, '--reset', '--yes');
    assert.deepEqual(await content(), files);
  });
});
