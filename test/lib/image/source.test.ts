import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, open, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { decodeXzInWasm } from '../../../src/lib/image/decode-xz.js';
import { decodeZstdInWasm } from '../../../src/lib/image/decode-zstd.js';
import { openImageSource, type SourceOptions } from '../../../src/lib/image/source.js';
import { checked } from '../../support/loop-device.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const imageSize = 9 * 1024 * 1024 + 512;

/** Bytes that neither compress to nothing nor stay as they are. */
function someImage(): Buffer {
  const image = Buffer.alloc(imageSize);
  let state = 1;
  for (let at = 0; at < image.length; at += 1) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    if (at % 65536 < 20000) image[at] = state & 0x3f;
  }
  return image;
}

const packers: Readonly<Record<string, (file: string) => readonly string[]>> = {
  raw: (file) => ['cp', file, `${file}.raw`],
  gzip: (file) => [
    'sh',
    '-c',
    `head -c 5000000 ${file} | gzip >${file}.gzip; tail -c +5000001 ${file} | gzip >>${file}.gzip`,
  ],
  xz: (file) => ['sh', '-c', `xz -1 --block-size=2MiB -c ${file} >${file}.xz`],
  zstd: (file) => ['zstd', '-q', file, '-o', `${file}.zstd`],
  zip: (file) => ['zip', '-q', '-j', `${file}.zip`, file],
};

function options(changes: Partial<SourceOptions> = {}): SourceOptions {
  return { standardInput: Readable.from([]), signal: new AbortController().signal, ...changes };
}

