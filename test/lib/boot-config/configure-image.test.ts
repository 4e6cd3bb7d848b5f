import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { configureImage, type ConfigureImageOptions } from '../../../src/lib/boot-config/configure-image.js';
import { makeOsImage } from '../../support/os-image.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Configures an image while something happens just before the finished copy gets its name. */
async function configureWhile(t: TestContext, inPlace: boolean, happens: (image: string, output: string) => void) {
  const folder = await temporaryFolder(t);
  const image = path.join(folder, 'device.img');
  const output = path.join(folder, 'out.img');
  await makeOsImage(image);
  const target: ConfigureImageOptions['target'] = inPlace
    ? { kind: 'in-place' }
    : { kind: 'new-file', path: output, mayOverwrite: false };
  const signal = new AbortController().signal;
  signal.throwIfAborted = () => {
    happens(image, output);
  };
  const work = configureImage({
    ...{ image, target, signal, isDryRun: false },
    request: { developmentMode: true },
    progress: () => undefined,
  });
  return { folder, output, work };
}

describe('configureImage', () => {
  it('does not replace an output that came up while it copied', async (t) => {
    const { folder, output, work } = await configureWhile(t, false, (_, file) => {
      writeFileSync(file, 'somebody else wrote this');
    });
    await assert.rejects(work, { kind: 'refused', code: 'output-exists' });
    assert.equal(await readFile(output, 'utf8'), 'somebody else wrote this');
    assert.deepEqual(await readdir(folder), ['device.img', 'out.img']);
  });

  for (const inPlace of [true, false]) {
    it(`gives up when the image is changed while it copies${inPlace ? ' in place' : ''}`, async (t) => {
      const { folder, work } = await configureWhile(t, inPlace, (image) => {
        utimesSync(image, 1, 1);
      });
      await assert.rejects(work, { kind: 'refused', code: 'image-changed' });
      assert.deepEqual(await readdir(folder), ['device.img']);
    });
  }
});
