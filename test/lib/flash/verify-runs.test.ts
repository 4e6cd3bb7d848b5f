import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { flash } from '../../../src/lib/flash/flash.js';
import type { FlashResult } from '../../../src/lib/flash/flash-result.js';
import { planFlash, type VerifyMode } from '../../../src/lib/flash/plan-flash.js';
import { openImageSource } from '../../../src/lib/image/source.js';
import type { Notice, ProgressListener } from '../../../src/lib/platform/progress.js';
import { bytesAt, hasNoTable } from '../../support/disk-content.js';
import { attachUsedCard, checked, type LoopDevice, loopDevicesMissing } from '../../support/loop-device.js';
import { makeOsImage, type OsImage } from '../../support/os-image.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const skip = loopDevicesMissing;
const signal = new AbortController().signal;

interface Setup {
  readonly image: OsImage;
  readonly card: LoopDevice;
  /** Flashes a form of the image; `damage` is done to the card whenever it begins to be read back. */
  readonly flash: (form: 'raw' | 'gz' | 'stdin', damage: () => void, verify?: VerifyMode) => Promise<FlashResult>;
  readonly notices: Notice[];
  /** Writes bytes over what the card holds in the middle of rootA. */
  readonly damage: (bytes: Buffer) => void;
}

async function setUp(t: TestContext): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const notices: Notice[] = [];
  const root = image.partitions.find((one) => one.label === 'resin-rootA');
  assert.ok(root);
  return {
    image,
    card,
    notices,
    damage: (bytes) => {
      const descriptor = openSync(card.file, 'r+');
      // Where the inode tables are, which are written whatever the file system holds.
      writeSync(descriptor, bytes, 0, bytes.length, root.start + 4096 * 20);
      closeSync(descriptor);
    },
    flash: async (form, damage, verify = 'full') => {
      if (form === 'gz') await checked(['gzip', '-1', '--keep', image.path]);
      const standardInput = form === 'stdin' ? createReadStream(image.path) : Readable.from([]);
      const location = { raw: image.path, gz: `${image.path}.gz`, stdin: '-' }[form];
      const source = await openImageSource(location, { standardInput, signal });
      t.after(() => source.close());
      const plan = await planFlash({ source, drives: [card.path], everything: true, verify });
      const progress: ProgressListener = (event) => {
        if (event.type === 'notice') notices.push(event);
        // It is reported before the first read.
        if (event.type === 'step' && event.phase === 'verify' && event.state === 'active' && event.current === 0)
          damage();
      };
      return flash(plan, source, { signal, progress });
    },
  };
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) work();
    isDone = true;
  };
}

for (const form of ['raw', 'gz'] as const) {
  test(`writes what a card lost again, from a ${form} image, and says so`, { skip }, async (t) => {
    const { image, card, flash, notices, damage } = await setUp(t);
    const result = await flash(
      form,
      once(() => {
        damage(Buffer.alloc(9000, 0x42));
      }),
    );
    assert.equal(result.drives[0]?.runsRepaired, 1);
    assert.ok((await bytesAt(card.file, 0, image.size)).equals(await bytesAt(image.path, 0, image.size)));
    assert.ok(notices.some(({ text }) => text.includes('was written again')));
  });
}

test('gives a card up that loses the same place again and again, and says what it points at', { skip }, async (t) => {
  const { image, card, flash, damage } = await setUp(t);
  let times = 0;
  const flashing = flash('raw', () => {
    times += 1;
    damage(Buffer.alloc(8192, 0xff));
  });
  await assert.rejects(flashing, (error) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.code, 'verification-failed');
    assert.match(error.message, /in partition 2 \(resin-rootA\), read back differently; it gives only ones there/);
    return true;
  });
  assert.equal(times, 4);
  assert.ok(await hasNoTable(card.file, image.size));
});

test('cannot write again what came from standard input', { skip }, async (t) => {
  const { image, card, flash, damage } = await setUp(t);
  await assert.rejects(
    flash(
      'stdin',
      once(() => {
        damage(Buffer.alloc(9000, 0x42));
      }),
    ),
    /read back differently/,
  );
  assert.ok(await hasNoTable(card.file, image.size));
});

test('reads everything once a sample has shown that something is wrong', { skip }, async (t) => {
  const { image, card, flash, damage } = await setUp(t);
  const all = await flash('raw', () => undefined, 'sample');
  assert.equal(all.drives[0]?.runsRepaired, 0);
  // All runs of so small an image are in the sample; the share of a large one is tested with the sample itself.
  const result = await flash(
    'raw',
    once(() => {
      damage(Buffer.alloc(9000, 0x42));
    }),
    'sample',
  );
  assert.equal(result.drives[0]?.runsRepaired, 1);
  assert.equal(result.drives[0].bytesVerified, result.drives[0].bytesWritten);
  assert.ok((await bytesAt(card.file, 0, image.size)).equals(await bytesAt(image.path, 0, image.size)));
});
