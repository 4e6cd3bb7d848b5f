import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { parseSshPublicKey, readSshPublicKeys as readFrom } from '../../../src/lib/boot-config/ssh-public-key.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { readUserFile } from '../../../src/lib/platform/read-user-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** A key by its word; what stands in files is read from there. */
function readSshPublicKeys(word: string): Promise<string[]> {
  return readFrom(word, { readFile: async (file) => (await readUserFile(file)).bytes });
}

describe('an SSH public key', () => {
  const kinds = [
    ['ed25519'],
    ['rsa', '-b', '2048'],
    ['ecdsa', '-b', '256'],
    ['ecdsa', '-b', '384'],
    ['ecdsa', '-b', '521'],
  ];
  for (const kind of kinds) {
    test(`is taken as ssh-keygen makes it: ${kind.join(' ')}`, async (t) => {
      const file = path.join(await temporaryFolder(t), 'id');
      await runChecked('making a key', 'ssh-keygen', ['-q', '-N', '', '-C', 'me at home', '-f', file, '-t', ...kind]);
      const line = (await readFile(`${file}.pub`, 'utf8')).trim();
      assert.deepEqual(await readSshPublicKeys(`${file}.pub`), [line]);
      assert.deepEqual(await readSshPublicKeys(line), [line]);
      assert.ok(parseSshPublicKey(`restrict,pty ${line}`));
      const [type = '', body = ''] = line.split(' ');
      for (const bad of [
        `${type} ${body.slice(0, -8)}`,
        `ssh-foo ${body}`,
        `${type} x${body.slice(1)}`,
        body,
        `${line}\n${line}`,
      ]) {
        assert.equal(parseSshPublicKey(bad), undefined, bad);
      }
      await assert.rejects(readSshPublicKeys(`${type} ${body.slice(0, -8)}`), isUsage('invalid-ssh-key'));
      const secret = await readFile(file, 'utf8');
      const [, secretLine = ''] = secret.split('\n');
      for (const word of [secret, secret.replaceAll('\n', ' ')]) {
        await assert.rejects(
          readSshPublicKeys(word),
          (error: unknown) =>
            error instanceof Failure && error.code === 'private-key' && !error.message.includes(secretLine),
        );
      }
      await assert.rejects(
        readSshPublicKeys(file),
        (error: unknown) =>
          error instanceof Failure &&
          error.code === 'private-key' &&
          error.hint === `Give the public key beside it: --ssh-key ${file}.pub`,
      );
    });
  }

  test('may stand with others and comments in one file, but with nothing else', async (t) => {
    const folder = await temporaryFolder(t);
    const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S';
    await writeFile(path.join(folder, 'keys'), `# mine\r\n${line} one\r\n\r\n${line} two\r\n`);
    assert.deepEqual(await readSshPublicKeys(path.join(folder, 'keys')), [`${line} one`, `${line} two`]);
    await writeFile(path.join(folder, 'mixed'), `${line}\nhello\n`);
    await assert.rejects(readSshPublicKeys(path.join(folder, 'mixed')), isUsage('invalid-ssh-key'));
    await writeFile(path.join(folder, 'empty'), '');
    await assert.rejects(readSshPublicKeys(path.join(folder, 'empty')), isUsage('invalid-ssh-key'));
    await assert.rejects(
      readSshPublicKeys(path.join(folder, 'absent')),
      (error: unknown) => error instanceof Failure && error.kind === 'not-found',
    );
  });
});

function isUsage(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Failure && error.kind === 'usage' && error.code === code;
}