async function sha256(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function packedImage(t: Parameters<typeof temporaryFolder>[0], format: string): Promise<string> {
  const file = path.join(await temporaryFolder(t), 'image.img');
  await writeFile(file, image);
  await checked(packers[format]?.(file) ?? []);
  return `${file}.${format}`;
}

function withWrongBytes(bytes: Buffer): Buffer {
  const middle = Math.floor(bytes.length / 2);
  return Buffer.from(bytes).fill('wrong', middle, middle + 40);
}

const isCorrupt = (error: unknown) =>
  error instanceof Failure && error.kind === 'failed' && error.code === 'archive-corrupt';

const image = someImage();
const expected = createHash('sha256').update(image).digest('hex');

for (const format of Object.keys(packers)) {
  test(`unpacks ${format}, told by content and not by name`, async (t) => {
    const packed = await packedImage(t, format);
    const source = await openImageSource(packed, options());
    t.after(() => source.close());
    assert.equal(source.format, format);
    if (format !== 'gzip') assert.equal(source.size, imageSize);
    assert.equal((await source.stream.peek(600)).length, 600);
    assert.equal(await sha256(source.stream), expected);
  });

  test(`unpacks ${format} from standard input where that is possible`, async (t) => {
    const packed = await packedImage(t, format);
    const standardInput = Readable.from(pieces(await readFile(packed), 70_000));
    const opening = openImageSource('-', options({ standardInput }));
    if (format === 'zip') {
      await assert.rejects(opening, (error) => error instanceof Failure && error.code === 'zip-needs-file');
      return;
    }
    const source = await opening;
    t.after(() => source.close());
    assert.equal(await sha256(source.stream), expected);
  });

  if (format === 'raw') continue;

  test(`says that a truncated ${format} is truncated or corrupt`, async (t) => {
    const packed = await packedImage(t, format);
    await truncate(packed, Math.floor((await stat(packed)).size / 2));
    await assert.rejects(async () => {
      const source = await openImageSource(packed, options());
      t.after(() => source.close());
      await sha256(source.stream);
    }, isCorrupt);
  });

  test(`says that a ${format} with a wrong byte is truncated or corrupt`, async (t) => {
    const packed = await packedImage(t, format);
    await writeFile(packed, withWrongBytes(await readFile(packed)));
    await assert.rejects(async () => {
      const source = await openImageSource(packed, options());
      t.after(() => source.close());
      await sha256(source.stream);
    }, isCorrupt);
  });
}

for (const format of ['zstd', 'xz']) {
  test(`unpacks ${format} where no temporary files can be made`, async (t) => {
    const source = await openImageSource(await packedImage(t, format), options());
    t.after(() => source.close());
    const before = process.env.TMPDIR;
    process.env.TMPDIR = '/nonexistent';
    try {
      assert.equal(await sha256(source.stream), expected);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });
}

const isChanged = (error: unknown) =>
  error instanceof Failure && error.kind === 'failed' && error.code === 'source-changed';

for (const format of Object.keys(packers)) {
  test(`opens the same ${format} again from its first byte, also while and after the first is read`, async (t) => {
    const packed = await packedImage(t, format);
    const source = await openImageSource(packed, options());
    await source.stream.peek(600);
    const again = await source.again?.();
    assert.ok(again);
    assert.equal(again.identity, source.identity);
    const both = [sha256(source.stream), sha256(again.stream)];
    assert.deepEqual(await Promise.all(both), [expected, expected]);
    await source.close();
    await again.close();
    const third = await again.again?.();
    assert.ok(third);
    assert.equal(await sha256(third.stream), expected);
    await third.close();
  });
}

const meddlers: Readonly<Record<string, (file: string) => Promise<void>>> = {
  truncated: async (file) => truncate(file, 3 * 1024 * 1024),
  changed: async (file) => {
    const handle = await open(file, 'r+');
    await handle.write('changed', 8 * 1024 * 1024);
    await handle.close();
  },
  replaced: async (file) => {
    await copyFile(file, `${file}.new`);
    await rename(`${file}.new`, file);
  },
};

for (const [what, meddle] of Object.entries(meddlers)) {
  test(`does not take an image that was ${what} for the same`, async (t) => {
    const packed = await packedImage(t, 'raw');
    const source = await openImageSource(packed, options());
    t.after(() => source.close());
    await source.stream.peek(600);
    await meddle(packed);
    await assert.rejects(async () => source.again?.(), isChanged);
    // A file that was replaced can still be read through the open descriptor, and is whole.
    if (what === 'replaced') assert.equal(await sha256(source.stream), expected);
    else {
      await assert.rejects(source.requireUnchanged(), isChanged);
      await assert.rejects(sha256(source.stream), isChanged);
    }
  });
}

test('cannot open standard input again', async (t) => {
  const standardInput = Readable.from(pieces(image, 70_000));
  const source = await openImageSource('-', options({ standardInput }));
  t.after(() => source.close());
  assert.equal(source.again, undefined);
  assert.equal(source.identity, undefined);
});

test('sums up the sizes of concatenated and padded xz streams', async (t) => {
  const packed = await packedImage(t, 'xz');
  const one = await readFile(packed);
  await writeFile(packed, Buffer.concat([one, Buffer.alloc(8), one]));
  const source = await openImageSource(packed, options());
  t.after(() => source.close());
  assert.equal(source.size, 2 * imageSize);
});

for (const [name, decode, format] of [
  ['zstd', decodeZstdInWasm, 'zstd'],
  ['xz', decodeXzInWasm, 'xz'],
] as const) {
  test(`unpacks ${name} without the ${name} program`, async (t) => {
    const bytes = await readFile(await packedImage(t, format));
    const decodeOptions = { name: 'image', signal: new AbortController().signal };
    assert.equal(await sha256(decode(pieces(bytes, 100_000), decodeOptions)), expected);
    const truncated = bytes.subarray(0, bytes.length / 2);
    await assert.rejects(sha256(decode(pieces(truncated, 100_000), decodeOptions)), isCorrupt);
    await assert.rejects(sha256(decode(pieces(withWrongBytes(bytes), 100_000), decodeOptions)), isCorrupt);
  });
}

test('names the files of a zip that holds several images, and takes the one that is asked for', async (t) => {
  const folder = await temporaryFolder(t);
  for (const name of ['one.img', 'two.img']) await writeFile(path.join(folder, name), `${name} `.repeat(1000));
  const zip = path.join(folder, 'both.zip');
  await checked(['zip', '-q', '-j', zip, path.join(folder, 'one.img'), path.join(folder, 'two.img')]);
  await assert.rejects(
    openImageSource(zip, options()),
    (error) => error instanceof Failure && error.kind === 'usage' && (error.hint ?? '').includes('one.img, two.img'),
  );
  const source = await openImageSource(zip, options({ entry: 'two.img' }));
  t.after(() => source.close());
  assert.match((await source.stream.peek(8)).toString(), /^two\.img/);
});

test('ends while waiting for standard input when it is told to', async () => {
  const abort = new AbortController();
  const standardInput = new Readable({ read: () => undefined });
  const opening = openImageSource('-', options({ standardInput, signal: abort.signal }));
  abort.abort();
  await assert.rejects(opening, (error) => error instanceof Failure && error.kind === 'interrupted');
});

test('refuses packings that it does not open, with the command that does', async (t) => {
  const file = path.join(await temporaryFolder(t), 'image.img');
  await writeFile(file, 'BZh91AY&SY and so on');
  await assert.rejects(
    openImageSource(file, options()),
    (error) => error instanceof Failure && error.code === 'format-unsupported' && (error.hint ?? '').includes('bzip2'),
  );
});
