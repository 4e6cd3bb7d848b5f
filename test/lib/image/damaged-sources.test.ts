import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import zlib from 'node:zlib';
import { Failure } from '../../../src/lib/failure/failure.js';
import type { DecodeOptions } from '../../../src/lib/image/decode-options.js';
import { decodeXzInWasm } from '../../../src/lib/image/decode-xz.js';
import { decodeZstdInNode, decodeZstdInWasm } from '../../../src/lib/image/decode-zstd.js';
import { openFileOrigin } from '../../../src/lib/image/file-origin.js';
import { openImageSource } from '../../../src/lib/image/source.js';
import { readXzBlocks } from '../../../src/lib/image/xz-index.js';
import { rounds } from '../../support/campaign.js';
import { checked } from '../../support/loop-device.js';
import { writeMacImage } from '../../support/mac-image.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const mebibyte = 1024 * 1024;

/** Bytes that neither compress to nothing nor stay as they are. */
function someImage(): Buffer {
  const random = seededRandom(99);
  const parts = Array.from({ length: 60 }, (_, index) =>
    index % 3 === 0
      ? Buffer.alloc(random.below(150_000))
      : random.bytes(random.below(60_000)).map((byte) => byte & 0x3f),
  );
  const whole = Buffer.concat(parts);
  return whole.subarray(0, whole.length - (whole.length % 512));
}

const image = someImage();

type Decode = (file: string, t: TestContext) => AsyncIterable<Buffer>;

const options: DecodeOptions = { name: 'the image', signal: new AbortController().signal };

async function* asFile(file: string): AsyncGenerator<Buffer> {
  const source = await openImageSource(file, { standardInput: Readable.from([]), signal: options.signal });
  try {
    yield* source.stream;
  } finally {
    await source.close();
  }
}

async function formatOf(file: string): Promise<string> {
  const source = await openImageSource(file, { standardInput: Readable.from([]), signal: options.signal });
  await source.close();
  return source.format;
}

async function* asInput(file: string): AsyncGenerator<Buffer> {
  const standardInput = createReadStream(file, { highWaterMark: 50_000 });
  const source = await openImageSource('-', { standardInput, signal: options.signal });
  try {
    yield* source.stream;
  } finally {
    await source.close();
  }
}

async function* xzBlocks(file: string): AsyncGenerator<Buffer> {
  const origin = await openFileOrigin(file, options.signal);
  try {
    const blocks = origin.reader && (await readXzBlocks(origin.reader));
    yield* decodeXzInWasm(origin.stream(), options, { blocks, streamOfBlocks: origin.stream });
  } finally {
    await origin.close();
  }
}

const multiGzip = (file: string) =>
  `(for at in 0 1 2 3 4; do tail -c +$((at * 1000000 + 1)) ${file} | head -c 1000000 | gzip; done) >${file}.packed`;

/** A shell command that packs a file, or what does it. */
type Pack = (file: string) => string | Promise<void>;

type Way = readonly [pack: Pack, decode: Decode, skip?: string | false];

