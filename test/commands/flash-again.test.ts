import assert from 'node:assert/strict';
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { FlashJournal } from '../../src/lib/flash/flash-journal.js';
import { planFlash } from '../../src/lib/flash/plan-flash.js';
import { openImageSource } from '../../src/lib/image/source.js';
import { rounds } from '../support/campaign.js';
import { davit, davitJson, startDavit } from '../support/davit.js';
import { bytesAt, hasNoTable, partitionContent } from '../support/disk-content.js';
import { attachUsedCard, checked, fillFile, type LoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { seededRandom } from '../support/seeded-random.js';
import { slowCardsMissing, startSlowCard } from '../support/slow-card.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;

interface Flashed {
  readonly bytesWritten: number;
  readonly bytesSkipped: number;
  readonly bytesVerified: number;
}

interface Setup {
  readonly folder: string;
  readonly image: OsImage;
  readonly state: { readonly environment: { readonly DAVIT_STATE_DIR: string } };
  /** Names of the journals that davit keeps. */
  readonly journals: () => Promise<string[]>;
}

async function setUp(t: TestContext): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const stateFolder = path.join(folder, 'state');
  return {
    folder,
    image,
    state: { environment: { DAVIT_STATE_DIR: stateFolder } },
    journals: () => readdir(path.join(stateFolder, 'flash')),
  };
}

/** Flashes to the end and says what was done to the one card. */
async function flashed(words: readonly string[], card: string, options: object): Promise<Flashed & { stderr: string }> {
  const { exitCode, document, stderr } = await davitJson(['flash', ...words, '--drive', card, '--yes'], options);
  assert.equal(exitCode, 0, stderr);
  const { drives } = document as { readonly drives: readonly Flashed[] };
  assert.ok(drives[0]);
  return { ...drives[0], stderr };
}

/** Kills a flash with SIGKILL once it has written this many bytes. */
async function killedAt(bytes: number, words: readonly string[], card: string, options: object): Promise<void> {
  const { signal, stderr } = await davit(['flash', ...words, '--drive', card, '--yes', '--progress', 'json'], {
    ...options,
    kill: {
      signal: 'SIGKILL',
      when: (output) => {
        const [, current = '0'] = [...output.matchAll(/"phase":"write".*?"current":(\d+)/g)].at(-1) ?? [];
        return Number(current) >= bytes;
      },
    },
  });
  assert.equal(signal, 'SIGKILL', stderr);
}

/** Every file system is clean and every file is the image's, and so is the table. */
async function assertHoldsImage(disk: string, image: OsImage): Promise<void> {
  for (const partition of image.partitions) {
    const [expected, actual] = [await partitionContent(image.path, partition), await partitionContent(disk, partition)];
    assert.deepEqual(actual, { ...expected, problems: 0 }, `partition ${partition.number}`);
  }
  assert.ok((await bytesAt(disk, 0, mebibyte)).equals(await bytesAt(image.path, 0, mebibyte)));
}

async function change(file: string, at: number, text: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.write(text, at);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** How many bytes a card was asked to write by some work. */
async function bytesWrittenBy(card: LoopDevice, work: () => Promise<unknown>): Promise<number> {
  const before = await card.sectorsWritten();
  await work();
  return ((await card.sectorsWritten()) - before) * 512;
}

for (const format of ['raw', 'gz', 'standard input'] as const) {
  test(`goes on after a SIGKILL with an image from ${format}`, { skip: slowCardsMissing }, async (t) => {
    const { folder, image, state, journals } = await setUp(t);
    const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 25e6 });
    const packed = path.join(folder, 'image.img.gz');
    await checked(['sh', '-c', `gzip -1 <${image.path} >${packed}`]);
    const words = { raw: [image.path], gz: [packed], 'standard input': ['-'] }[format];
    const feed = { wrapper: ['sh', '-c', `exec "$@" <${image.path}`, 'sh'] };
    const options = { ...state, ...(format === 'standard input' ? feed : {}) };
    const whole = (await flashed([image.path], await used(t, folder, image), state)).bytesWritten;
    await killedAt(whole / 2, words, card.device.path, options);
    assert.ok(await hasNoTable(card.device.path, image.size));
    assert.equal((await journals()).length, 1);
    let again: Awaited<ReturnType<typeof flashed>> | undefined;
    const written = await bytesWrittenBy(card.device, async () => {
      again = await flashed(words, card.device.path, options);
    });
    assert.ok(again);
    assert.match(again.stderr, /resuming, checking what is there/);
    assert.equal(again.bytesWritten + again.bytesSkipped, whole);
    assert.equal(again.bytesVerified, whole);
    assert.ok(again.bytesSkipped > whole * 0.3, `${again.bytesSkipped} of ${whole} bytes were not written again`);
    // The table and its copy were wiped before.
    assert.ok(written <= again.bytesWritten + 3 * mebibyte, `${written} bytes were written`);
    await assertHoldsImage(card.device.path, image);
    assert.deepEqual(await journals(), []);
  });
}

