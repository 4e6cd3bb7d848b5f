import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { copy } from '../../../src/lib/device/copy.js';
import { LocalFiles } from '../../../src/lib/device/local-files.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const options = { signal: new AbortController().signal, progress: ignoreProgress };

describe('copy', () => {
  it('takes no name from a device that leads out of the folder', async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(path.join(folder, 'theirs'));
    await writeFile(path.join(folder, 'key'), 'planted');
    for (const name of ['../key', '/etc/hostname', '..', '.', '']) {
      const hostile = Object.assign(new LocalFiles(), { list: () => Promise.resolve([name]) });
      const to = { files: new LocalFiles(), path: path.join(folder, 'ours') };
      const copying = copy({ files: hostile, path: path.join(folder, 'theirs') }, to, options);
      await assert.rejects(copying, { kind: 'refused', code: 'not-a-file-name' });
      assert.deepEqual((await readdir(folder)).sort(), ['key', 'theirs']);
    }
  });

  it('writes through no link that an earlier copy has brought', async (t) => {
    const folder = await temporaryFolder(t);
    const [theirs, ours, home] = ['theirs', 'ours', 'home'].map((name) => path.join(folder, name)) as [
      string,
      string,
      string,
    ];
    for (const one of [theirs, ours, home, path.join(theirs, 'data')]) await mkdir(one);
    await writeFile(path.join(theirs, 'data', 'key'), 'planted');
    await mkdir(path.join(ours, 'theirs'));
    await symlink(home, path.join(ours, 'theirs', 'data'));
    const files = new LocalFiles();
    const copying = copy({ files, path: theirs }, { files, path: ours }, options);
    await assert.rejects(copying, { kind: 'refused', code: 'target-in-the-way' });
    assert.deepEqual(await readdir(home), []);
  });

  it('follows a link that was named itself', async (t) => {
    const folder = await temporaryFolder(t);
    await mkdir(path.join(folder, 'site'));
    await writeFile(path.join(folder, 'site', 'page'), 'page');
    await mkdir(path.join(folder, 'real'));
    await symlink('real', path.join(folder, 'site-of-today'));
    const files = new LocalFiles();
    await copy(
      { files, path: path.join(folder, 'site') },
      { files, path: path.join(folder, 'site-of-today') },
      options,
    );
    assert.equal(await readFile(path.join(folder, 'real', 'site', 'page'), 'utf8'), 'page');
  });
});
