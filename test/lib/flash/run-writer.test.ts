import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import type { DrivePiece, WrittenRun } from '../../../src/lib/flash/drive-thread.js';
import { FlashJournal } from '../../../src/lib/flash/flash-journal.js';
import type { ImagePiece } from '../../../src/lib/flash/image-variant.js';
import type { DriveExtras } from '../../../src/lib/flash/plan-extras.js';
import { RunWriter } from '../../../src/lib/flash/run-writer.js';
import type { Notice } from '../../../src/lib/platform/progress.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const windowSize = 64;
const image = { name: 'image', size: 100 * windowSize, fingerprint: 'f' };
const drive = { path: '/dev/sdy', isFile: false, size: 1e6, bus: 'usb', model: 'Ultra', serial: '4C53' };

/** The one piece of window number `index`, which is full of that number. */
function pieceAt(index: number): ImagePiece {
  const bytes = Buffer.alloc(windowSize, index);
  const run = { start: index * windowSize, size: windowSize, checksum: crc32(bytes) };
  return { run, bytes, isOwn: true };
}

/** A drive that holds the windows for which `holds` says so, a clock, and a writer on them. */
async function setUp(
  t: TestContext,
  extras: Pick<DriveExtras, 'compare' | 'resumedFrom'>,
  holds: (index: number) => boolean = () => false,
) {
  const folder = await temporaryFolder(t);
  const calls: string[] = [];
  const indexOf = (piece: DrivePiece | undefined) => (piece?.start ?? 0) / windowSize;
  const target = {
    write: ([piece]: readonly DrivePiece[]) => {
      calls.push(`write ${indexOf(piece)}`);
      return Promise.resolve();
    },
    rewrite: (pieces: readonly DrivePiece[]) => {
      calls.push(`rewrite ${indexOf(pieces[0])}`);
      return Promise.resolve(pieces.filter((piece) => !holds(indexOf(piece))));
    },
    flush: () => {
      calls.push('flush');
      return Promise.resolve();
    },
  };
  const clock = { now: 0 };
  const notices: Notice[] = [];
  const journal = new FlashJournal(drive, image, folder);
  const writer = new RunWriter(target, {
    extras,
    journal,
    onBytes: () => undefined,
    now: () => clock.now,
    progress: (event) => {
      if (event.type === 'notice') notices.push(event);
    },
  });
  const write = async (index: number) => {
    const piece = pieceAt(index);
    await writer.write([piece]);
    return [piece.run];
  };
  return { writer, write, calls, clock, journal, notices };
}

test('flushes now and then and notes up to where, until it is done', async (t) => {
  const { writer, write, calls, clock, journal } = await setUp(t, { compare: 'nothing', resumedFrom: null });
  await writer.begin();
  assert.equal(await journal.reached(), 0);
  await write(0);
  clock.now = 9_999;
  await write(1);
  assert.equal(await journal.reached(), 0);
  clock.now = 10_000;
  await write(2);
  await write(3);
  assert.equal(await journal.reached(), 3 * windowSize);
  assert.deepEqual(calls, ['write 0', 'write 1', 'write 2', 'flush', 'write 3']);
  await writer.done();
  assert.equal(await journal.reached(), undefined);
});

test('compares what an interrupted flash came to, and goes on as long as what follows is there', async (t) => {
  const resumed = { compare: 'resumed', resumedFrom: 6 * windowSize } as const;
  const { writer, write, calls, journal } = await setUp(t, resumed, (index) => index !== 2 && index < 9);
  await writer.begin();
  // What was reached is not forgotten while it is compared.
  assert.equal(await journal.reached(), 6 * windowSize);
  for (let index = 0; index < 16; index += 1) await write(index);
  const compared = calls.filter((call) => call.startsWith('rewrite')).length;
  assert.equal(compared, 13);
  assert.equal(calls.at(-1), 'write 15');
  assert.deepEqual(
    [...writer.found].map((run) => run.start / windowSize),
    [0, 1, 3, 4, 5, 6, 7, 8],
  );
});

test('compares everything where that was asked for, whatever it finds', async (t) => {
  const { write, calls } = await setUp(t, { compare: 'everything', resumedFrom: null });
  for (let index = 0; index < 12; index += 1) await write(index);
  assert.ok(calls.every((call) => call.startsWith('rewrite')));
});

test('has what was written verified, and of what was found a part in front and some all over', async (t) => {
  const { writer, write } = await setUp(t, { compare: 'everything', resumedFrom: null }, (index) => index < 90);
  const runs: WrittenRun[] = [];
  for (let index = 0; index < 90; index += 1) runs.push(...(await write(index)));
  assert.deepEqual(writer.toVerify(runs), [], 'nothing was written that could have harmed what was found');
  for (let index = 90; index < 100; index += 1) runs.push(...(await write(index)));
  const again = writer.toVerify(runs).map((run) => run.start / windowSize);
  assert.deepEqual(again.slice(0, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(again.slice(-10), [90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
  assert.ok(again.length < 35 && again.some((index) => index > 40 && index < 60));
});
