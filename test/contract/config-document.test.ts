import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { allConfigKeyFacts } from '../../src/lib/boot-config/config-key-facts.js';
import { projectRoot } from '../support/davit.js';

const file = path.join(projectRoot, 'docs', 'config.md');

/** The table of keys, without the spaces that line its columns up. */
function keyTable(): string[] {
  const rows = allConfigKeyFacts().map(({ key, meaning, type, since, isSecret, otherwise, effect, ...facts }) => {
    const without = otherwise ?? (facts.default === null ? '' : `\`${JSON.stringify(facts.default)}\``);
    const value = `${type}${isSecret ? ' _(secret)_' : ''}`;
    return [`\`${key}\``, meaning, value, since ?? '', without, effect.replace(/^Takes effect (.*)\.$/, '$1')];
  });
  const head = ['key', 'meaning', 'value', 'since', 'without it', 'a change counts'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

describe('docs/config.md', () => {
  it('has every key as the code knows it', async () => {
    const text = await readFile(file, 'utf8');
    const [front = ''] = text.split(/^(?:\| key +\| meaning|KEYS)/m);
    if (process.env.DAVIT_WRITE_SCHEMAS === '1') await writeFile(file, `${front}${keyTable().join('\n')}\n`);
    const written = (await readFile(file, 'utf8')).slice(front.length).trim().split('\n');
    const squeezed = (lines: readonly string[]) =>
      lines.map((line) => line.replaceAll(/-{3,}/g, '---').replaceAll(/ +/g, ' '));
    assert.deepEqual(squeezed(written), squeezed(keyTable()));
  });
});
