import assert from 'node:assert/strict';
import { chmod, link, readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import { changeImage, openImageFile, restoreImage } from '../../../src/lib/image/image-journal.js';
import { applyChanges, type StagedChanges } from '../../../src/lib/image/overlay.js';
import { encodeUndoJournal, parseUndoJournal } from '../../../src/lib/image/undo-journal.js';
import { ownProcess } from '../../../src/lib/platform/process-identity.js';
import { asNobody, davit, runProgram } from '../../support/davit.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const rootMissing = process.getuid?.() === 0 ? false : 'needs root to become somebody else';

const goneProcess = async () => (await ownProcess()).replace(/^\d+\.\d*/, '4194303.1');

async function setUp(t: TestContext) {
  const folder = await temporaryFolder(t);
  const image = path.join(folder, 'device.img');
  const random = seededRandom(3);
  const old = random.bytes(64 * 1024);
  await writeFile(image, old);
  await utimes(image, 1_700_000_000, 1_600_000_000);
  const sector = (offset: number) => ({ offset, data: random.bytes(512) });
  const stages = [[sector(4096), sector(8192)], [sector(0)], [sector(4096)]];
  const before = [0, 4096, 8192].map((offset) => ({ offset, data: old.subarray(offset, offset + 512) }));
  const changes: StagedChanges = { before, stages };
  const journal = `${image}.davit-undo`;
  /** Makes the first writes of the change and leaves a journal, as a davit that was killed does. */
  const leave = async (writes: number, owner?: string) => {
    const { ino, atimeMs, mtimeMs } = await stat(image);
    const facts = { owner: owner ?? (await goneProcess()), inode: ino, accessedMs: atimeMs, modifiedMs: mtimeMs };
    await writeFile(journal, encodeUndoJournal({ ...facts, changes }));
    await write(stages.flat().slice(0, writes));
  };
  const write = async (ranges: StagedChanges['before']) => {
    const file = await openBlockFile(image, { writable: true });
    await applyChanges(file, ranges);
    await file.close();
  };
  return { folder, image, old, changes, journal, leave, write };
}

describe('an image that is changed in place', () => {
  it('is changed, and no journal stays', async (t) => {
    const { folder, image, old, changes } = await setUp(t);
    const file = await openBlockFile(image, { writable: true });
    await changeImage(file, changes, () => Promise.resolve());
    await file.close();
    const expected = Buffer.from(old);
    for (const { offset, data } of changes.stages.flat()) data.copy(expected, offset);
    assert.ok(expected.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('is refused for a change, and read as it is, where a pipe or a folder has the name of its journal', async (t) => {
    for (const make of ['mkfifo', 'mkdir']) {
      const { image, old, changes, journal } = await setUp(t);
      assert.equal((await runProgram([make, journal])).exitCode, 0);
      const { file } = await openImageFile(image);
      await file.close();
      const writable = await openBlockFile(image, { writable: true });
      await assert.rejects(
        changeImage(writable, changes, () => Promise.resolve()),
        { code: 'output-not-a-file' },
      );
      await writable.close();
      assert.ok(old.equals(await readFile(image)));
    }
  });

  it('is written only while its whole journal is there, which goes only when all is flushed', async (t) => {
    const { image, changes, journal } = await setUp(t);
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    const steps: string[] = [];
    const [write, sync] = [file.write.bind(file), file.sync.bind(file)];
    const note = async (step: string) => {
      const whole = parseUndoJournal(await readFile(journal, 'utf8').catch(() => ''));
      steps.push(whole === undefined ? `${step} without journal` : step);
    };
    file.write = async (offset, data) => {
      await note('write');
      await write(offset, data);
    };
    file.sync = async () => {
      await sync();
      await note('flushed');
    };
    await changeImage(file, changes, () => note('check'));
    assert.deepEqual(steps, ['check', 'write', 'write', 'write', 'write', 'flushed']);
  });

  for (const writes of [0, 1, 2, 3]) {
    it(`is as it was before when davit was killed after ${writes} writes`, async (t) => {
      const { folder, image, old, leave } = await setUp(t);
      await leave(writes);
      const { file, notices } = await openImageFile(image);
      await file.close();
      assert.ok(old.equals(await readFile(image)));
      assert.equal(notices.length, writes === 0 ? 0 : 1);
      assert.equal((await stat(image)).mtimeMs, 1_600_000_000_000, 'it also has the time of its old content');
      assert.deepEqual(await readdir(folder), ['device.img']);
    });
  }

  it('is as it is to be when davit was killed after the last write', async (t) => {
    const { folder, image, leave } = await setUp(t);
    await leave(4);
    const changed = await readFile(image);
    assert.deepEqual(await restoreImage(image), []);
    assert.ok(changed.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('is put back by the process itself when a write fails', async (t) => {
    const { folder, image, old, changes } = await setUp(t);
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    let writes = 0;
    const write = file.write.bind(file);
    file.write = (offset, data) => {
      writes += 1;
      return writes === 3 ? Promise.reject(new Error('no space left')) : write(offset, data);
    };
    await assert.rejects(
      changeImage(file, changes, () => Promise.resolve()),
      /no space left/,
    );
    assert.ok(old.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('is not touched when it is no longer what the change was planned for', async (t) => {
    const { folder, image, old, changes } = await setUp(t);
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    await assert.rejects(
      changeImage(file, changes, () => Promise.reject(new Error('changed'))),
      /^Error: changed$/,
    );
    assert.ok(old.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('keeps what somebody else has written since it was planned for', async (t) => {
    const { folder, image, changes } = await setUp(t);
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    for (const { offset, data } of changes.stages[0] ?? []) await file.write(offset, data);
    const theirs = await readFile(image);
    await assert.rejects(
      changeImage(file, changes, () => Promise.reject(new Error('changed'))),
      /^Error: changed$/,
    );
    assert.ok(theirs.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('is refused to others meanwhile', async (t) => {
    const { image, changes, leave } = await setUp(t);
    await leave(1, await ownProcess());
    const before = await readFile(image);
    await assert.rejects(restoreImage(image), { kind: 'refused', code: 'image-in-use' });
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    await assert.rejects(
      changeImage(file, changes, () => Promise.resolve()),
      { kind: 'refused', code: 'image-in-use' },
    );
    assert.ok(before.equals(await readFile(image)));
  });

  it('is refused while another davit has it locked, which may know it by another name', async (t) => {
    const { folder, image, old, changes } = await setUp(t);
    await link(image, path.join(folder, 'other.img'));
    const other = await openBlockFile(path.join(folder, 'other.img'), { writable: true });
    t.after(() => other.close());
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    let isRefused = false;
    await changeImage(other, changes, async () => {
      await assert.rejects(
        changeImage(file, changes, () => Promise.resolve()),
        { kind: 'refused', code: 'image-in-use' },
      );
      isRefused = true;
    });
    assert.ok(isRefused);
    assert.ok(!old.equals(await readFile(image)));
    assert.deepEqual((await readdir(folder)).sort(), ['device.img', 'other.img']);
  });

  it('is put back by others than its owner, if they may write it', { skip: rootMissing }, async (t) => {
    const { folder, image, old, journal, leave } = await setUp(t);
    await chmod(folder, 0o777);
    await chmod(image, 0o666);
    await leave(2);
    const inspect = () => davit(['os', 'inspect', image], { wrapper: asNobody });
    assert.equal((await inspect()).exitCode, 4, 'it is put back, but no OS image');
    assert.ok(old.equals(await readFile(image)));
    await leave(2);
    await chmod(folder, 0o755);
    assert.equal((await inspect()).exitCode, 7, 'it is put back, but its journal cannot be removed');
    assert.ok(old.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), [path.basename(image), path.basename(journal)]);
  });

  it('is refused to all while it is unknown whether a davit on another computer is at it', async (t) => {
    const { image, leave } = await setUp(t);
    await leave(1, (await goneProcess()).replace(/\w+$/, 'elsewhere'));
    await assert.rejects(restoreImage(image), { kind: 'refused', code: 'image-in-use' });
  });

  it('is as it was when the computer was started anew since', async (t) => {
    const { image, old, leave } = await setUp(t);
    const [, , namespace, , computer] = (await ownProcess()).split('.');
    await leave(2, `${process.pid}.1.${namespace}.otherboot.${computer}`);
    assert.equal((await restoreImage(image)).length, 1);
    assert.ok(old.equals(await readFile(image)));
  });

  it('is left alone by a journal of which only a part was written', async (t) => {
    const { folder, image, old, journal, leave } = await setUp(t);
    await leave(0);
    const whole = await readFile(journal);
    for (const length of [0, 1, 100, whole.length - 70, whole.length - 2]) {
      await writeFile(journal, whole.subarray(0, length));
      assert.deepEqual(await restoreImage(image), []);
      assert.ok(old.equals(await readFile(image)));
      assert.deepEqual(await readdir(folder), ['device.img']);
    }
  });

  it('is refused when something else has changed it since', async (t) => {
    const { folder, image, leave, write } = await setUp(t);
    await leave(2);
    await write([{ offset: 0, data: Buffer.alloc(512, 9) }]);
    const now = await readFile(image);
    await assert.rejects(restoreImage(image), { kind: 'refused', code: 'image-half-changed' });
    assert.ok(now.equals(await readFile(image)));
    assert.equal((await readdir(folder)).length, 2, 'the journal stays');
  });

  it('is taken as it is when another one has got its name', async (t) => {
    const { folder, image, leave } = await setUp(t);
    await leave(2);
    const other = seededRandom(8).bytes(64 * 1024);
    await writeFile(`${image}.new`, other);
    await rename(`${image}.new`, image);
    assert.equal((await restoreImage(image)).length, 1);
    assert.ok(other.equals(await readFile(image)));
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('keeps its content to those who may read it', async (t) => {
    const { image, changes, journal } = await setUp(t);
    await chmod(image, 0o640);
    const file = await openBlockFile(image, { writable: true });
    t.after(() => file.close());
    let mode = 0;
    await changeImage(file, changes, async () => {
      mode = (await stat(journal)).mode & 0o777;
    });
    assert.equal(mode, 0o640);
  });
});
