import assert from 'node:assert/strict';
import { readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { rounds } from '../support/campaign.js';
import { davit, watchDavit } from '../support/davit.js';
import { bytesAt, hasNoTable, partitionContent } from '../support/disk-content.js';
import { attachUsedCard, checked, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { seededRandom } from '../support/seeded-random.js';
import { slowCardsMissing, startSlowCard } from '../support/slow-card.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;
const flashWords = (source: string, drive: string) => [
  'flash',
  source,
  '--drive',
  drive,
  '--yes',
  '--progress',
  'json',
];

async function someImage(t: TestContext): Promise<{ readonly folder: string; readonly image: OsImage }> {
  const folder = await temporaryFolder(t);
  return { folder, image: await makeOsImage(path.join(folder, 'image.img')) };
}

/** True from the moment on when some but not all has been written. */
const isWriting = (output: string) => /"phase":"write","state":"active","current":[1-9]/.test(output);

for (const format of ['gz', 'xz', 'zst']) {
  for (const fault of ['truncated', 'corrupt'] as const) {
    test(
      `ends with 5 on a ${fault} ${format}, naming it, and leaves no partition table`,
      { skip: loopDevicesMissing },
      async (t) => {
        const { folder, image } = await someImage(t);
        const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
        const packed = `${image.path}.${format}`;
        const programs: Readonly<Record<string, string>> = { gz: 'gzip -1', xz: 'xz -0', zst: 'zstd -1' };
        await checked(['sh', '-c', `${programs[format] ?? ''} -q <${image.path} >${packed}`]);
        const { size } = await stat(packed);
        if (fault === 'truncated') await truncate(packed, size - 1000);
        else {
          const bytes = await readFile(packed);
          await writeFile(packed, bytes.fill('wrong', Math.floor(size * 0.9), Math.floor(size * 0.9) + 100));
        }
        const { exitCode, stderr } = await davit(flashWords(packed, card.path));
        assert.equal(exitCode, 5, stderr);
        assert.ok(stderr.includes(`${packed} is truncated or corrupt`), stderr);
        assert.ok(await hasNoTable(card.file, image.size));
      },
    );
  }
}

test(
  'ends with 5 when a card gives back other bytes than it was given, saying where',
  { skip: slowCardsMissing },
  async (t) => {
    const { image } = await someImage(t);
    const rootA = image.partitions.find((one) => one.label === 'resin-rootA');
    assert.ok(rootA);
    const card = await startSlowCard(t, {
      size: image.size,
      // The superblock of rootA, which is written whatever the file system holds.
      corruptedAt: { start: rootA.start + 1024, size: 512 },
    });
    const { exitCode, stderr } = await davit(flashWords(image.path, card.device.path));
    assert.equal(exitCode, 5, stderr);
    assert.match(stderr, /read back differently/);
    assert.match(stderr, /in partition 2 \(resin-rootA\)/);
    assert.ok(await hasNoTable(card.device.path, image.size));
  },
);

test(
  'wipes the partition table again when that itself reads back differently',
  { skip: slowCardsMissing },
  async (t) => {
    const { image } = await someImage(t);
    const card = await startSlowCard(t, { size: image.size, corruptedAt: { start: 512, size: 512 } });
    const { exitCode, stderr } = await davit(flashWords(image.path, card.device.path));
    assert.equal(exitCode, 5, stderr);
    assert.match(stderr, /in the partition table, read back differently/);
  },
);

test(
  'ends with 5 when the card dies while it is written, and nothing boots from it',
  { skip: slowCardsMissing },
  async (t) => {
    const { image } = await someImage(t);
    const card = await startSlowCard(t, { size: image.size + 8 * mebibyte, bytesPerSecond: 20e6 });
    const ended = watchDavit(flashWords(image.path, card.device.path));
    while (!isWriting(ended.output())) await wait(5);
    await card.fail();
    const { exitCode, stderr } = await ended.result;
    assert.equal(exitCode, 5, stderr);
    assert.match(stderr, new RegExp(`error: writing ${card.device.path} at byte \\d+`));
    assert.match(stderr, /no partition table/);
    await card.heal();
    assert.ok(await hasNoTable(card.device.path, image.size + 8 * mebibyte));
  },
);

test('does not claim to have wiped a card that took nothing', { skip: slowCardsMissing }, async (t) => {
  const { image } = await someImage(t);
  const card = await startSlowCard(t, { size: image.size });
  await card.fail();
  const { exitCode, stderr } = await davit(flashWords(image.path, card.device.path));
  assert.equal(exitCode, 5, stderr);
  assert.doesNotMatch(stderr, /no partition table/);
  assert.match(stderr, /may hold half a system/);
});

test(
  'ends with 5 when the image can no longer be read, and nothing boots from the card',
  { skip: slowCardsMissing },
  async (t) => {
    const { folder, image } = await someImage(t);
    const reader = await startSlowCard(t, { size: image.size, bytesPerSecond: 60e6 });
    await checked(['dd', `if=${image.path}`, `of=${reader.device.path}`, 'bs=4M', 'oflag=direct', 'status=none']);
    const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
    const ended = watchDavit([...flashWords(reader.device.path, card.path), '--all']);
    while (!isWriting(ended.output())) await wait(5);
    await reader.fail();
    const { exitCode, stderr } = await ended.result;
    assert.equal(exitCode, 5, stderr);
    assert.match(stderr, new RegExp(`reading ${reader.device.path} at byte`));
    assert.ok(await hasNoTable(card.file, image.size));
  },
);

test('goes on with the other cards when one dies, and ends with 5', { skip: slowCardsMissing }, async (t) => {
  const { folder, image } = await someImage(t);
  const dying = await startSlowCard(t, { size: image.size, bytesPerSecond: 20e6 });
  const good = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const ended = watchDavit([...flashWords(image.path, dying.device.path), '--drive', good.path]);
  while (!isWriting(ended.output())) await wait(5);
  await dying.fail();
  const { exitCode, stderr } = await ended.result;
  assert.equal(exitCode, 5, stderr);
  assert.match(stderr, /1 of 2 drives failed/);
  for (const partition of image.partitions) {
    assert.equal((await partitionContent(good.file, partition)).problems, 0);
  }
  assert.ok((await bytesAt(good.file, 0, mebibyte)).equals(await bytesAt(image.path, 0, mebibyte)));
});

test(
  'ends with 130 on Ctrl-C and SIGTERM, leaves no partition table and no program behind',
  { skip: slowCardsMissing },
  async (t) => {
    const { image } = await someImage(t);
    await checked(['sh', '-c', `xz -0 --block-size=4MiB -k ${image.path}`]);
    const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 20e6 });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const { exitCode, stderr } = await davit(flashWords(`${image.path}.xz`, card.device.path), {
        kill: { signal, when: isWriting },
      });
      assert.equal(exitCode, 130, stderr);
      assert.match(stderr, /holds no partition table now/);
      assert.ok(await hasNoTable(card.device.path, image.size));
      // Nobody holds the card any more.
      await checked(['blockdev', '--flushbufs', card.device.path]);
    }
  },
);

