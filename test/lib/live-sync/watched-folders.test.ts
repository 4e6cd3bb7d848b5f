import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { syncTarget } from '../../../src/lib/live-sync/sync-rule.js';
import { readTree } from '../../../src/lib/live-sync/tree.js';
import { watchedFolders } from '../../../src/lib/live-sync/watched-folders.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('the develop.watch of a service', () => {
  it('says for each of its entries what is looked at, where it goes and what follows', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, {
      'web/index.html': '',
      'web/a/b.css': '',
      'web/a/b.css.map': '',
      'web/node_modules/x/y.css': '',
      'package.json': '',
      'nginx.conf': '',
    });
    const at = (name: string) => path.join(folder, name);
    const folders = await watchedFolders([
      { action: 'sync', path: at('web'), target: '/www', ignore: ['node_modules/'], include: ['**/*.css', '*.html'] },
      { action: 'rebuild', path: at('package.json') },
      { action: 'sync+restart', path: at('nginx.conf'), target: '/etc/nginx.conf' },
      {
        action: 'sync+exec',
        path: at('nginx.conf'),
        target: '/etc/nginx.conf',
        exec: { command: ['nginx', '-s', 'reload'] },
      },
      { action: 'restart', path: at('web') },
    ]);
    const seen = await Promise.all(
      folders.map(async ({ scope, rules }) => {
        const tree = await readTree(scope);
        return [...tree].flatMap(([name, { kind }]) =>
          rules.flatMap((rule) => {
            const target = syncTarget(rule, name, kind);
            if (target === undefined || kind === 'folder') return [];
            const after = [
              ...(rule.needsBuild === undefined ? [] : ['build']),
              ...rule.runs.map(({ command }) => command.join(' ')),
              ...(rule.restarts ? ['restart'] : []),
            ];
            return [[name, '->', target.path ?? 'nowhere', ...after].join(' ')];
          }),
        );
      }),
    );
    assert.deepEqual(seen, [
      ['a/b.css -> /www/a/b.css', 'index.html -> /www/index.html'],
      ['package.json -> nowhere build'],
      ['nginx.conf -> /etc/nginx.conf restart'],
      ['nginx.conf -> /etc/nginx.conf nginx -s reload'],
      [
        'a/b.css -> nowhere restart',
        'a/b.css.map -> nowhere restart',
        'index.html -> nowhere restart',
        'node_modules/x/y.css -> nowhere restart',
      ],
    ]);
  });

  it('fails for a path that is not there', async () => {
    await assert.rejects(watchedFolders([{ action: 'rebuild', path: '/nowhere/at/all' }]), { kind: 'not-found' });
  });
});
