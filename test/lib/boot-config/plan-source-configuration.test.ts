import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { planSourceConfiguration } from '../../../src/lib/boot-config/plan-source-configuration.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { type ImageSource, openImageSource } from '../../../src/lib/image/source.js';
import { davitProgram, runProgram } from '../../support/davit.js';
import { checked } from '../../support/loop-device.js';
import { makeOsImage, type OsImageOptions } from '../../support/os-image.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const request = { config: { hostname: 'kiosk', ntpServers: 'a.example b.example' } };

async function open(t: TestContext, location: string, standardInput = Readable.from([])): Promise<ImageSource> {
  const source = await openImageSource(location, { standardInput, signal: new AbortController().signal });
  t.after(() => source.close());
  return source;
}

async function sha256(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

/** A file too large to be held with the settings. */
const large = seededRandom(7).bytes(3_000_000);

const layouts: Readonly<Record<string, OsImageOptions>> = {
  'an MBR and FAT16': { table: 'mbr', bootFiles: { 'a/large.bin': large } },
  'a GPT and FAT32': { fat: 32, bootFiles: { 'a/large.bin': large } },
  'a GPT without names': { bootName: 'nameless', partitionsBeforeBoot: 5 },
  'another label': { table: 'mbr', bootLabel: 'OTHER' },
};

for (const [layout, options] of Object.entries(layouts)) {
  test(`plans the same for a packed image as for the unpacked one: ${layout}`, async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'), options);
    await checked(['gzip', '--keep', '-1', image.path]);
    const expected = await planSourceConfiguration(await open(t, image.path), request);
    assert.ok(expected.changes.length > 0);
    const packed = await open(t, `${image.path}.gz`);
    const piped = await open(t, '-', createReadStream(`${image.path}.gz`));
    for (const source of [packed, piped]) {
      assert.deepEqual((await planSourceConfiguration(source, request)).changes, expected.changes);
      assert.equal(await sha256(source.stream), await sha256(createReadStream(image.path)), 'it flows on whole');
    }
  });
}

test('finds what lies behind the settings by reading the image again', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), { config: `{"pad": "${'x'.repeat(2_000_000)}"}` });
  await checked(['gzip', '--keep', '-1', image.path]);
  const expected = await planSourceConfiguration(await open(t, image.path), request);
  const { changes } = await planSourceConfiguration(await open(t, `${image.path}.gz`), request);
  assert.deepEqual(changes, expected.changes);
});

test('says that a packed image ends within its boot partition', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), { table: 'mbr' });
  await truncate(image.path, image.boot.start + 20_000);
  await checked(['gzip', '-1', image.path]);
  const source = await open(t, `${image.path}.gz`);
  await assert.rejects(
    planSourceConfiguration(source, request),
    (error) => error instanceof Failure && error.kind === 'failed' && error.code === 'unexpected-end',
  );
});

test('leaves no file behind where it keeps the beginning of standard input, and says where it cannot', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), { table: 'mbr' });
  const card = path.join(folder, 'card');
  await writeFile(card, '');
  await truncate(card, image.size);
  const run = async (cache: string) =>
    runProgram([...davitProgram, 'flash', '-', '--drive', card, '--dry-run', '--hostname', 'kiosk'], {
      environment: { DAVIT_CACHE_DIR: cache },
      input: await readFile(image.path),
    });
  const cache = path.join(folder, 'cache');
  const kept = await run(cache);
  assert.equal(kept.exitCode, 0, kept.stderr);
  assert.deepEqual(await readdir(cache), []);
  const refused = await run(path.join(card, 'cache'));
  assert.equal(refused.exitCode, 3, refused.stderr);
  assert.match(refused.stderr, /DAVIT_CACHE_DIR/);
});

/** Debian's GNU time, which tells the peak of a process's memory. */
const timeMissing = await access('/usr/bin/time').then(
  () => false as const,
  () => 'needs GNU time',
);

test(
  'needs no more memory for a boot partition of 256 MB than without configuring',
  { skip: timeMissing },
  async (t) => {
    const folder = await temporaryFolder(t);
    const kernels = Array.from({ length: 6 }, (_, index) => seededRandom(index).bytes(30_000_000));
    for (const [what, bootFiles] of [
      ['little', {}],
      ['much', Object.fromEntries(kernels.map((bytes, index) => [`kernel-${index}`, bytes] as const))],
    ] as const) {
      const image = await makeOsImage(path.join(folder, `${what}.img`), { table: 'mbr', bootSize: 256, bootFiles });
      await checked(['gzip', '-1', '--keep', image.path]);
      const card = path.join(folder, 'card');
      await writeFile(card, '');
      await truncate(card, image.size);
      const peak = async (location: string, words: readonly string[]) => {
        const command = [...davitProgram, 'flash', location, '--drive', card, '--yes', ...words];
        const { exitCode, stderr } = await runProgram(['/usr/bin/time', '--format', 'peak %M', ...command], {
          input: location === '-' ? await readFile(`${image.path}.gz`) : '',
        });
        assert.equal(exitCode, 0, stderr);
        return Number(/peak (\d+)/.exec(stderr)?.[1]) / 1024;
      };
      for (const location of [`${image.path}.gz`, '-']) {
        const plain = await peak(location, []);
        const configured = await peak(location, ['--hostname', 'kiosk']);
        assert.ok(configured < plain + 48, `${location}, ${what}: ${configured} MiB instead of ${plain}`);
      }
    }
  },
);
