import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../support/davit.js';

const fixture = path.join(projectRoot, 'test', 'fixtures', 'cli', 'run.js');

/** Everything the fixture prints on a real terminal, escape sequences included; `script` makes the terminal. */
async function onTerminal(words: string): Promise<string> {
  const command = `'${process.execPath}' '${fixture}' ${words}`;
  const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1', NODE_TEST_CONTEXT: '' },
  });
  return stdout;
}

describe('progress on a terminal', () => {
  it('keeps live lines at the bottom and leaves the cursor visible', async () => {
    const output = await onTerminal('succeed');
    assert.ok(output.includes('\u001B[?25l'), 'the cursor is hidden while lines are live');
    assert.ok(output.lastIndexOf('\u001B[?25h') > output.lastIndexOf('\u001B[?25l'), 'and shown again');
    assert.match(output, /write card {2}done {2}200 B/);
    assert.match(output, /it worked/);
  });

  it('animates nothing under --progress plain', async () => {
    assert.ok(!(await onTerminal('succeed --progress plain')).includes('\u001B[?25l'));
  });
});
