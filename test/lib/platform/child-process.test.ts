import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { run, runChecked } from '../../../src/lib/platform/child-process.js';

const windows = process.platform === 'win32' && 'the programs are those of Unix';

/** Gives this process another PATH for one test; undefined takes it away. */
function setPath(t: TestContext, value: string | undefined): void {
  const before = process.env.PATH;
  t.after(() => {
    process.env.PATH = before;
  });
  if (value === undefined) delete process.env.PATH;
  else process.env.PATH = value;
}

it('finds the programs of the system where PATH is not set', { skip: windows }, async (t) => {
  setPath(t, undefined);
  assert.equal((await run('true', [])).exitCode, 0);
});

it('searches the folders of PATH first, and those for administration last', { skip: windows }, async (t) => {
  setPath(t, '/opt/first::/bin:/usr/bin:/sbin');
  const seen = await runChecked('reading PATH', 'sh', ['-c', 'echo $PATH']);
  assert.equal(seen.trim(), '/opt/first:/bin:/usr/bin:/sbin:/usr/sbin');
});
