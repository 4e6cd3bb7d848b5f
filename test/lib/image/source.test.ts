import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, open, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Failure } from '../../../src/lib/failure/failure.js';
import { openImageSource, type SourceOptions } from '../../../src/lib/image/source.js';
import type { ZipCandidate } from '../../../src/lib/image/zip-image.js';
import { checked } from '../../support/loop-device.js';
import { writeMacImage } from '../../support/mac-image.js';
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
  bzip2: (file) => ['sh', '-c', `bzip2 -c ${file} >${file}.bzip2`],
  lz4: (file) => ['lz4', '-q', file, `${file}.lz4`],
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

async function text(chunks: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(Buffer.from(chunk));
  return Buffer.concat(parts).toString();
}

/** Runs something where no program is found. */
async function withoutPrograms(work: () => Promise<void>): Promise<void> {
  const before = process.env.PATH;
  process.env.PATH = '/nonexistent';
  try {
    await work();
  } finally {
    process.env.PATH = before;
  }
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
    if (!['gzip', 'bzip2', 'lz4'].includes(format)) assert.equal(source.size, imageSize);
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

test('unpacks disk images of macOS through etcher-sdk', async (t) => {
  const file = path.join(await temporaryFolder(t), 'image.dmg');
  await writeMacImage(file, image);
  const source = await openImageSource(file, options());
  t.after(() => source.close());
  assert.equal(source.format, 'dmg');
  assert.equal(source.size, imageSize);
  assert.equal(await sha256(source.stream), expected);
});

test('refuses packings that it does not open, with what to do', async (t) => {
  const file = path.join(await temporaryFolder(t), 'my image.img');
  for (const [content, remedy] of [
    ['7z\xbc\xaf\x27\x1c and so on', "7z e -so '"],
    ['Rar!\x1a\x07\x01\x00', 'unrar'],
    [`${'name'.padEnd(257, '\0')}ustar`, 'tar -xOf'],
    ['QFI\xfb', 'qemu-img convert'],
    ['\x3a\xff\x26\xed', 'simg2img'],
  ] as const) {
    await writeFile(file, content.padEnd(5000, '\0'), 'latin1');
    await assert.rejects(
      openImageSource(file, options()),
      (error) =>
        error instanceof Failure &&
        error.code === 'format-unsupported' &&
        (error.hint ?? '').includes(remedy) &&
        (error.hint ?? '').includes(`'${file}'`),
    );
  }
});

test('says which package has the program for a format that nothing here unpacks', async (t) => {
  for (const [format, packageName] of [
    ['bzip2', 'bzip2'],
    ['lz4', 'lz4'],
  ] as const) {
    const source = await openImageSource(await packedImage(t, format), options());
    t.after(() => source.close());
    await withoutPrograms(() =>
      assert.rejects(
        sha256(source.stream),
        (error) =>
          error instanceof Failure &&
          error.code === 'program-not-found' &&
          (error.hint ?? '').includes(`install ${packageName}`),
      ),
    );
  }
});

test('passes over padding and what was attached to a gzip, but not over a damaged or later part', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'image.gz');
  const [one, two] = [gzipSync('first '.repeat(1000)), gzipSync('second '.repeat(1000))];
  const damaged = Buffer.from(two).fill(0, 0, 1);
  for (const [parts, expectation] of [
    [[one, Buffer.alloc(700)], 'first '],
    [[one, Buffer.from('a signature')], 'first '],
    [[one, two], 'second '],
    [[one, Buffer.alloc(700), two], 'second '],
    [[one, damaged], undefined],
    [[one, two.subarray(0, 1)], undefined],
    [[one, two.subarray(0, 9)], undefined],
    [[one, two.subarray(0, two.length - 1)], undefined],
  ] as const) {
    await writeFile(file, Buffer.concat(parts));
    const source = await openImageSource(file, options());
    t.after(() => source.close());
    const content = text(source.stream);
    if (expectation === undefined) await assert.rejects(content, isCorrupt);
    else assert.ok((await content).endsWith(expectation), expectation);
  }
});

test('unpacks gzip with all parts of a header', async (t) => {
  const file = path.join(await temporaryFolder(t), 'image.gz');
  const plain = gzipSync('content '.repeat(1000));
  const extra = Buffer.from('\x05\x00extra', 'latin1');
  const texts = Buffer.from('a name\0a comment\0\x12\x34', 'latin1');
  const header = Buffer.from(plain.subarray(0, 10)).fill(4 | 8 | 16 | 2, 3, 4);
  await writeFile(file, Buffer.concat([header, extra, texts, plain.subarray(10)]));
  const source = await openImageSource(file, options());
  t.after(() => source.close());
  assert.ok((await text(source.stream)).endsWith('content '));
});

