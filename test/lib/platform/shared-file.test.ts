import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { changeSharedFile } from '../../../src/lib/platform/shared-file.js';
import { projectRoot } from '../../support/davit.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const counted = (text: string | undefined) => String(Number(text ?? 0) + 1);

const notLinux = process.platform === 'linux' ? false : 'only Linux has /proc';

describe('changeSharedFile', () => {
  it('fails where no folder can be made for it, which Node would try for ever', { skip: notLinux }, async () => {
    await assert.rejects(changeSharedFile('/proc/davit/folder/count', counted), { code: 'ENOENT' });
  });

  it('loses no change of several processes', async (t) => {
    const file = path.join(await temporaryFolder(t), 'folder', 'count');
    const script = `
      import { changeSharedFile } from './dist/lib/platform/shared-file.js';
      for (let round = 0; round < 25; round++)
        await changeSharedFile(process.argv[1], (text) => String(Number(text ?? 0) + 1));`;
    const words = ['--input-type=module', '--eval', script, file];
    const codes = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const child = spawn(process.execPath, words, { cwd: projectRoot, stdio: ['ignore', 'ignore', 'inherit'] });
        await once(child, 'exit');
        return child.exitCode;
      }),
    );
    assert.deepEqual(codes, [0, 0, 0, 0]);
    assert.equal(await readFile(file, 'utf8'), '100');
    assert.deepEqual(await readdir(path.dirname(file)), ['count']);
  });

  it('goes on at once after a process that died with the lock', async (t) => {
    const file = path.join(await temporaryFolder(t), 'count');
    const dead = spawn('true');
    await once(dead, 'exit');
    await writeFile(`${file}.lock`, `${hostname()} ${dead.pid ?? 0} mark`);
    const started = performance.now();
    await Promise.all([1, 2, 3, 4, 5].map(() => changeSharedFile(file, counted)));
    assert.equal(await readFile(file, 'utf8'), '5');
    assert.ok(performance.now() - started < 3000);
    assert.deepEqual(await readdir(path.dirname(file)), ['count']);
  });

  it('takes a lock of another computer for left behind when it is old', async (t) => {
    const file = path.join(await temporaryFolder(t), 'count');
    await writeFile(`${file}.lock`, 'elsewhere 1 mark');
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(`${file}.lock`, longAgo, longAgo);
    await changeSharedFile(file, counted);
    assert.equal(await readFile(file, 'utf8'), '1');
  });

  it('leaves the file as it is when there is nothing to change', async (t) => {
    const folder = await temporaryFolder(t);
    await changeSharedFile(path.join(folder, 'count'), () => undefined);
    assert.deepEqual(await readdir(folder), []);
  });
});
