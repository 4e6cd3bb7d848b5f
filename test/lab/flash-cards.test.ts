// Cards that break, lie, change and vanish. Whatever they do, a flash never ends with 0 unless the card holds the image.
import assert from 'node:assert/strict';
import { mkdir, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { rounds } from '../support/campaign.js';
import { davit, davitJson, watchDavit, type WatchedDavit } from '../support/davit.js';
import { assertHoldsImage, bytesAt, hasNoTable } from '../support/disk-content.js';
import {
  attachLoopDevice,
  attachUsedCard,
  checked,
  type LoopDevice,
  loopDevicesMissing,
} from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { seededRandom } from '../support/seeded-random.js';
import { type SlowCard, slowCardsMissing, startSlowCard } from '../support/slow-card.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;
const skip = slowCardsMissing;

const flashWords = (source: string, ...drives: string[]) => [
  ...['flash', source, '--yes', '--progress', 'json'],
  ...drives.flatMap((drive) => ['--drive', drive]),
];

async function someImage(t: TestContext): Promise<{ readonly folder: string; readonly image: OsImage }> {
  const folder = await temporaryFolder(t);
  return { folder, image: await makeOsImage(path.join(folder, 'image.img')) };
}

/** Ends a test's card before the test ends, so that a round does not leave its card to all that follow. */
async function withCard(options: Parameters<typeof startSlowCard>[1], use: (card: SlowCard) => Promise<void>) {
  const cleanups: (() => Promise<void>)[] = [];
  const after = (cleanup?: unknown) => {
    cleanups.push(cleanup as () => Promise<void>);
  };
  try {
    await use(await startSlowCard({ after }, options));
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

/** Where an image has something that is written to a card: random places in its first partitions' metadata and files. */
function usedPlace(image: OsImage, random: ReturnType<typeof seededRandom>): number {
  const partition = random.pick(image.partitions);
  // The first blocks of a file system are never free, nor is what lies before the partitions.
  return random.pick([random.below(4 * mebibyte), partition.start + random.below(2 * 4096)]);
}

for (const on of ['write', 'read'] as const) {
  test(
    `ends with 5 when a block somewhere cannot be ${on === 'read' ? 'read back' : 'written'}`,
    { skip },
    async (t) => {
      const { image } = await someImage(t);
      const random = seededRandom(on === 'read' ? 41 : 42);
      for (let round = 0; round < rounds(3, 60); round += 1) {
        const start = usedPlace(image, random);
        await withCard({ size: image.size + mebibyte, brokenAt: { start, size: 512, on } }, async (card) => {
          const { exitCode, document, stderr } = await davitJson([...flashWords(image.path, card.device.path)]);
          assert.equal(exitCode, 5, `a bad block at ${start}: ${stderr}`);
          // What cannot be read is written anew before it is given up.
          const expected = on === 'read' ? ['verification-failed', 'drive-failed'] : ['drive-failed'];
          assert.ok(expected.includes(codeOf(document)), `a bad block at ${start}: ${codeOf(document)}`);
          if (start >= mebibyte)
            assert.ok(await hasNoTable(card.content, image.size + mebibyte), `bad block at ${start}`);
        });
      }
    },
  );
}

test('never takes a card for good on which bits flipped between being written and being read', { skip }, async (t) => {
  const { image } = await someImage(t);
  await checked(['gzip', '-1', '--keep', image.path]);
  const random = seededRandom(43);
  const outcomes: (number | null)[] = [];
  for (let round = 0; round < rounds(3, 60); round += 1) {
    const size = image.size;
    await withCard({ size, bytesPerSecond: 40e6, isFile: true }, async (card) => {
      // From standard input it cannot be read again.
      const source = random.pick([image.path, `${image.path}.gz`, '-']);
      const running = watchDavit(flashWords(source, card.device.path));
      if (source === '-') running.child.stdin?.end(await readFile(image.path));
      while (!running.output().includes('"phase":"verify"') && running.child.exitCode === null) await wait(1);
      // The last partition is read last, and its first blocks are certainly in use.
      const partition = image.partitions.at(-1);
      await flipBit(card.content, (partition?.start ?? 0) + 1024 + random.below(7000), random.below(8));
      const { exitCode, stderr } = await running.result;
      outcomes.push(exitCode);
      if (exitCode === 0) await assertHoldsImage(card.content, image);
      else {
        assert.equal(exitCode, 5, stderr);
        assert.ok(await hasNoTable(card.content, size));
      }
    });
  }
  t.diagnostic(`${outcomes.filter((code) => code === 0).length} of ${outcomes.length} were repaired`);
});

async function flipBit(file: string, at: number, bit: number): Promise<void> {
  const [byte = 0] = await bytesAt(file, at, 1);
  const handle = await open(file, 'r+');
  await handle.write(Buffer.from([byte ^ (1 << bit)]), 0, 1, at);
  await handle.close();
}

test('finds out a card that has less room than it claims and begins anew behind it', { skip }, async (t) => {
  const { image } = await someImage(t);
  // A multiple of what is written at once, as the sizes of such cards are.
  for (const wrapsAt of [16 * mebibyte, 48 * mebibyte]) {
    await withCard({ size: image.size + 3 * mebibyte, wrapsAt }, async (card) => {
      const { exitCode, document, stderr } = await davitJson(flashWords(image.path, card.device.path));
      assert.equal(exitCode, 5, stderr);
      assert.equal(codeOf(document), 'verification-failed');
      // Not even something of the image that landed there by wrapping.
      assert.deepEqual(await bytesAt(card.content, 0, mebibyte), Buffer.alloc(mebibyte), 'no partition table');
    });
  }
});

test('ends with 5 when a card takes no more half way', { skip: loopDevicesMissing }, async (t) => {
  const { folder, image } = await someImage(t);
  const small = path.join(folder, 'small');
  await mkdir(small);
  await checked(['mount', '-t', 'tmpfs', '-o', `size=${image.size / 4}`, 'tmpfs', small]);
  try {
    const file = path.join(small, 'card');
    await writeFile(file, '');
    await truncate(file, image.size);
    const card = await attachLoopDevice(t, file);
    const { exitCode, document, stderr } = await davitJson([...flashWords(image.path, card.path), '--all']);
    await card.detach();
    assert.equal(exitCode, 5, stderr);
    assert.equal(codeOf(document), 'drive-failed');
    assert.ok(await hasNoTable(file, image.size));
  } finally {
    await checked(['umount', small]);
  }
});

for (const phase of ['write', 'verify'] as const) {
  test(`finishes three cards when the fourth vanishes during ${phase}, and says which`, { skip }, async (t) => {
    const { folder, image } = await someImage(t);
    await checked(['gzip', '-1', '--keep', image.path]);
    const vanishing = await startSlowCard(t, { size: image.size, bytesPerSecond: 20e6 });
    const others = [
      await startSlowCard(t, { size: image.size + mebibyte, bytesPerSecond: 20e6 }),
      await attachUsedCard(t, path.join(folder, 'fast'), image.size + 8 * mebibyte),
      await attachUsedCard(t, path.join(folder, 'exact'), image.size),
    ].map((card) => ('device' in card ? card.device.path : card.path));
    const running = watchDavit([...flashWords(`${image.path}.gz`, vanishing.device.path, ...others), '--json']);
    await reachOn(vanishing.device.path, phase, running);
    await vanishing.vanish();
    const { exitCode, stdout, stderr } = await running.result;
    assert.equal(exitCode, 5, stderr);
    const { error: failure } = JSON.parse(stdout) as {
      error: {
        code: string;
        report: { drives: { path: string; outcome: string; error: { code: string } | null }[] };
      };
    };
    assert.equal(failure.code, 'drives-failed');
    const outcomes = failure.report.drives.map(({ path: drive, outcome, error }) => [drive, outcome, error?.code]);
    assert.deepEqual(outcomes, [
      [vanishing.device.path, 'failed', 'drive-failed'],
      ...others.map((other) => [other, 'done', undefined]),
    ]);
    for (const other of others) await assertHoldsImage(other, image);
  });
}

test('ends with 5 soon when the only card vanishes', { skip }, async (t) => {
  const { image } = await someImage(t);
  const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 20e6 });
  const running = watchDavit(flashWords(image.path, card.device.path));
  await reachOn(card.device.path, 'write', running);
  await card.vanish();
  const { exitCode, stderr } = await running.result;
  assert.equal(exitCode, 5, stderr);
  assert.match(stderr, /holds no partition table now/);
});

test(
  'finishes a slow card and a fast one when there is no more room for what the slow one has missed',
  { skip },
  async (t) => {
    const folder = await temporaryFolder(t);
    const bootFiles = { 'large.bin': seededRandom(47).bytes(34 * mebibyte) };
    const image = await makeOsImage(path.join(folder, 'image.img'), { bootSize: 48, bootFiles });
    await checked(['gzip', '-1', '--keep', image.path]);
    const slow = await startSlowCard(t, { size: image.size, bytesPerSecond: 20e6 });
    const fast = await attachUsedCard(t, path.join(folder, 'fast'), image.size);
    const cache = path.join(folder, 'cache');
    await mkdir(cache);
    await checked(['mount', '-t', 'tmpfs', '-o', 'size=6M', 'tmpfs', cache]);
    try {
      const { exitCode, stderr } = await davit(flashWords(`${image.path}.gz`, slow.device.path, fast.path), {
        environment: { DAVIT_CACHE_DIR: cache },
      });
      assert.equal(exitCode, 0, stderr);
      assert.match(stderr, /no space left.*sets the pace from now on/);
      assert.deepEqual(await readdir(cache), []);
    } finally {
      await checked(['umount', cache]);
    }
    await assertHoldsImage(fast.path, image);
    await assertHoldsImage(slow.device.path, image);
  },
);

test('refuses a card that is one sector too small, before or after it was written', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size - 512);
  const before = await card.sectorsWritten();
  for (const [name, command] of Object.entries({ gz: 'gzip -1', xz: 'xz -0', zst: 'zstd -q -1 -' })) {
    await checked(['sh', '-c', `${command} <${image.path} >${image.path}.${name}`]);
  }
  await checked(['zip', '-q', '-1', '-j', `${image.path}.zip`, image.path]);
  for (const source of [image.path, `${image.path}.xz`, `${image.path}.zip`]) {
    const { exitCode, document } = await davitJson(flashWords(source, card.path));
    assert.deepEqual([exitCode, codeOf(document)], [4, 'image-too-large'], source);
    assert.equal(await card.sectorsWritten(), before, source);
  }
  // What gzip and standard input do not tell before the end shows then.
  for (const [source, input] of [
    [`${image.path}.gz`, ''],
    ['-', await readFile(`${image.path}.zst`)],
    ['-', await readFile(image.path)],
  ] as const) {
    const { exitCode, document } = await davitJson(flashWords(source, card.path), { input });
    assert.deepEqual([exitCode, codeOf(document)], [4, 'image-too-large'], source);
    assert.notEqual(await card.sectorsWritten(), before);
    assert.ok(await hasNoTable(card.file, image.size - 512), source);
  }
});