for (const format of ['xz', 'bzip2', 'zstd', 'lz4'] as const) {
  test(`unpacks several ${format} files in one`, async (t) => {
    const packed = await packedImage(t, format);
    const one = await readFile(packed);
    await writeFile(packed, Buffer.concat([one, one]));
    const source = await openImageSource(packed, options());
    t.after(() => source.close());
    assert.equal(await sha256(source.stream), createHash('sha256').update(image).update(image).digest('hex'));
  });
}

test('unpacks zip entries of every kind', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'image.img');
  await writeFile(file, image);
  for (const words of [['-0'], ['-fz'], ['-fd'], ['-Z', 'bzip2']]) {
    const zip = `${file}${words.join('')}.zip`;
    await checked(['zip', '-q', '-j', ...words, zip, file]);
    const source = await openImageSource(zip, options());
    t.after(() => source.close());
    assert.equal(source.size, imageSize, words.join(' '));
    assert.equal(await sha256(source.stream), expected, words.join(' '));
  }
});

test('takes the image of a zip and not what lies beside it, whatever their names are', async (t) => {
  const folder = await temporaryFolder(t);
  const names = ['my disk', 'my disk.bmap', 'SHA256SUMS', 'my disk.sha256', 'README.md', 'disk.img.sig'];
  for (const name of names) await writeFile(path.join(folder, name), `${name} `.repeat(1000));
  const zip = path.join(folder, 'image.zip');
  await checked(['zip', '-q', '-j', zip, ...names.map((name) => path.join(folder, name))]);
  const source = await openImageSource(zip, options());
  t.after(() => source.close());
  assert.match(await text(source.stream), /^my disk my disk /);
  const bmap = await openImageSource(zip, options({ entry: 'my disk.bmap' }));
  t.after(() => bmap.close());
  assert.match(await text(bmap.stream), /^my disk\.bmap /);
});

test('asks which of several files of a zip is the image, where somebody can be asked', async (t) => {
  const folder = await temporaryFolder(t);
  for (const name of ['one.img', 'it is two.img']) await writeFile(path.join(folder, name), `${name} `.repeat(1000));
  const zip = path.join(folder, 'both.zip');
  await checked(['zip', '-q', '-j', zip, path.join(folder, 'one.img'), path.join(folder, 'it is two.img')]);
  await assert.rejects(
    openImageSource(zip, options()),
    (error) => error instanceof Failure && (error.hint ?? '').includes("--entry: one.img, 'it is two.img'"),
  );
  const asked: ZipCandidate[] = [];
  const chooseEntry = (candidates: readonly ZipCandidate[]) => {
    asked.push(...candidates);
    return Promise.resolve('it is two.img');
  };
  const source = await openImageSource(zip, options({ chooseEntry }));
  t.after(() => source.close());
  assert.deepEqual(asked, [
    { name: 'one.img', size: 8000 },
    { name: 'it is two.img', size: 14_000 },
  ]);
  assert.match(await text(source.stream), /^it is two/);
  const again = await source.again?.();
  t.after(() => again?.close());
  assert.equal(asked.length, 2, 'it is asked once');
});

test('does not unpack more than a zip says that it holds', async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'image.img');
  await writeFile(file, Buffer.alloc(50_000_000));
  const zip = path.join(folder, 'image.zip');
  await checked(['zip', '-q', '-j', zip, file]);
  const bytes = await readFile(zip);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(50_000_000);
  for (let at = bytes.indexOf(size); at !== -1; at = bytes.indexOf(size, at)) bytes.writeUInt32LE(5_000_000, at);
  await writeFile(zip, bytes);
  const source = await openImageSource(zip, options());
  t.after(() => source.close());
  let unpacked = 0;
  await assert.rejects(async () => {
    for await (const chunk of source.stream) unpacked += chunk.length;
  }, isCorrupt);
  assert.ok(unpacked <= 5_000_000, String(unpacked));
});

test('unpacks Zstandard that begins with frames to be passed over, and tells its size', async (t) => {
  const packed = await packedImage(t, 'zstd');
  const skippable = Buffer.from('5e2a4d1804000000aabbccdd', 'hex');
  await writeFile(packed, Buffer.concat([skippable, skippable, await readFile(packed), skippable]));
  const source = await openImageSource(packed, options());
  t.after(() => source.close());
  assert.equal(source.format, 'zstd');
  assert.equal(source.size, imageSize);
  assert.equal(await sha256(source.stream), expected);
});
