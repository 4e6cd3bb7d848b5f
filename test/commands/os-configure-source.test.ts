import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson, watchDavit } from '../support/davit.js';
import { checked } from '../support/loop-device.js';
import { makeOsImage, type OsImage, type OsImageOptions } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { startWebServer } from '../support/web-server.js';

const settings = ['--dev', '--hostname', 'kiosk', '--wifi-ssid', 'Office', '--wifi-open'];

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<OsImage & { readonly folder: string }> {
  const folder = await temporaryFolder(t);
  return { ...(await makeOsImage(path.join(folder, 'x.img'), options)), folder };
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

/** What a raw image becomes, which is what every packing of it has to become. */
async function expectedOf(image: OsImage): Promise<string> {
  const output = `${image.path}.expected`;
  assert.equal((await davit(['os', 'configure', image.path, ...settings, '--output', output])).exitCode, 0);
  return sha256(output);
}

const packings: readonly (readonly [string, readonly string[]])[] = [
  ['x.img.gz', ['gzip', '--keep', '-1']],
  ['x.img.xz', ['xz', '--keep', '-0', '--block-size=4MiB']],
  ['x.img.zst', ['zstd', '--quiet', '-1']],
  ['x.img.bz2', ['bzip2', '--keep', '-1']],
  ['x.zip', ['zip', '-q', '-1', '-j', 'x.zip']],
];

describe('os configure of what is not an unpacked file', () => {
  it('never shows the login and the query of a URL', async (t) => {
    const image = await makeImage(t);
    const bytes = await readFile(image.path);
    const server = await startWebServer(t, () => ({ bytes, etag: '"1"' }));
    const url = new URL(`${server.origin}/x.img?token=hunter3`);
    [url.username, url.password] = ['bob', 'hunter2'];
    for (const words of [
      ['--in-place'],
      ['--check'],
      ['--check', '--json'],
      ['--dry-run', '--output', 'y.img', '--json'],
      ['--output', path.join(image.folder, 'y.img'), '--json'],
      ['--output', path.join(image.folder, 'y.img'), '--force'],
    ]) {
      const { exitCode, stdout, stderr } = await davit(['os', 'configure', url.href, '--dev', ...words]);
      assert.equal(exitCode, words.includes('--output') ? 0 : 4, stderr);
      assert.doesNotMatch(stdout + stderr, /bob|hunter/);
    }
  });

  for (const [name, pack] of packings) {
    it(`writes the same unpacked image from ${name} as from the image itself, with holes`, async (t) => {
      const image = await makeImage(t, { table: 'mbr', fat: 32, dataSize: 100 });
      const expected = await expectedOf(image);
      const packed = path.join(image.folder, name);
      await checked([...pack.map((word) => (word === 'x.zip' ? packed : word)), image.path]);
      const untouched = await sha256(packed);
      const { exitCode, document, stderr } = await davitJson(['os', 'configure', packed, ...settings]);
      assert.equal(exitCode, 0, stderr);
      const output = path.join(image.folder, 'x.configured.img');
      assert.ok(isRecord(document) && document.output === output && document.isWritten === true);
      assert.equal(await sha256(output), expected);
      assert.equal(await sha256(packed), untouched);
      const [made, original] = [await stat(output), await stat(image.path)];
      assert.ok(made.blocks < original.blocks * 1.2 + 1000, `${made.blocks} blocks against ${original.blocks}`);
      assert.ok(!(await readdir(image.folder)).some((file) => file.startsWith('.davit')));
    });
  }

  it('takes standard input and a URL, which need a name for the output', async (t) => {
    const image = await makeImage(t);
    const expected = await expectedOf(image);
    await checked(['gzip', '--keep', '-1', image.path]);
    const packed = await readFile(`${image.path}.gz`);
    const server = await startWebServer(t, () => ({ bytes: packed }));
    for (const [source, input] of [
      ['-', packed],
      [`${server.origin}/x.img.gz`, undefined],
    ] as const) {
      const words = ['os', 'configure', source, ...settings];
      const options = input === undefined ? {} : { input };
      const refused = await davitJson(words, options);
      assert.equal(refused.exitCode, 2);
      assert.match(JSON.stringify(refused.document), /output-needed/);
      const output = path.join(image.folder, `of-${source === '-' ? 'input' : 'url'}.img`);
      const { exitCode, stderr } = await davit([...words, '--output', output], options);
      assert.equal(exitCode, 0, stderr);
      assert.equal(await sha256(output), expected);
    }
  });

  it('leaves nothing behind when it is interrupted while a server has stopped to send', async (t) => {
    const image = await makeImage(t);
    const bytes = await readFile(image.path);
    const server = await startWebServer(t, ({ index }) => ({
      bytes,
      etag: '"1"',
      // First it is looked at, then read.
      ...(index === 0 ? { stallAfter: 60_000_000 } : {}),
    }));
    const before = await readdir(image.folder);
    const output = path.join(image.folder, 'of-url.img');
    const words = ['os', 'configure', `${server.origin}/x.img`, ...settings, '--output', output, '--progress', 'json'];
    const { child, output: printed, result } = watchDavit(words);
    while (!/"current":(?!0)\d+/.test(printed())) await wait(10);
    assert.ok((await readdir(image.folder)).length > before.length, 'it has begun to write');
    child.kill('SIGINT');
    assert.equal((await result).exitCode, 130);
    assert.deepEqual(await readdir(image.folder), before);
  });

  it('is looked into by os inspect as far as its boot partition, from standard input and from a URL', async (t) => {
    const image = await makeImage(t, { table: 'mbr' });
    await checked(['gzip', '--keep', '-1', image.path]);
    const packed = await readFile(`${image.path}.gz`);
    const server = await startWebServer(t, () => ({ bytes: packed }));
    const whole = await davitJson(['os', 'inspect', image.path]);
    assert.ok(isRecord(whole.document));
    for (const [source, input] of [
      ['-', packed],
      [`${server.origin}/x.img.gz`, undefined],
    ] as const) {
      const { exitCode, document, stderr } = await davitJson(['os', 'inspect', source], input && { input });
      assert.equal(exitCode, 0, stderr);
      assert.ok(isRecord(document) && document.isPartial === true && document.format === 'gzip');
      assert.deepEqual([document.boot, document.os], [whole.document.boot, whole.document.os]);
    }
  });

  it('plans with --dry-run, --diff and --check without writing', async (t) => {
    const image = await makeImage(t);
    await checked(['gzip', '-1', image.path]);
    for (const [flag, expected] of [
      ['--dry-run', 0],
      ['--diff', 0],
      ['--check', 4],
    ] as const) {
      const { exitCode, stderr } = await davit(['os', 'configure', `${image.path}.gz`, ...settings, flag]);
      assert.equal(exitCode, expected, stderr);
      assert.deepEqual(await readdir(image.folder), ['x.img.gz']);
    }
  });

  it('writes nothing when the image is not the one that a checksum tells of', async (t) => {
    const image = await makeImage(t);
    await checked(['gzip', '--keep', '-1', image.path]);
    const packed = `${image.path}.gz`;
    const wrong = `${'0'.repeat(64)}  x.img.gz\n`;
    await writeFile(`${packed}.sha256`, wrong);
    const before = await readdir(image.folder);
    const bad = await davitJson(['os', 'configure', packed, ...settings]);
    assert.equal(bad.exitCode, 5);
    assert.match(JSON.stringify(bad.document), /checksum-mismatch/);
    assert.deepEqual(await readdir(image.folder), before);
    await writeFile(`${packed}.sha256`, `${await sha256(packed)}  x.img.gz\n`);
    const good = await davitJson(['os', 'configure', packed, ...settings]);
    assert.equal(good.exitCode, 0, good.stderr);
    assert.match(JSON.stringify(good.document), /"of":"file"/);
    const raw = ['os', 'configure', image.path, ...settings, '--output', path.join(image.folder, 'raw.img')];
    assert.equal((await davit([...raw, '--sha256', '0'.repeat(64)])).exitCode, 5);
    assert.equal((await davit([...raw, '--sha256', await sha256(image.path)])).exitCode, 0);
    assert.equal(await sha256(path.join(image.folder, 'raw.img')), await expectedOf(image));
  });

  it('chooses among several images of a zip with --entry', async (t) => {
    const image = await makeImage(t);
    const other = path.join(image.folder, 'other.img');
    await copyFile(image.path, other);
    const zip = path.join(image.folder, 'two.zip');
    await checked(['zip', '-q', '-1', '-j', zip, image.path, other]);
    const several = await davitJson(['os', 'configure', zip, ...settings]);
    assert.equal(several.exitCode, 2);
    assert.match(JSON.stringify(several.document), /--entry/);
    assert.equal((await davit(['os', 'configure', zip, ...settings, '--entry', 'other.img'])).exitCode, 0);
  });

  const refusals: readonly (readonly [string, (image: OsImage) => Promise<readonly string[]>, number, string])[] = [
    [
      'a change in place',
      async (image) => {
        await checked(['gzip', '-1', image.path]);
        return [`${image.path}.gz`, '--in-place'];
      },
      4,
      'in-place-impossible',
    ],
    [
      'an archive that ends early',
      async (image) => {
        await checked(['gzip', '-1', image.path]);
        await truncate(`${image.path}.gz`, (await stat(`${image.path}.gz`)).size - 3000);
        return [`${image.path}.gz`];
      },
      5,
      'archive-corrupt',
    ],
    [
      'an image that ends before its partitions do',
      async (image) => {
        await truncate(image.path, image.size - 8_000_000);
        await checked(['gzip', '-1', image.path]);
        return [`${image.path}.gz`];
      },
      5,
      'image-truncated',
    ],
  ];
  for (const [what, prepare, expected, code] of refusals) {
    it(`refuses ${what} and leaves nothing behind`, async (t) => {
      const image = await makeImage(t);
      const words = await prepare(image);
      const before = await readdir(image.folder);
      const { exitCode, document } = await davitJson(['os', 'configure', ...words, ...settings]);
      assert.equal(exitCode, expected, JSON.stringify(document));
      assert.ok(isRecord(document) && isRecord(document.error) && document.error.hint);
      assert.equal(document.error.code, code);
      assert.deepEqual(await readdir(image.folder), before);
    });
  }
});
