import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import type { BlockReader } from '../../../src/lib/image/block-file.js';
import { FatFileSystem } from '../../../src/lib/image/fat-file-system.js';
import type { FatPlacement } from '../../../src/lib/image/fat-table.js';
import { Overlay, type StagedChanges } from '../../../src/lib/image/overlay.js';
import { applyStages, stateOf, undoStages } from '../../../src/lib/image/staged-changes.js';
import { run } from '../../../src/lib/platform/child-process.js';
import { rounds } from '../../support/campaign.js';
import { assertClean, type FatOptions, makeFatDisk } from '../../support/fat-disk.js';
import { RecordingDisk, SectorDisk } from '../../support/power-loss.js';
import { type SeededRandom, seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const inOrder = { inOrder: true } as const;

const shapes: readonly FatOptions[] = [
  { bits: 12, clusterSectors: 1 },
  { bits: 12, clusterSectors: 8, words: ['-f', '1'] },
  { bits: 16, clusterSectors: 4 },
  { bits: 16, size: 17 * 1024 * 1024, clusterSectors: 1, words: ['-S', '4096'] },
  { bits: 32, size: 34 * 1024 * 1024, clusterSectors: 1 },
];

const names = [
  ...['config.json', 'config.txt', 'README.TXT', 'splash/balena-logo.png', 'system-proxy/redsocks.conf'],
  ...['system-connections/resin-wifi', 'system-connections/home.nmconnection', 'system-connections/README.ignore'],
  ...['system-connections/a network with a very long name that takes many slots.nmconnection', 'new folder/deep/file'],
  ...Array.from({ length: 20 }, (_, index) => `system-connections/one of many networks, number ${index}`),
];

type Files = ReadonlyMap<string, Buffer>;

/** All files of a file system as davit reads it. */
async function filesOn(disk: BlockReader): Promise<Map<string, Buffer>> {
  const fat = await FatFileSystem.open(new Overlay(disk));
  assert.ok(fat);
  const files = new Map<string, Buffer>();
  const walk = async (folder: string) => {
    for (const { name, isFolder } of (await fat.list(folder)) ?? []) {
      const file = `${folder}${name}`;
      if (isFolder) await walk(`${file}/`);
      else files.set(file, (await fat.read(file)) ?? Buffer.alloc(0));
    }
  };
  await walk('');
  return files;
}

/** A file system with files in pieces all over it, and a change of it that has to leave each file old or new. */
async function prepare(t: TestContext, shape: FatOptions, random: SeededRandom, placement: FatPlacement = 'beside') {
  const disk = await makeFatDisk(t, shape);
  const content = () => random.bytes(random.pick([0, 1, 200, 512, 2000, 9000, 20_000]));
  for (let round = 0; round < 3; round += 1) {
    await disk.change(async (fat) => {
      for (let step = 0; step < 12; step += 1) {
        const name = random.pick(names);
        if (random.below(3) === 0) await fat.remove(name);
        else await fat.write(name, content());
      }
    });
  }
  const base = await readFile(disk.path);
  const overlay = new Overlay(new SectorDisk(base));
  const fat = await FatFileSystem.open(overlay, { placement });
  assert.ok(fat);
  const count = 1 + random.below(6);
  const chosen = new Set(Array.from({ length: count }, () => random.pick(names)));
  for (const name of chosen) {
    if (random.below(4) === 0) await fat.remove(name);
    else await fat.write(name, content());
  }
  const before = await filesOn(new SectorDisk(base));
  const after = await filesOn(overlay);
  return {
    base,
    changes: await overlay.staged(),
    before,
    after,
    wanted: new SectorDisk(base, sectorsOf(await overlay.changes())),
  };
}

function sectorsOf(changes: readonly { readonly offset: number; readonly data: Buffer }[]): Map<number, Buffer> {
  const sectors = new Map<number, Buffer>();
  for (const { offset, data } of changes) {
    for (let at = 0; at < data.length; at += 512) sectors.set((offset + at) / 512, data.subarray(at, at + 512));
  }
  return sectors;
}

function same(one: Buffer | undefined, other: Buffer | undefined): boolean {
  return one === undefined ? other === undefined : other !== undefined && one.equals(other);
}

async function assertEachOldOrNew(disk: BlockReader, before: Files, after: Files): Promise<void> {
  const now = await filesOn(disk);
  for (const name of new Set([...before.keys(), ...after.keys(), ...now.keys()])) {
    const found = now.get(name);
    assert.ok(same(found, before.get(name)) || same(found, after.get(name)), `${name} is neither old nor new`);
  }
}

/** What fsck.fat may find in the middle of a change: space that is lost, and tables and counts of which one is written. */
const harmless = [
  /^FATs differ but appear to be intact\.$/,
  /^ *Using first FAT\.$/,
  /^Reclaimed \d+ unused clusters? \(\d+ bytes\)\.$/,
  /^Free cluster summary wrong \(\d+ vs\. really \d+\)$/,
  /^ *Auto-correcting\.$/,
  /^fsck\.fat \d/,
  /^Leaving filesystem unchanged\.$/,
  /: \d+ files, \d+\/\d+ clusters$/,
  /^$/,
];

async function assertHarmless(file: string, disk: SectorDisk): Promise<void> {
  await writeFile(file, disk.whole());
  const { stdout } = await run('fsck.fat', ['-n', file]);
  const found = stdout.split('\n').filter((line) => !harmless.some((shape) => shape.test(line)));
  assert.deepEqual(found, [], stdout);
}

async function assertTakenBack(lost: SectorDisk, base: Buffer, changes: StagedChanges): Promise<RecordingDisk> {
  const again = new RecordingDisk(lost.whole());
  assert.notEqual(await stateOf(again, changes), 'unknown');
  await undoStages(again, changes, inOrder);
  assert.ok(again.end().whole().equals(base), 'the old state is restored to the byte');
  return again;
}

describe('a change in stages, when the power fails at any moment,', () => {
  for (const [index, shape] of shapes.entries()) {
    const what = `FAT${shape.bits} with clusters of ${shape.clusterSectors} sectors`;
    test(`leaves each file old or new and can be taken back, on ${what}`, async (t) => {
      const file = path.join(await temporaryFolder(t), 'disk');
      let states = 0;
      for (let round = 0; round < rounds(3, 60); round += 1) {
        const random = seededRandom(1000 * index + round);
        const { base, changes, before, after, wanted } = await prepare(t, shape, random);
        const disk = new RecordingDisk(base);
        await applyStages(disk, changes, inOrder);
        assert.ok(disk.end().whole().equals(wanted.whole()), 'the stages lead to the change');
        for (const lost of disk.afterPowerLoss(random, 16)) {
          states += 1;
          await assertEachOldOrNew(lost, before, after);
          if (random.below(12) > 0) continue;
          await assertHarmless(file, lost);
          const again = await assertTakenBack(lost, base, changes);
          // The power may fail once more.
          for (const twice of again.afterPowerLoss(random, 2)) {
            await assertEachOldOrNew(twice, before, after);
            if (random.below(8) === 0) await assertTakenBack(twice, base, changes);
          }
        }
        await writeFile(file, disk.end().whole());
        await assertClean(file);
      }
      t.diagnostic(`${states} states`);
    });
  }

  test('can be taken back from any order of writes where the new was written over the old', async (t) => {
    for (let round = 0; round < rounds(4, 60); round += 1) {
      const random = seededRandom(5000 + round);
      const { base, changes, wanted } = await prepare(t, { bits: 16, clusterSectors: 2 }, random, 'over');
      const disk = new RecordingDisk(base);
      await applyStages(disk, changes, { inOrder: false });
      assert.equal(disk.flushes, changes.stages.length > 0 ? 1 : 0);
      assert.ok(disk.end().whole().equals(wanted.whole()), 'the stages lead to the change');
      for (const lost of disk.afterPowerLoss(random, 10)) await assertTakenBack(lost, base, changes);
    }
  });

  test('is refused where there is no room for both the old and the new', async (t) => {
    const disk = await makeFatDisk(t, { bits: 12, size: 256 * 1024, clusterSectors: 1 });
    await disk.change(async (fat) => {
      await fat.write('big', Buffer.alloc(fat.freeBytes - 512, 7));
    });
    const overlay = new Overlay(new SectorDisk(await readFile(disk.path)));
    const fat = await FatFileSystem.open(overlay, { placement: 'beside' });
    assert.ok(fat);
    const full = (error: unknown) => error instanceof Failure && error.code === 'boot-partition-full';
    await assert.rejects(fat.write('big', Buffer.alloc(1000, 8)), full);
    await fat.write('small', Buffer.from('x'));
    assert.equal(await fat.missingBytes([{ path: 'big', content: Buffer.alloc(1000, 8) }]), 1024);
  });

  test('is left alone when something else has written where it goes', async (t) => {
    const random = seededRandom(77);
    const { base, changes } = await prepare(t, { bits: 16 }, random);
    const disk = new RecordingDisk(base);
    assert.equal(await stateOf(disk, changes), 'old');
    await applyStages(disk, changes, inOrder);
    assert.equal(await stateOf(disk, changes), 'new');
    const place = changes.before[0]?.offset ?? 0;
    await disk.write(place, random.bytes(512));
    assert.equal(await stateOf(disk, changes), 'unknown');
  });
});
