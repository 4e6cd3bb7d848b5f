import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../support/davit.js';

/** Every `new Failure('kind', 'code', …)` in the sources, as `code kind`. */
async function codesInSource(): Promise<string[]> {
  const root = path.join(projectRoot, 'src');
  const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const codes = new Set<string>();
  for (const name of files) {
    const text = await readFile(path.join(root, name), 'utf8');
    for (const [, kind = '', code = ''] of text.matchAll(/new Failure\(\s*'([a-z-]+)',\s*'([a-z0-9-]+)'/g)) {
      codes.add(`${code} ${kind}`);
    }
  }
  return [...codes].sort();
}

/** Every row of the tables in docs/errors.md, as `code kind`. */
async function codesInDocument(): Promise<string[]> {
  const text = await readFile(path.join(projectRoot, 'docs', 'errors.md'), 'utf8');
  return [...text.matchAll(/^\| `([a-z0-9-]+)` +\| ([a-z-]+) +\|/gm)]
    .map(([, code = '', kind = '']) => `${code} ${kind}`)
    .sort();
}

describe('docs/errors.md', () => {
  it('lists exactly the error codes that the sources use, with their kinds', async () => {
    assert.deepEqual(await codesInDocument(), await codesInSource());
  });

  it('is complete because no failure is made with a computed code', async () => {
    const root = path.join(projectRoot, 'src');
    const files = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts'));
    for (const name of files) {
      if (name.endsWith('failure.ts') || name.endsWith('while-doing.ts')) continue;
      const text = await readFile(path.join(root, name), 'utf8');
      const all = text.match(/new Failure\(/g)?.length ?? 0;
      const literal = text.match(/new Failure\(\s*'[a-z-]+',\s*'[a-z0-9-]+'/g)?.length ?? 0;
      assert.equal(literal, all, name);
    }
  });
});
