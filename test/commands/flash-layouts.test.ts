import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openBlockFile } from '../../src/lib/image/block-file.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { checked, fillFile } from '../support/loop-device.js';
import { makeOsImage, type OsImage, type OsImageOptions } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<OsImage & { readonly card: string }> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), options);
  const card = path.join(folder, 'card');
  // Larger than the image, and full of something else.
  await fillFile(card, image.size + 20 * 1024 * 1024, 0xaa);
  return { ...image, card };
}

async function damage(file: string, offset: number): Promise<void> {
  const opened = await openBlockFile(file, { writable: true });
  await opened.write(offset, Buffer.alloc(64, 0xaa));
  await opened.close();
}

/** The partitions of a disk as util-linux sees them. */
async function partitionsOf(file: string): Promise<string> {
  return checked(['partx', '--show', '--noheadings', '--output', 'NR,START,SECTORS,NAME', file]);
}

/** Asserts that a card holds the boot partition of an image. */
async function assertBootEqual(image: OsImage, card: string): Promise<void> {
  const { start } = image.boot;
  const read = (file: string) => checked(['mtype', '-i', `${file}@@${start}`, '::/device-type.json']);
  assert.equal(await read(card), await read(image.path));
}

describe('flash of any layout', () => {
  for (const [what, offset] of [
    ['header', 512],
    ['entries', 1024],
  ] as const) {
    it(`gives a card a good primary GPT where the image has a damaged ${what} and a good backup`, async (t) => {
      const image = await makeImage(t);
      const expected = await partitionsOf(image.path);
      await damage(image.path, offset);
      const { exitCode, stderr } = await davit([
        'flash',
        image.path,
        '--drive',
        image.card,
        '--yes',
        '--hostname',
        'k',
      ]);
      assert.equal(exitCode, 0, stderr);
      assert.match(stderr, /primary GPT of the image is damaged/);
      assert.equal(await partitionsOf(image.card), expected);
      // Its backup lies at the end of the image, and not of the card, as always.
      assert.doesNotMatch(await checked(['sgdisk', '--print', image.card]), /corrupt|invalid main/i);
      await assertBootEqual(image, image.card);
      const config = await checked(['mtype', '-i', `${image.card}@@${image.boot.start}`, '::/config.json']);
      assert.match(config, /"hostname": ?"k"/);
    });
  }

  it('refuses a packed image with a damaged primary GPT, of which the backup cannot be read in time', async (t) => {
    const image = await makeImage(t);
    await damage(image.path, 512);
    await checked(['gzip', '-1', image.path]);
    for (const extra of [[], ['--hostname', 'k']]) {
      const words = ['flash', `${image.path}.gz`, '--drive', image.card, '--yes', ...extra];
      const { exitCode, document } = await davitJson(words);
      assert.equal(exitCode, 5);
      assert.ok(isRecord(document) && isRecord(document.error));
      assert.equal(document.error.code, 'partition-table-damaged');
      assert.match(String(document.error.hint), /Unpack/);
    }
  });

  it('writes an image with a damaged backup GPT', async (t) => {
    const image = await makeImage(t);
    const expected = await partitionsOf(image.path);
    await damage(image.path, (await stat(image.path)).size - 512);
    assert.equal((await davit(['flash', image.path, '--drive', image.card, '--yes'])).exitCode, 0);
    assert.equal(await partitionsOf(image.card), expected);
    await assertBootEqual(image, image.card);
  });

  for (const table of ['gpt', 'mbr'] as const) {
    it(`says that a flasher overwrites a disk, also of a packed one that is not configured, with ${table}`, async (t) => {
      const image = await makeImage(t, { table, flasher: true, deviceType: 'intel-nuc' });
      const raw = await davit(['flash', image.path, '--drive', image.card, '--yes']);
      assert.equal(raw.exitCode, 0, raw.stderr);
      assert.match(raw.stderr, /overwrites the internal disk.*nvme0n1/);
      await checked(['gzip', '-1', image.path]);
      const packed = await davit(['flash', `${image.path}.gz`, '--drive', image.card, '--yes']);
      assert.equal(packed.exitCode, 0, packed.stderr);
      assert.match(packed.stderr, /overwrites the internal disk/);
      const configured = await davit([
        ...['flash', `${image.path}.gz`, '--drive', image.card, '--yes', '--config'],
        await configFile(image, '{"installer": {"target_devices": "sdx nvme7n1"}}'),
      ]);
      assert.equal(configured.exitCode, 0, configured.stderr);
      assert.match(configured.stderr, /first it finds of sdx, nvme7n1/);
    });
  }

  it('says nothing of the kind about a direct image', async (t) => {
    const image = await makeImage(t);
    const { stderr } = await davit(['flash', image.path, '--drive', image.card, '--yes']);
    assert.doesNotMatch(stderr, /overwrites/);
  });
});

async function configFile(image: OsImage, text: string): Promise<string> {
  const file = `${image.path}.json`;
  await writeFile(file, text);
  return file;
}
