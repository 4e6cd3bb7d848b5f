import assert from 'node:assert/strict';
import { existsSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { configureImage, type ConfigureImageOptions } from '../../../src/lib/boot-config/configure-image.js';
import { isRecord } from '../../../src/lib/platform/json.js';
import { davitJson } from '../../support/davit.js';
import { checked, loopDevicesMissing } from '../../support/loop-device.js';
import { makeOsImage, readBootFile } from '../../support/os-image.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const accountingMissing = existsSync('/proc/self/io') ? false : 'needs /proc/self/io';

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

  it('reads and writes only what it must of a large image in place', { skip: accountingMissing }, async (t) => {
    const image = path.join(await temporaryFolder(t), 'large.img');
    await makeOsImage(image, { bootSize: 80, dataSize: 1900 });
    const configure = (hostname: string) =>
      configureImage({
        ...{ image, target: { kind: 'in-place' }, isDryRun: false, progress: () => undefined },
        request: { hostname, developmentMode: true },
        signal: new AbortController().signal,
      });
    await configure('first');
    const before = await transferred();
    await configure('second');
    const after = await transferred();
    const [read, written] = [after.read - before.read, after.written - before.written];
    t.diagnostic(`${read} bytes read, ${written} written`);
    // Its table of clusters alone has 80 KB; what else is read is 16 KB of its root folder, the partition table, and a few small files.
    assert.ok(read < 300_000, `${read} bytes were read`);
    assert.ok(written < 30_000, `${written} bytes were written`);
  });

  it('is done once at a time in one image, by however many davits', async (t) => {
    const image = path.join(await temporaryFolder(t), 'device.img');
    const { bootAddress } = await makeOsImage(image);
    const kept = await readFile(image);
    const words = (hostname: string) => ['os', 'configure', image, '--in-place', '--dev', '--hostname', hostname];
    const names = ['one', 'two', 'three', 'four'];
    const results = await Promise.all(names.map((name) => davitJson(words(name))));
    const winners = names.filter((_, index) => results[index]?.exitCode === 0);
    assert.ok(winners.length > 0);
    for (const { exitCode, document } of results) {
      if (exitCode === 0) continue;
      assert.ok(isRecord(document) && isRecord(document.error));
      assert.ok(['image-in-use', 'image-changed'].includes(String(document.error.code)), JSON.stringify(document));
    }
    assert.deepEqual(await readdir(path.dirname(image)), ['device.img']);
    const now = await readFile(image);
    const config: unknown = JSON.parse(String(await readBootFile({ bootAddress }, 'config.json', `${image}.read`)));
    assert.ok(isRecord(config) && winners.includes(String(config.hostname)));
    if (winners.length > 1) return;
    await writeFile(image, kept);
    assert.equal((await davitJson(words(winners[0] ?? ''))).exitCode, 0);
    assert.ok(now.equals(await readFile(image)), 'it is what one of them alone makes of it');
  });

  it('leaves nothing behind where there is no space for a copy', { skip: loopDevicesMissing }, async (t) => {
    const folder = await temporaryFolder(t);
    const image = path.join(folder, 'device.img');
    await makeOsImage(image);
    const small = path.join(folder, 'small');
    await mkdir(small);
    await checked(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', small]);
    try {
      const work = configureImage({
        ...{ image, isDryRun: false, progress: () => undefined },
        target: { kind: 'new-file', path: path.join(small, 'out.img'), mayOverwrite: false },
        request: { developmentMode: true },
        signal: new AbortController().signal,
      });
      await assert.rejects(work, { kind: 'failed', code: 'enospc', hint: /--output/ });
      assert.deepEqual(await readdir(small), []);
    } finally {
      await checked(['umount', small]);
    }
  });
});

/** Bytes that this process has asked for, and written. */
async function transferred(): Promise<{ readonly read: number; readonly written: number }> {
  const text = await readFile('/proc/self/io', 'utf8');
  const value = (key: string) => Number(new RegExp(`^${key}: (\\d+)$`, 'm').exec(text)?.[1]);
  return { read: value('rchar'), written: value('wchar') };
}