test(
  'holds back the copy of the table at the end of the card until everything else has been read back',
  { skip: slowCardsMissing },
  async (t) => {
    const { image } = await someImage(t);
    const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 100e6 });
    const { signal, stderr } = await davit(flashWords(image.path, card.device.path), {
      kill: { signal: 'SIGKILL', when: (output) => /"phase":"verify","state":"active","current":[1-9]/.test(output) },
    });
    assert.equal(signal, 'SIGKILL', stderr);
    assert.ok(await hasNoTable(card.device.path, image.size));
  },
);

test(
  'whenever it is killed, the card has no partition table unless everything on it is right',
  { skip: slowCardsMissing },
  async (t) => {
    const { folder, image } = await someImage(t);
    const random = seededRandom(20260101);
    const tailAt = image.size - mebibyte;
    let complete = 0;
    const all = rounds(8, 300);
    for (let round = 0; round < all; round += 1) {
      const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
      const signal = random.pick(['SIGINT', 'SIGTERM', 'SIGKILL'] as const);
      const ended = watchDavit(flashWords(image.path, card.path));
      // Any time from before the first write to after the last.
      while (!ended.output().includes('"phase":"write"') && ended.child.exitCode === null) await wait(1);
      await wait(random.below(120));
      ended.child.kill(signal);
      await ended.result;
      if (await hasNoTable(card.path, image.size)) {
        await card.detach();
        continue;
      }
      const between = await bytesAt(card.path, mebibyte, tailAt - mebibyte);
      if (between.equals(Buffer.alloc(between.length, 0xaa))) {
        // Killed before the old table was wiped whole: nothing of the image is on the card.
        await card.detach();
        continue;
      }
      complete += 1;
      // The copy of the table comes first.
      const [head, tail] = [await bytesAt(card.path, 0, mebibyte), await bytesAt(card.path, tailAt, mebibyte)];
      assert.ok(tail.equals(await bytesAt(image.path, tailAt, mebibyte)), `round ${round}: half a copy`);
      const isHeadRight = head.equals(await bytesAt(image.path, 0, mebibyte));
      assert.ok(isHeadRight || head.equals(Buffer.alloc(mebibyte)), `round ${round}: half a table`);
      for (const partition of image.partitions) {
        const content = await partitionContent(card.file, partition);
        assert.deepEqual(content, { ...(await partitionContent(image.path, partition)), problems: 0 });
      }
      await card.detach();
    }
    t.diagnostic(`${complete} of ${all} rounds were complete`);
  },
);
