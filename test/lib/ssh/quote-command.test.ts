import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { remoteCommandLine } from '../../../src/lib/ssh/quote-command.js';
import { seededRandom } from '../../support/seeded-random.js';

describe('remoteCommandLine', () => {
  it('passes a single word as a line for the shell', () => {
    assert.equal(remoteCommandLine(['dmesg | tail']), 'dmesg | tail');
  });

  it('leaves ordinary words readable', () => {
    assert.equal(remoteCommandLine(['ls', '-l', '/mnt/data']), 'ls -l /mnt/data');
  });

  it('quotes so that a shell reads back any words unchanged', async () => {
    const random = seededRandom(3);
    const letters = 'ab \t\n\'"\\$`*?[]{}()<>|&;!#~=%^-ü'.split('');
    for (let round = 0; round < 50; round++) {
      const words = Array.from({ length: 1 + random.below(4) }, () =>
        Array.from({ length: random.below(12) }, () => random.pick(letters)).join(''),
      );
      const line = remoteCommandLine(['printf', '%s\\0', ...words]);
      const output = await runChecked('reading back', 'sh', ['-c', line]);
      assert.deepEqual(output.split('\0').slice(0, -1), words);
    }
  });
});