async function used(t: TestContext, folder: string, image: OsImage): Promise<string> {
  return (await attachUsedCard(t, path.join(folder, 'whole'), image.size)).path;
}

test(
  'compares what an interrupted flash left, whatever was done to the card since',
  { skip: slowCardsMissing },
  async (t) => {
    const { folder, image, state } = await setUp(t);
    const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 25e6 });
    const whole = (await flashed([image.path], await used(t, folder, image), state)).bytesWritten;
    await killedAt(whole / 2, [image.path], card.device.path, state);
    await change(card.device.path, image.boot.start + 4096, 'tampered with');
    const again = await flashed([image.path], card.device.path, state);
    assert.ok(again.bytesSkipped > whole * 0.3, String(again.bytesSkipped));
    await assertHoldsImage(card.device.path, image);
  },
);

test('begins anew when another image was written in between, or begun', { skip: slowCardsMissing }, async (t) => {
  const { folder, image, state, journals } = await setUp(t);
  const other = await makeOsImage(path.join(folder, 'other.img'), { table: 'mbr' });
  const size = Math.max(image.size, other.size);
  const card = await startSlowCard(t, { size, bytesPerSecond: 50e6 });
  await killedAt(8 * mebibyte, [image.path], card.device.path, state);
  await killedAt(8 * mebibyte, [other.path], card.device.path, state);
  assert.equal((await journals()).length, 1);
  const first = await flashed([image.path], card.device.path, state);
  assert.equal(first.bytesSkipped, 0);
  assert.doesNotMatch(first.stderr, /resuming/);
  await assertHoldsImage(card.device.path, image);
});

test('makes no mistake about another card that is taken for the first', { skip: loopDevicesMissing }, async (t) => {
  const { folder, image, state } = await setUp(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const signal = new AbortController().signal;
  const source = await openImageSource(image.path, { standardInput: Readable.from([]), signal });
  t.after(() => source.close());
  const plan = await planFlash({ source, drives: [card.path] });
  const [drive] = plan.drives;
  assert.ok(drive);
  // As if this were the card on which an earlier flash had come to the end.
  await new FlashJournal(drive, plan.image, path.join(state.environment.DAVIT_STATE_DIR, 'flash')).record(image.size);
  const { bytesSkipped, stderr } = await flashed([image.path], card.path, state);
  assert.match(stderr, /resuming at 80\.7 MB, checking what is there/);
  assert.equal(bytesSkipped, 0);
  await assertHoldsImage(card.path, image);
});

test('starts from the beginning with --no-resume', { skip: slowCardsMissing }, async (t) => {
  const { image, state } = await setUp(t);
  const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 50e6 });
  await killedAt(8 * mebibyte, [image.path], card.device.path, state);
  const planned = await davit(['flash', image.path, '--drive', card.device.path, '--dry-run'], state);
  assert.match(planned.stdout, /an earlier flash was interrupted; what is right is kept/);
  const { bytesSkipped, stderr } = await flashed([image.path, '--no-resume'], card.device.path, state);
  assert.equal(bytesSkipped, 0);
  assert.doesNotMatch(stderr, /resuming/);
});

