import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openChildOutput } from '../../../src/lib/platform/child-output.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Puts davit's temporary files elsewhere until the test ends. */
function useTemporaryFolder(t: TestContext, folder: string): void {
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
}

const skip = process.platform === 'win32' && 'has no sockets in folders';

test('hands over all that a child writes, in order, while reading is slow and leaves no file', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  useTemporaryFolder(t, folder);
  const output = await openChildOutput();
  assert.ok(output);
  assert.deepEqual(await readdir(folder), []);
  const child = spawn('seq', ['1000000'], { stdio: ['ignore', output.childEnd, 'inherit'] });
  output.childEnd.destroy();
  const ended = once(child, 'exit');
  let expected = 1;
  let rest = '';
  for await (const chunk of output.chunks) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (Number(line) === expected) expected += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await ended, [0, null]);
  assert.deepEqual([expected, rest], [1_000_001, '']);
});

test('lets go of the child when nobody reads on', { skip }, async () => {
  const output = await openChildOutput();
  assert.ok(output);
  const child = spawn('yes', { stdio: ['ignore', output.childEnd, 'ignore'] });
  output.childEnd.destroy();
  const ended = once(child, 'exit');
  for await (const chunk of output.chunks) if (chunk.length > 0) break;
  // Nobody reads any more, so that writing fails.
  await ended;
  assert.ok(child.exitCode !== 0);
});

test('ends when the child writes nothing', { skip }, async () => {
  const output = await openChildOutput();
  assert.ok(output);
  spawn('true', { stdio: ['ignore', output.childEnd, 'inherit'] });
  output.childEnd.destroy();
  assert.deepEqual(await output.chunks.next(), { done: true, value: undefined });
});

test('says so where no socket can be made', { skip }, async (t) => {
  useTemporaryFolder(t, path.join(await temporaryFolder(t), 'missing'));
  assert.equal(await openChildOutput(), undefined);
});
