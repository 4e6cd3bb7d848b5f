import assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { interrupted } from '../../../src/lib/failure/failure.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { readUserFile } from '../../../src/lib/platform/read-user-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const skip = process.platform === 'win32' ? 'Windows has no named pipes in the file system' : false;

describe('a file of the user', { skip }, () => {
  test('is read whole, and says whether others may read it', async (t) => {
    const file = path.join(await temporaryFolder(t), 'file');
    await writeFile(file, 'a'.repeat(300_000), { mode: 0o600 });
    const own = await readUserFile(file);
    assert.deepEqual([own.bytes.length, own.isReadByOthers], [300_000, false]);
    await runChecked('opening it to others', 'chmod', ['644', file]);
    assert.equal((await readUserFile(file)).isReadByOthers, true);
    await assert.rejects(readUserFile(file, { most: 299_999 }), { code: 'file-too-large' });
  });

  test('may be a pipe whose writer comes late and writes slowly', async (t) => {
    const pipe = path.join(await temporaryFolder(t), 'pipe');
    await runChecked('making a pipe', 'mkfifo', [pipe]);
    const reading = readUserFile(pipe);
    const writer = await open(pipe, 'w');
    await writer.write('one ');
    await new Promise(setImmediate);
    await writer.write('two');
    await writer.close();
    assert.deepEqual(await reading, { bytes: Buffer.from('one two'), isReadByOthers: false });
  });

  for (const isWritten of [false, true]) {
    test(`is not waited for any more once interrupted, ${isWritten ? 'half written' : 'without a writer'}`, async (t) => {
      const pipe = path.join(await temporaryFolder(t), 'pipe');
      await runChecked('making a pipe', 'mkfifo', [pipe]);
      const controller = new AbortController();
      const reading = readUserFile(pipe, { signal: controller.signal });
      const writer = isWritten ? await open(pipe, 'w') : undefined;
      await writer?.write('half');
      await new Promise(setImmediate);
      controller.abort(interrupted());
      await assert.rejects(reading, { code: 'interrupted' });
      await writer?.close();
    });
  }

  test('is not read without end', async () => {
    await assert.rejects(readUserFile('/dev/zero', { what: 'the key' }), {
      code: 'file-too-large',
      message: /^reading the key \/dev\/zero: it has more than/,
    });
    assert.equal((await readUserFile('/dev/null')).bytes.length, 0);
  });

  test('is no folder', async (t) => {
    await assert.rejects(readUserFile(await temporaryFolder(t)), { code: 'eisdir', kind: 'usage' });
  });
});
