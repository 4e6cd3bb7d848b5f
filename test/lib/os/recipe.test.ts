import assert from 'node:assert/strict';
import { appendFile, cp } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { parseSettings, readRecipe } from '../../../src/lib/os/recipe.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const good = { deviceType: 'mine', suite: 'bookworm', partitionMiB: { boot: 40, root: 512, state: 20, data: 192 } };

function refused(settings: unknown): void {
  const text = typeof settings === 'string' ? settings : JSON.stringify(settings);
  assert.throws(
    () => parseSettings(text, 'recipe.json'),
    (error) => error instanceof Failure && error.kind === 'usage' && error.code === 'invalid-recipe',
  );
}

describe('parseSettings', () => {
  it('takes what the shipped recipe says', () => {
    assert.deepEqual(parseSettings(JSON.stringify(good), 'recipe.json'), good);
  });

  it('refuses what is not JSON, not an object, or lacks a setting', () => {
    refused('{');
    refused([]);
    refused({ ...good, deviceType: undefined });
    refused({ ...good, partitionMiB: undefined });
  });

  it('refuses names that would be read as options or paths', () => {
    refused({ ...good, suite: '--help' });
    refused({ ...good, deviceType: '../x' });
  });

  it('refuses sizes that break the alignment or hold nothing', () => {
    refused({ ...good, partitionMiB: { ...good.partitionMiB, root: 511 } });
    refused({ ...good, partitionMiB: { ...good.partitionMiB, state: 4 } });
    refused({ ...good, partitionMiB: { ...good.partitionMiB, boot: '40' } });
  });
});

describe('readRecipe', () => {
  it('gives a copy of a recipe the same root file system until something of that changes', async (t) => {
    const shipped = await readRecipe('virtual-amd64');
    const copy = path.join(await temporaryFolder(t), 'mine');
    await cp(shipped.folder, copy, { recursive: true });
    assert.equal((await readRecipe(copy)).rootHash, shipped.rootHash);
    await appendFile(path.join(copy, 'boot', 'config.json'), '\n');
    await appendFile(path.join(copy, 'grub.cfg'), '\n');
    assert.equal((await readRecipe(copy)).rootHash, shipped.rootHash);
    await appendFile(path.join(copy, 'packages.txt'), 'curl # to fetch things\n');
    const changed = await readRecipe(copy);
    assert.notEqual(changed.rootHash, shipped.rootHash);
    assert.equal(changed.packages.at(-1), 'curl');
  });
});