test('flashes all the same where it cannot note how far it came', { skip: loopDevicesMissing }, async (t) => {
  const { folder, image } = await setUp(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const { stderr } = await flashed([image.path], card.path, { environment: { DAVIT_STATE_DIR: image.path } });
  assert.match(stderr, /the next one starts from the beginning/);
  await assertHoldsImage(card.path, image);
});

test('writes only what differs with --diff, and verifies it', { skip: loopDevicesMissing }, async (t) => {
  const { folder, image, state, journals } = await setUp(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const { bytesWritten: whole } = await flashed([image.path], card.path, state);
  const [, rootA] = image.partitions;
  assert.ok(rootA);
  await change(card.path, rootA.start + 1024 + 56, 'not the magic number');
  await change(card.path, image.boot.start + 512, 'not the image');
  let result: Flashed | undefined;
  const written = await bytesWrittenBy(card, async () => {
    result = await flashed([image.path, '--diff'], card.path, state);
  });
  assert.ok(result);
  assert.equal(result.bytesWritten + result.bytesSkipped, whole);
  assert.equal(result.bytesVerified, whole);
  // The table, its copy and two pieces, and the first two once more when they are wiped.
  assert.ok(written <= 4.6 * mebibyte, `${written} bytes were written`);
  await assertHoldsImage(card.path, image);
  assert.deepEqual(await journals(), []);
});

test('leaves no trap when a --diff is interrupted', { skip: slowCardsMissing }, async (t) => {
  const { image, state } = await setUp(t);
  const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 60e6 });
  await flashed([image.path], card.device.path, state);
  await killedAt(8 * mebibyte, [image.path, '--diff'], card.device.path, state);
  assert.ok(await hasNoTable(card.device.path, image.size));
});

test('has the card forget what is not part of the image with --discard', { skip: loopDevicesMissing }, async (t) => {
  const { folder, image, state } = await setUp(t);
  const size = image.size + 64 * mebibyte;
  const card = await attachUsedCard(t, path.join(folder, 'card'), size);
  const before = (await stat(card.file)).blocks * 512;
  const { bytesWritten, bytesVerified } = await flashed([image.path, '--discard'], card.path, state);
  assert.equal(bytesVerified, bytesWritten);
  const after = (await stat(card.file)).blocks * 512;
  assert.ok(after <= before - 60 * mebibyte, `${before} bytes became ${after}`);
  await assertHoldsImage(card.path, image);
});

test('says what it does not do on a file, and does the rest', async (t) => {
  const { folder, image, state } = await setUp(t);
  const file = path.join(folder, 'card.img');
  await fillFile(file, image.size, 0xaa);
  const { stderr } = await flashed([image.path, '--discard', '--eject', '--probe'], file, state);
  assert.match(stderr, /Nothing is discarded on .*card\.img: it is a file/);
  assert.match(stderr, /there is nothing to eject: .*card\.img is a file/);
  await assertHoldsImage(file, image);
});

for (const fault of ['wrapsAt', 'losesFrom'] as const) {
  test(
    `refuses a card that holds less than it claims (${fault}), before the image is written`,
    { skip: slowCardsMissing },
    async (t) => {
      const { image, state } = await setUp(t);
      const size = Math.ceil(image.size / mebibyte) * mebibyte + 64 * mebibyte;
      const realSize = 48 * mebibyte;
      const card = await startSlowCard(t, { size, [fault]: realSize });
      const words = ['flash', image.path, '--drive', card.device.path, '--yes', '--probe'];
      const { exitCode, document, stderr } = await davitJson(words, state);
      assert.equal(exitCode, 5, stderr);
      const { error } = document as { readonly error: { readonly code: string; readonly message: string } };
      assert.equal(error.code, 'capacity-false');
      assert.ok(error.message.includes(`claims ${size} bytes but holds about ${realSize}`), error.message);
      assert.match(stderr, /holds no partition table now/);
    },
  );
}