test('lets only one of two davits have a card', { skip }, async (t) => {
  const { image } = await someImage(t);
  const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 40e6 });
  const first = watchDavit(flashWords(image.path, card.device.path));
  await reachOn(card.device.path, 'write', first);
  const second = await davitJson(flashWords(image.path, card.device.path));
  assert.deepEqual([second.exitCode, codeOf(second.document)], [4, 'drive-in-use']);
  const { exitCode, stderr } = await first.result;
  assert.equal(exitCode, 0, stderr);
  await assertHoldsImage(card.device.path, image);
});

test(
  'leaves every card without a partition table or complete, whenever it is killed while it writes several, and the next flash succeeds',
  { skip: loopDevicesMissing },
  async (t) => {
    const { folder, image } = await someImage(t);
    await checked([
      'sh',
      '-c',
      `zstd -q -1 ${image.path}; xz -0 -k --block-size=8MiB ${image.path}; gzip -1 -k ${image.path}`,
    ]);
    const random = seededRandom(44);
    const environment = { DAVIT_STATE_DIR: path.join(folder, 'state') };
    let complete = 0;
    let resumed = 0;
    let longest = 400;
    const all = rounds(4, 100);
    for (let round = 0; round < all; round += 1) {
      const cards = await Promise.all(
        [0, 512, 3 * mebibyte].map((more, index) =>
          attachUsedCard(t, path.join(folder, `card-${index}`), image.size + more),
        ),
      );
      const drives = cards.map((card) => card.path);
      const source = `${image.path}${random.pick(['', '.gz', '.xz', '.zst'])}`;
      const running = watchDavit(flashWords(source, ...drives), { environment });
      while (!running.output().includes('"phase":"write"') && running.child.exitCode === null) await wait(1);
      await wait(random.below(longest));
      running.child.kill(random.pick(['SIGKILL', 'SIGKILL', 'SIGTERM']));
      await running.result;
      for (const card of cards) complete += Number(await isTrapless(card, image, `round ${round} of ${source}`));
      // Whatever happens to a card meanwhile, going on must not trust it.
      for (const card of cards) await flipBit(card.file, random.below(image.size), random.below(8));
      const startedAt = performance.now();
      const again = await davit(flashWords(source, ...drives), { environment });
      // The next kill may come at any time until this one would have been over.
      longest = performance.now() - startedAt;
      assert.equal(again.exitCode, 0, again.stderr);
      resumed += Number(again.stderr.includes('resuming'));
      for (const card of cards) await assertHoldsImage(card.file, image);
      await Promise.all(cards.map((card) => card.detach()));
    }
    t.diagnostic(
      `${complete} of ${3 * all} cards were complete when davit was killed; ${resumed} of ${all} were resumed`,
    );
  },
);

