import assert from 'node:assert/strict';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { flash } from '../../../src/lib/flash/flash.js';
import { planFlash } from '../../../src/lib/flash/plan-flash.js';
import { type ImageSource, openImageSource } from '../../../src/lib/image/source.js';
import type { Notice, StepProgress } from '../../../src/lib/platform/progress.js';
import { bytesAt } from '../../support/disk-content.js';
import { attachUsedCard, checked } from '../../support/loop-device.js';
import { makeOsImage, type OsImage } from '../../support/os-image.js';
import { slowCardsMissing, startSlowCard } from '../../support/slow-card.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const skip = slowCardsMissing;
const never = new AbortController().signal;

interface Setup {
  readonly folder: string;
  readonly image: OsImage;
  readonly open: (packed: boolean) => Promise<ImageSource>;
}

async function setUp(t: TestContext): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const open = async (packed: boolean) => {
    if (packed) await checked(['gzip', '-1', '--keep', image.path]);
    const file = packed ? `${image.path}.gz` : image.path;
    const source = await openImageSource(file, { standardInput: Readable.from([]), signal: never });
    t.after(() => source.close());
    return source;
  };
  return { folder, image, open };
}

/** Flashes every byte to a fast card and to one of a tenth of its speed, and gives what was reported, in order. */
async function flashFastAndSlow(t: TestContext, { folder, image, open }: Setup, packed: boolean) {
  const fast = await attachUsedCard(t, path.join(folder, 'fast'), image.size);
  const slow = await startSlowCard(t, { size: image.size, bytesPerSecond: 16e6 });
  const source = await open(packed);
  const drives = [slow.device.path, fast.path];
  const plan = await planFlash({ source, drives, everything: true, verify: 'none' });
  const events: (StepProgress | Notice)[] = [];
  const progress = (event: unknown) => events.push(event as StepProgress | Notice);
  const { drives: flashed } = await flash(plan, source, { signal: never, progress });
  assert.equal(flashed.length, 2);
  const expected = await bytesAt(image.path, 0, image.size);
  for (const drive of drives) assert.ok((await bytesAt(drive, 0, image.size)).equals(expected), drive);
  const fastIsDone = events.findIndex(
    (event) => event.type === 'step' && event.id === fast.path && event.phase === 'write' && event.state === 'done',
  );
  const slowBefore = events
    .slice(0, fastIsDone)
    .flatMap((event) => (event.type === 'step' && event.id === slow.device.path ? (event.current ?? 0) : []));
  return { events, shareOfSlow: Math.max(0, ...slowBefore) / image.size };
}

for (const packed of [false, true]) {
  test(
    `a slow card does not hold up a fast one that gets the same ${packed ? 'packed' : 'raw'} image`,
    { skip },
    async (t) => {
      const { shareOfSlow } = await flashFastAndSlow(t, await setUp(t), packed);
      assert.ok(shareOfSlow < 0.5, `the slow card had ${shareOfSlow} of the image when the fast one had all`);
    },
  );
}

test('a slow card sets the pace, and is right all the same, where no copy can be kept for it', { skip }, async (t) => {
  const setup = await setUp(t);
  const before = process.env.DAVIT_CACHE_DIR;
  // No folder can be made below a file.
  process.env.DAVIT_CACHE_DIR = path.join(setup.image.path, 'cache');
  t.after(() => {
    if (before === undefined) delete process.env.DAVIT_CACHE_DIR;
    else process.env.DAVIT_CACHE_DIR = before;
  });
  const { events, shareOfSlow } = await flashFastAndSlow(t, setup, true);
  assert.ok(shareOfSlow > 0.5, `the slow card had ${shareOfSlow} of the image when the fast one had all`);
  const notices = events.filter((event) => event.type === 'notice');
  assert.equal(notices.filter(({ text }) => text.includes('keeping a copy of the image')).length, 1);
});
