import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { copyFile } from '../../../src/lib/device/copy-file.js';
import type { FileEntry, OpenFile } from '../../../src/lib/platform/files.js';
import { LocalFiles } from '../../../src/lib/device/local-files.js';

/** Files of which each is the one given. */
function filesOf(file: Partial<OpenFile>) {
  const whole: OpenFile = {
    read: (buffer) => Promise.resolve(buffer.length),
    write: () => Promise.resolve(),
    setAttributes: () => Promise.resolve(),
    close: () => Promise.resolve(),
    ...file,
  };
  return Object.assign(new LocalFiles(), {
    openToRead: () => Promise.resolve(whole),
    create: () => Promise.resolve(whole),
  });
}

describe('copyFile', () => {
  const entry: FileEntry = { kind: 'file', mode: 0o644, size: 20_000_000, isSparse: false, modified: 0 };

  it('writes nothing more to a file that it has closed because a piece could not be read', async () => {
    let isClosed = false;
    let late = 0;
    const broken = new Error('EIO');
    const from = filesOf({
      read: async (buffer, position) => {
        if (position === 0) throw broken;
        for (let turn = 0; turn < 20; turn++) await setImmediate();
        return buffer.length;
      },
    });
    const to = filesOf({
      write: () => {
        // A server may have given the handle to another file by then.
        if (isClosed) late++;
        return Promise.resolve();
      },
      close: () => {
        isClosed = true;
        return Promise.resolve();
      },
    });
    const { signal } = new AbortController();
    const copying = copyFile({ files: from, path: 'a' }, entry, { files: to, path: 'b' }, signal, () => undefined);
    await assert.rejects(copying, broken);
    for (let turn = 0; turn < 200; turn++) await setImmediate();
    assert.ok(isClosed);
    assert.equal(late, 0);
  });

  it('writes what lies between holes, and nothing more', async () => {
    const block = 64 * 1024;
    const content = Buffer.alloc(20 * block + 5);
    for (const filled of [3, 4, 9]) content.fill(1, filled * block, (filled + 1) * block);
    content.write('end', 20 * block);
    const written: [position: number, bytes: number][] = [];
    const from = filesOf({
      read: (buffer, position) => Promise.resolve(content.copy(buffer, 0, position)),
    });
    const to = filesOf({
      write: (buffer, position) => {
        assert.ok(buffer.equals(content.subarray(position, position + buffer.length)));
        written.push([position / block, buffer.length / block]);
        return Promise.resolve();
      },
    });
    const { signal } = new AbortController();
    const sparse = { ...entry, size: content.length, isSparse: true };
    await copyFile({ files: from, path: 'a' }, sparse, { files: to, path: 'b' }, signal, () => undefined);
    const inOrder = written.toSorted(([one], [other]) => one - other);
    assert.deepEqual(inOrder, [
      [3, 2],
      [9, 1],
      [20, 5 / block],
    ]);
  });
});