/** Demands that a card has no table, the whole image, or, where the kill came before its table was wiped, what it held before; true for the image. */
async function isTrapless(card: LoopDevice, image: OsImage, when: string): Promise<boolean> {
  const { size } = await stat(card.file);
  if (await hasNoTable(card.file, size)) return false;
  const between = await bytesAt(card.file, mebibyte, image.size - 2 * mebibyte);
  if (between.equals(Buffer.alloc(between.length, 0xaa))) return false;
  const head = await bytesAt(card.file, 0, mebibyte);
  // The copy of the table is written first; then the table, all of it or nothing.
  const isHeadThere = head.equals(await bytesAt(image.path, 0, mebibyte));
  assert.ok(isHeadThere || head.equals(Buffer.alloc(mebibyte)), `${when}: half a table`);
  if (isHeadThere) await assertHoldsImage(card.file, image);
  return isHeadThere;
}

function codeOf(document: unknown): string {
  return (document as { error: { code: string } }).error.code;
}

/** Waits until a phase has got somewhere on a drive, or the program has ended. */
async function reachOn(drive: string, phase: 'write' | 'verify', running: WatchedDavit): Promise<void> {
  const seen = new RegExp(`"id":"${drive}","phase":"${phase}","state":"active","current":[1-9]`);
  while (!seen.test(running.output()) && running.child.exitCode === null) await wait(1);
}
