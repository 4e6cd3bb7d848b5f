import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { findDrive } from '../../../src/lib/drives/find-drive.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { alignedBuffer } from '../../../src/lib/flash/aligned-memory.js';
import { DriveWriter } from '../../../src/lib/flash/drive-writer.js';
import { fillFile } from '../../support/loop-device.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const isInterrupted = (error: unknown) => error instanceof Failure && error.kind === 'interrupted';

test('stays stopped when it recovers from a failure, until it is told to go on', async (t) => {
  const card = path.join(await temporaryFolder(t), 'card');
  await fillFile(card, 4 * 1024 * 1024, 0xaa);
  const writer = await DriveWriter.open(await findDrive(card));
  t.after(() => writer.close());
  const beyondTheEnd = { start: writer.drive.size, bytes: alignedBuffer(64 * 1024) };
  await assert.rejects(writer.read(beyondTheEnd), { code: 'drive-failed' });
  await assert.rejects(writer.flush(), isInterrupted);
  await writer.recover();
  await writer.flush();
  const reading = assert.rejects(writer.read(beyondTheEnd), Failure);
  writer.stop();
  await reading;
  await writer.recover();
  await assert.rejects(writer.flush(), isInterrupted);
  await writer.resume();
  await writer.flush();
});