test('leaves no trap when a probe is interrupted', { skip: slowCardsMissing }, async (t) => {
  const { image, state } = await setUp(t);
  const size = image.size + 16 * mebibyte;
  const card = await startSlowCard(t, { size, bytesPerSecond: 2e6 });
  const words = ['flash', image.path, '--drive', card.device.path, '--yes', '--probe', '--progress', 'json'];
  for (const kill of ['SIGINT', 'SIGKILL'] as const) {
    await checked(['dd', `if=${image.path}`, `of=${card.device.path}`, 'bs=512', 'count=1', 'status=none']);
    const isProbing = (output: string) => output.includes('"phase":"probe"');
    const { exitCode, signal, stderr } = await davit(words, { ...state, kill: { signal: kill, when: isProbing } });
    assert.equal(exitCode ?? signal, kill === 'SIGINT' ? 130 : kill, stderr);
    assert.ok(await hasNoTable(card.device.path, size));
  }
});

test('takes an honest card after a probe', { skip: slowCardsMissing }, async (t) => {
  const { image, state } = await setUp(t);
  const card = await startSlowCard(t, { size: image.size + 16 * mebibyte });
  await flashed([image.path, '--probe'], card.device.path, state);
  await assertHoldsImage(card.device.path, image);
});

test('shows with --dry-run what would be done besides writing', { skip: loopDevicesMissing }, async (t) => {
  const { folder, image, state } = await setUp(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const extras = ['--diff', '--probe', '--discard', '--eject'];
  const { exitCode, stdout } = await davit(['flash', image.path, '--drive', card.path, '--dry-run', ...extras], state);
  assert.equal(exitCode, 0);
  assert.match(stdout, /capacity is probed first/);
  assert.match(stdout, /only what differs is written/);
  assert.match(stdout, /is discarded/);
  assert.match(stdout, /nothing to eject: \/dev\/loop\d+ is a loop device/);
});

test(
  'ends with the image however often it was killed and the card tampered with',
  { skip: loopDevicesMissing },
  async (t) => {
    const { folder, image, state, journals } = await setUp(t);
    const random = seededRandom(20260202);
    const card = await attachUsedCard(t, path.join(folder, 'card'), image.size + 3 * 4096);
    for (let round = 0; round < rounds(3, 100); round += 1) {
      await fillFile(card.file, image.size + 3 * 4096, random.below(256));
      for (let kills = random.below(4); kills > 0; kills -= 1) {
        const words = [
          image.path,
          '--drive',
          card.path,
          '--yes',
          '--progress',
          'json',
          ...random.pick([[], ['--diff']]),
        ];
        const child = startDavit(['flash', ...words], state);
        const ended = new Promise((resolve) => child.on('close', resolve));
        child.stderr?.once('data', () => {
          setTimeout(() => child.kill('SIGKILL'), random.below(100));
        });
        await ended;
        await change(card.path, random.below(image.size), 'tampered with');
      }
      await flashed([image.path], card.path, state);
      await assertHoldsImage(card.path, image);
      assert.deepEqual(await journals(), []);
    }
  },
);

test(
  'notices that what was right has been overwritten by what is beyond a false end',
  { skip: slowCardsMissing },
  async (t) => {
    const { image, state } = await setUp(t);
    const realSize = 56 * mebibyte;
    const card = await startSlowCard(t, { size: image.size + 8 * mebibyte, wrapsAt: realSize });
    // All of the card that exists is right, so that nothing is written there.
    await checked(['dd', `if=${image.path}`, `of=${card.content}`, 'bs=1M', 'count=56', 'conv=notrunc', 'status=none']);
    const words = ['flash', image.path, '--drive', card.device.path, '--yes', '--diff'];
    const { exitCode, document, stderr } = await davitJson(words, state);
    assert.equal(exitCode, 5, stderr);
    const { error } = document as { readonly error: { readonly code: string } };
    assert.equal(error.code, 'verification-failed');
    assert.match(stderr, /holds no partition table now/);
  },
);

test(
  'flashes a card that says it can forget and then refuses to, with a warning',
  { skip: slowCardsMissing },
  async (t) => {
    const { image, state } = await setUp(t);
    const size = image.size + 32 * mebibyte;
    // A card with any faults knows reading, writing and flushing only; this fault lies behind its end.
    const card = await startSlowCard(t, { size, losesFrom: size });
    const { stderr } = await flashed([image.path, '--discard'], card.device.path, state);
    assert.match(stderr, /What is not part of the image was not discarded/);
    await assertHoldsImage(card.device.path, image);
  },
);
