import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { findDrive } from '../../../src/lib/drives/find-drive.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { requireElsewhere } from '../../../src/lib/flash/require-elsewhere.js';
import { openImageSource } from '../../../src/lib/image/source.js';
import { fakeHost } from '../../support/fake-host.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

test('finds an image on a drive by where that is mounted, whatever the number of its file system', async (t) => {
  const folder = await temporaryFolder(t);
  const image = path.join(folder, 'image.img');
  await writeFile(image, Buffer.alloc(512, 1));
  const { signal } = new AbortController();
  const source = await openImageSource(image, { standardInput: process.stdin, signal, progress: () => undefined });
  t.after(() => source.close());
  assert.ok(source.file);
  for (const [mountPoint, isOnIt] of [
    [folder, true],
    ['/proc', false],
    [path.join(folder, 'gone'), false],
  ] as const) {
    const mounts = [`8:17 ${mountPoint}`];
    const devices = { sdzz: { number: '8:16', attributes: { size: '2048' }, partitions: { sdzz1: '8:17' } } };
    const drive = await findDrive('sdzz', { host: await fakeHost(t, { devices, mounts }) });
    const required = requireElsewhere(source.file, drive);
    if (!isOnIt) await required;
    else await assert.rejects(required, (error) => error instanceof Failure && error.code === 'image-on-drive');
  }
});
