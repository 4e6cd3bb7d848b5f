import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { exitCodes } from '../../src/lib/failure/failure.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, type DavitOptions, projectRoot, runProgram } from '../support/davit.js';

const fixture = path.join(projectRoot, 'test', 'fixtures', 'cli', 'run.js');
const noFullDisk = existsSync('/dev/full') ? false : 'only Linux has /dev/full';
const runFixture = (words: readonly string[], options: DavitOptions = {}) =>
  runProgram([process.execPath, fixture, ...words], options);

function errorOf(stdout: string): Record<string, unknown> {
  const document: unknown = JSON.parse(stdout);
  assert.ok(isRecord(document) && isRecord(document.error), stdout);
  return document.error;
}

describe('every command', () => {
  it('keeps the exit code of a failure the same with and without --json', async () => {
    for (const [kind, exitCode] of Object.entries(exitCodes)) {
      const plain = await runFixture(['fail', kind]);
      const json = await runFixture(['fail', kind, '--json']);
      assert.equal(plain.exitCode, exitCode, kind);
      assert.equal(json.exitCode, exitCode, `${kind} --json`);
      assert.equal(plain.stdout, '', 'standard output is for results only');
      assert.match(plain.stderr, /the fixture failed\nDo something else\n$/);
      assert.deepEqual(errorOf(json.stdout), {
        code: 'fixture',
        message: 'the fixture failed',
        hint: 'Do something else',
        exitCode,
      });
    }
  });

  it('says that anything but a failure is a bug, with exit code 1', async () => {
    const plain = await runFixture(['fail', 'bug']);
    assert.equal(plain.exitCode, 1);
    assert.match(plain.stderr, /TypeError: a thing that should not happen/);
    const json = await runFixture(['fail', 'bug', '--json']);
    assert.equal(json.exitCode, 1);
    assert.equal(errorOf(json.stdout).code, 'bug');
  });

  it('prints the result alone on standard output', async () => {
    const plain = await runFixture(['succeed']);
    assert.equal(plain.stdout, 'it worked\n');
    assert.match(plain.stderr, /write card/);
    const json = await runFixture(['succeed', '--json']);
    assert.deepEqual(JSON.parse(json.stdout), { worked: true });
    assert.equal(json.exitCode, 0);
  });

  it('shows progress as JSON lines, as plain lines or not at all', async () => {
    const json = await runFixture(['succeed', '--progress', 'json']);
    const events = json.stderr
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    assert.deepEqual(
      events.map((event) => isRecord(event) && event.type),
      ['step', 'notice', 'line', 'step'],
    );
    const plain = await runFixture(['succeed', '--progress=plain']);
    assert.match(plain.stderr, /warning: mind the gap\nmain \| Step 1\/1\nwrite card {2}done {2}200 B\n$/);
    const none = await runFixture(['succeed', '--progress', 'none']);
    assert.equal(none.stderr, 'warning: mind the gap\n');
  });

  it('treats a mistyped flag as a usage error without a wall of text', async () => {
    const plain = await runFixture(['succeed', '--nonsense']);
    assert.equal(plain.exitCode, exitCodes.usage);
    assert.match(plain.stderr, /--nonsense/);
    const json = await runFixture(['succeed', '--nonsense', '--json']);
    assert.equal(json.exitCode, exitCodes.usage);
    assert.ok(json.stdout.length < 1000, json.stdout);
    assert.equal(errorOf(json.stdout).code, 'usage');
  });

  it('treats a missing argument and a wrong flag value as usage errors', async () => {
    assert.equal((await runFixture(['fail'])).exitCode, exitCodes.usage);
    assert.equal(
      (await runFixture(['fail'], { input: 'bug' })).exitCode,
      exitCodes.usage,
      'not read from standard input',
    );
    assert.equal((await runFixture(['succeed', '--progress', 'sideways'])).exitCode, exitCodes.usage);
  });

  it('suggests the nearest command for an unknown one and runs nothing', async () => {
    const plain = await runFixture(['sucseed']);
    assert.equal(plain.exitCode, exitCodes.usage);
    assert.equal(plain.stdout, '');
    assert.match(plain.stderr, /Did you mean: fixture succeed/);
    const withArguments = await runFixture(['sucseed', 'some', 'words']);
    assert.match(withArguments.stderr, /Did you mean: fixture succeed/);
    const json = await runFixture(['sucseed', '--json']);
    assert.equal(json.exitCode, exitCodes.usage);
    assert.equal(errorOf(json.stdout).code, 'unknown-command');
  });

  it('suggests the commands of a topic when its second word is unknown', async () => {
    const { exitCode, stderr } = await davit(['os', 'nope']);
    assert.equal(exitCode, exitCodes.usage);
    assert.match(stderr, /Did you mean: davit os .*, davit os /);
  });

  it('says at once what is wrong with a combination of flags', async () => {
    const { exitCode, stderr } = await davit(['os', 'configure', 'x.img', '--in-place', '--output', 'y.img']);
    assert.equal(exitCode, exitCodes.usage);
    assert.match(stderr, /^error: --in-place.*--output\n/);
  });

  it(
    'ends with 5 when its result cannot be written, and is not bothered when nobody reads it',
    { skip: noFullDisk },
    async () => {
      for (const words of [['succeed'], ['succeed', '--json'], ['--help'], ['--version']]) {
        const full = await runFixture(words, { wrapper: ['sh', '-c', '"$@" >/dev/full', 'sh'] });
        assert.equal(full.exitCode, exitCodes.failed, words.join(' '));
        assert.match(full.stderr, /writing to standard output: no space left/);
        const unread = await runFixture(words, {
          wrapper: ['bash', '-c', '"$@" | true; exit "${PIPESTATUS[0]}"', 'bash'],
        });
        assert.equal(unread.exitCode, 0, words.join(' '));
      }
      const untold = await runFixture(['fail', 'usage'], { wrapper: ['sh', '-c', '"$@" 2>/dev/full', 'sh'] });
      assert.equal(untold.exitCode, exitCodes.usage);
    },
  );

  it('says that it is a bug when nothing is left to wait for and it is not done', async () => {
    const { exitCode, stderr } = await runFixture(['forget']);
    assert.equal(exitCode, 1);
    assert.match(stderr, /This is a bug in davit/);
  });

  it('accepts --no-color anywhere', async () => {
    assert.equal((await runFixture(['succeed', '--no-color'])).exitCode, 0);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    for (const mode of [[], ['--json']]) {
      it(`ends with 130 after one ${signal}${mode.length > 0 ? ' under --json' : ''}`, async () => {
        const result = await runFixture(['wait', ...mode], {
          kill: { signal, when: (output) => output.includes('waiting') },
        });
        assert.equal(result.exitCode, exitCodes.interrupted);
        if (mode.length > 0) assert.equal(errorOf(result.stdout).code, 'interrupted');
      });
    }
  }

  it('is killed by the second Ctrl-C when it does not react to the first', async () => {
    const result = await runFixture(['wait', '--deaf'], {
      kill: { signal: 'SIGINT', when: (output) => output.includes('waiting') },
      killAgain: { signal: 'SIGINT', when: (output) => output.includes('deaf') },
    });
    assert.equal(result.signal, 'SIGINT');
  });
});