/** How an image is packed, how it is unpacked, and why that may not be possible here. */
const ways: Readonly<Record<string, Way>> = {
  'gzip of several parts': [multiGzip, asFile],
  'gzip from standard input': [multiGzip, asInput],
  'xz of several blocks': [(file) => `xz -1 --block-size=1MiB -c ${file} >${file}.packed`, asFile],
  'xz from standard input': [(file) => `xz -1 -c ${file} >${file}.packed`, asInput],
  'xz without the program, in threads': [(file) => `xz -1 --block-size=512KiB -c ${file} >${file}.packed`, xzBlocks],
  'xz without the program, in order': [
    (file) => `xz -1 --check=crc32 -c ${file} >${file}.packed`,
    (file) => decodeXzInWasm(createReadStream(file), options),
  ],
  zstd: [(file) => `zstd -q -c ${file} >${file}.packed`, asFile],
  'zstd of several frames': [
    (file) => `(head -c 1000000 ${file} | zstd -q; tail -c +1000001 ${file} | zstd -q) >${file}.packed`,
    asInput,
  ],
  'zstd without the program': [
    (file) => `(head -c 1000000 ${file} | zstd -q; tail -c +1000001 ${file} | zstd -q) >${file}.packed`,
    (file) => decodeZstdInWasm(createReadStream(file, { highWaterMark: 100_000 }), options),
  ],
  "zstd with Node's decoder": [
    (file) => `(head -c 1000000 ${file} | zstd -q; tail -c +1000001 ${file} | zstd -q) >${file}.packed`,
    (file) => decodeZstdInNode(createReadStream(file, { highWaterMark: 100_000 }), options),
    typeof zlib.createZstdDecompress === 'function' ? false : 'Node has no decoder for Zstandard before 22.15',
  ],
  bzip2: [(file) => `bzip2 -c ${file} >${file}.packed`, asFile],
  'bzip2 of several parts': [
    (file) => `(head -c 2000000 ${file} | bzip2; tail -c +2000001 ${file} | bzip2) >${file}.packed`,
    asInput,
  ],
  lz4: [(file) => `lz4 -q -c ${file} >${file}.packed`, asFile],
  'lz4 of several frames': [
    (file) => `(head -c 2000000 ${file} | lz4 -q; tail -c +2000001 ${file} | lz4 -q) >${file}.packed`,
    asInput,
  ],
  zip: [(file) => `zip -q -j - ${file} >${file}.packed`, asFile],
  'a disk image of macOS': [(file) => writeMacImage(`${file}.packed`, image), asFile],
  'zip that only stores': [(file) => `zip -q -0 -j - ${file} >${file}.packed`, asFile],
};

async function sha256(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

const expected = createHash('sha256').update(image).digest('hex');

for (const [name, [pack, decode, skip]] of Object.entries(ways)) {
  test(`never takes a damaged image for a good one: ${name}`, { skip: skip ?? false, timeout: 600_000 }, async (t) => {
    const folder = await temporaryFolder(t);
    const file = path.join(folder, 'image');
    await writeFile(file, image);
    const packing = pack(file);
    if (typeof packing === 'string') await checked(['sh', '-c', packing]);
    else await packing;
    const packed = await readFile(`${file}.packed`);
    const damaged = `${file}.damaged`;
    assert.equal(await sha256(decode(`${file}.packed`, t)), expected);
    const random = seededRandom(4711);
    for (let round = 0; round < (name.includes('without') ? rounds(4, 100) : rounds(12, 300)); round += 1) {
      // The beginning and the end have the headers, which damage that is spread evenly would hardly ever hit.
      const reach = random.pick([packed.length, packed.length, 64]);
      const offset = random.below(reach);
      const at = random.below(2) === 0 ? offset : packed.length - 1 - offset;
      const isCut = random.below(2) === 0;
      const bytes = isCut ? packed.subarray(0, at) : Buffer.from(packed);
      if (!isCut) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
      await writeFile(damaged, bytes);
      const what = `${isCut ? 'cut' : 'changed'} at ${at} of ${packed.length}`;
      try {
        assert.equal(await sha256(decode(damaged, t)), expected, what);
      } catch (error) {
        // What is not packed any more by the look of it is left to be judged by its content, and does not boot.
        if (error instanceof assert.AssertionError && (await formatOf(damaged)) === 'raw') continue;
        assert.ok(error instanceof Failure, `${what}: ${String(error)}`);
        assert.ok(
          ['archive-corrupt', 'image-empty', 'format-unsupported', 'entry-not-found'].includes(error.code),
          `${what}: ${error.message}`,
        );
      }
    }
  });
}

/** An endless supply of what unpacks to zeros, and how little of it may be read for a card of 64 MiB. */
const bombs: Readonly<Record<string, string>> = {
  gzip: 'gzip -c',
  xz: 'xz -0 -c',
  zstd: 'zstd -q -c',
  bzip2: 'bzip2 -1 -c',
  lz4: 'lz4 -q -c',
};

for (const [format, command] of Object.entries(bombs)) {
  test(`unpacks an endless ${format} only as far as it is read`, { timeout: 60_000 }, async (t) => {
    const folder = await temporaryFolder(t);
    const file = path.join(folder, 'bomb');
    await checked(['sh', '-c', `head -c 1G /dev/zero | ${command} >${file}`]);
    const before = process.memoryUsage.rss();
    let size = 0;
    for await (const chunk of asFile(file)) {
      size += chunk.length;
      if (size > 64 * mebibyte) break;
    }
    assert.ok(size < 80 * mebibyte);
    assert.ok(process.memoryUsage.rss() - before < 200 * mebibyte);
  });
}
