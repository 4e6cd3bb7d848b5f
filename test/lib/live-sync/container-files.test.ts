import assert from 'node:assert/strict';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ContainerFiles } from '../../../src/lib/live-sync/container-files.js';
import { changesIn, readTree, type Tree } from '../../../src/lib/live-sync/tree.js';
import { importBaseImage } from '../../support/base-image.js';
import { engineSkipReason, startEngine, type TestEngine } from '../../support/engine.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('the files of a container', { skip: engineSkipReason(), timeout: 120_000 }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());

  const docker = async (...words: readonly string[]) => {
    const result = await engine.docker(words);
    assert.equal(result.exitCode, 0, result.stderr);
    return result.stdout.trim();
  };

  async function container(t: TestContext, words: readonly string[] = [], command = ['sleep', '1000']) {
    const id = await docker('run', '-d', '--network', 'none', ...words, 'base', ...command);
    const files = new ContainerFiles({ engine: engine.connection, id }, t.signal);
    t.after(async () => {
      files.close();
      await docker('rm', '-f', id);
    });
    return { id, files, inside: (...line: readonly string[]) => docker('exec', '--user', '0', id, ...line) };
  }

  /** All entries of a folder, to be put below a path in a container. */
  function entriesFor(folder: string, tree: Tree, below: string) {
    const owner = { uid: 0, gid: 0 };
    return [...tree].map(([name, entry]) => ({
      path: path.posix.join(below, name),
      source: path.join(folder, name),
      entry,
      owner,
    }));
  }

  const scopeOf = (folder: string) => ({ folder, ignores: () => false, skips: () => false });

  async function allOf(folder: string) {
    return (await changesIn(scopeOf(folder), [''], new Map())).changed;
  }

  async function project(t: TestContext): Promise<string> {
    const folder = await temporaryFolder(t);
    await mkdir(path.join(folder, 'lib/deep'), { recursive: true });
    await writeFile(path.join(folder, 'main.sh'), 'echo one\n');
    await chmod(path.join(folder, 'main.sh'), 0o755);
    await writeFile(path.join(folder, "lib/it's $(odd) \n name"), 'x');
    await writeFile(path.join(folder, 'lib/deep/large'), Buffer.alloc(3_000_000, 7));
    await symlink('../main.sh', path.join(folder, 'lib/link'));
    return folder;
  }

  for (const [who, words] of [
    ['root', []],
    ['nobody', ['--user', '65534:65534']],
  ] as const) {
    it(`are written with their modes and names where the service runs as ${who}`, async (t) => {
      const folder = await project(t);
      const { files, inside } = await container(t, words);
      const tree = await allOf(folder);
      const applied = await files.apply({ entries: entriesFor(folder, tree, '/app'), removed: [] });
      assert.deepEqual(
        [...applied.contents]
          .filter(([, content]) => content !== '')
          .map(([name]) => name)
          .sort(),
        ['/app/lib/deep/large', "/app/lib/it's $(odd) \n name", '/app/lib/link', '/app/main.sh'],
      );
      assert.equal(await inside('stat', '-c', '%a', '/app/main.sh'), '755');
      assert.equal(await inside('cat', "/app/lib/it's $(odd) \n name"), 'x');
      assert.equal(await inside('stat', '-c', '%N', '/app/lib/link'), "'/app/lib/link' -> '../main.sh'");
      const hash = tree.get('lib/deep/large')?.content ?? '';
      assert.equal(await inside('sha256sum', '/app/lib/deep/large'), `${hash}  /app/lib/deep/large`);
      assert.equal(await inside('find', '/app', '-name', '.davit-*'), '');
      assert.deepEqual(await changesIn(scopeOf(folder), [''], tree), { changed: new Map(), gone: [] });
    });
  }

  it('take the place of others of any kind, without following links', async (t) => {
    const folder = await temporaryFolder(t);
    const { files, inside } = await container(t);
    await inside('sh', '-c', 'mkdir -p /app/folder/x /app/kept && touch /app/kept/file && ln -s kept /app/link');
    await writeFile(path.join(folder, 'folder'), 'now a file');
    await writeFile(path.join(folder, 'link'), 'now a file too');
    await files.apply({ entries: entriesFor(folder, await allOf(folder), '/app'), removed: [] });
    assert.equal(await inside('cat', '/app/folder'), 'now a file');
    assert.equal(await inside('cat', '/app/link'), 'now a file too');
    assert.equal(await inside('ls', '/app/kept'), 'file');
  });

  it('are complete whenever somebody reads them', async (t) => {
    const folder = await temporaryFolder(t);
    const { id, files, inside } = await container(t);
    const file = path.join(folder, 'page');
    const write = async (round: number) => {
      await writeFile(file, `${String(round).padStart(8, '0')}\n`.repeat(60_000));
      await files.apply({ entries: entriesFor(folder, await allOf(folder), '/www'), removed: [] });
    };
    await write(0);
    const loop = 'i=0; while [ $i -lt 60 ]; do sort -u /www/page; i=$((i+1)); done; echo end';
    const reading = docker('exec', id, 'sh', '-c', loop);
    const ended = new AbortController();
    void reading.finally(() => {
      ended.abort();
    });
    for (let round = 1; !ended.signal.aborted; round++) await write(round);
    const lines = (await reading).split('\n');
    assert.equal(lines.length, 61, 'each reading saw one version of the file');
    assert.ok(new Set(lines).size > 2, 'the file changed while it was read');
    assert.equal(await inside('find', '/www', '-name', '.davit-*'), '');
  });

  it('have the line ends of Unix where that is wanted and they are text', async (t) => {
    const folder = await temporaryFolder(t);
    const large = 'line\r\n'.repeat(300_000);
    await writeFile(path.join(folder, 'text'), 'a\r\nb\rc\r\n');
    await writeFile(path.join(folder, 'large'), large);
    await writeFile(path.join(folder, 'other'), 'a\r\n\0');
    const { files, inside } = await container(t);
    const tree = await allOf(folder);
    const entries = entriesFor(folder, tree, '/www').map((one) => ({ ...one, convertsLineEnds: true }));
    const { contents } = await files.apply({ entries, removed: [] });
    assert.equal(
      await inside('sh', '-c', 'cd /www && cat text other | od -An -c'),
      'a  \\n   b  \\r   c  \\n   a  \\r  \\n  \\0',
    );
    assert.equal(await inside('sh', '-c', 'wc -c < /www/large'), String(large.length - 300_000));
    // It is the files here that are compared with later.
    assert.deepEqual(Object.fromEntries(contents), {
      '/www/large': tree.get('large')?.content,
      '/www/other': tree.get('other')?.content,
      '/www/text': tree.get('text')?.content,
    });
  });

  it('are removed, whole folders too', async (t) => {
    const { files, inside } = await container(t);
    await inside('sh', '-c', 'mkdir -p "/app/a b/c" && touch /app/-f /app/kept "/app/a b/c/d"');
    const { reach } = await files.apply({ entries: [], removed: ['/app/-f', '/app/a b', '/app/never-was'] });
    assert.equal(reach, 'shell');
    assert.equal(await inside('ls', '/app'), 'kept');
  });

  it('are written, but not removed, where the container does not run or has no shell', async (t) => {
    const folder = await project(t);
    const { id, files } = await container(t);
    await docker('kill', id);
    const changes = { entries: entriesFor(folder, await allOf(folder), '/app'), removed: ['/www'] };
    assert.equal((await files.apply(changes)).reach, 'stopped');
    await docker('start', id);
    assert.equal(await docker('exec', id, 'sh', '/app/lib/link'), 'one');
    assert.equal((await files.apply({ entries: [], removed: ['/www'] })).reach, 'shell');
    assert.ok(!(await docker('exec', id, 'ls', '/')).split('\n').includes('www'));

    await docker('exec', '--user', '0', id, 'rm', '/bin/sh');
    const shellless = new ContainerFiles({ engine: engine.connection, id }, t.signal);
    assert.equal((await shellless.apply({ ...changes, removed: ['/app'] })).reach, 'no-shell');
    assert.equal(await docker('exec', id, 'cat', '/app/lib/link'), 'echo one');
    shellless.close();
  });

  it('stay as they were where a file goes while it is read', async (t) => {
    const folder = await project(t);
    const { files, inside } = await container(t);
    const tree = await readTree(scopeOf(folder));
    await rm(path.join(folder, 'main.sh'));
    await writeFile(path.join(folder, 'lib/deep/large'), Buffer.alloc(2_000_000));
    const { contents } = await files.apply({ entries: entriesFor(folder, tree, '/app'), removed: [] });
    assert.deepEqual([contents.has('/app/main.sh'), contents.has('/app/lib/deep/large')], [false, false]);
    assert.equal(await inside('find', '/app', '-type', 'f'), "/app/lib/it's $(odd) \n name");
  });
});
