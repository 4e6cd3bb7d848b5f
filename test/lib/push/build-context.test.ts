import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it, type TestContext } from 'node:test';
import tar from 'tar-stream';
import { createContainer } from '../../../src/lib/engine/containers.js';
import { engineStream } from '../../../src/lib/engine/engine-request.js';
import { type BuildContext, listBuildContext, packBuildContext } from '../../../src/lib/project/build-context.js';
import { buildService } from '../../../src/lib/push/build-service.js';
import { parseIgnoreRules } from '../../../src/lib/project/ignore-rules.js';
import { readBuildSource } from '../../../src/lib/project/build-source.js';
import { readProject } from '../../../src/lib/project/project.js';
import { importBaseImage } from '../../support/base-image.js';
import { engineSkipReason, startEngine, type TestEngine } from '../../support/engine.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const values = { deviceType: 'x', architecture: 'amd64', service: 'main', commit: 'c', appName: 'a' };

async function listed(folder: string, ignore: string): Promise<readonly string[]> {
  const rules = parseIgnoreRules(ignore, '.dockerignore');
  return (await listBuildContext({ folder, rules, alwaysIncluded: [] })).paths;
}

async function packed(context: BuildContext) {
  const entries = new Map<
    string,
    { mode: number; type: string | null; linkname: string | null; uid: number; text: string }
  >();
  const extract = tar.extract();
  (await packBuildContext(context)).pipe(extract);
  for await (const entry of extract) {
    const chunks: Buffer[] = [];
    const content: AsyncIterable<Buffer> = Readable.from(entry);
    for await (const chunk of content) chunks.push(chunk);
    const { name, mode, type, linkname, uid } = entry.header;
    entries.set(name, {
      mode,
      type,
      linkname,
      uid,
      text: Buffer.concat(chunks).toString(),
    });
  }
  return entries;
}

describe('a build context', () => {
  it('keeps modes and symbolic links, belongs to root, and has no sockets', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'bin/run': 'x', 'data/private': 'y' });
    await chmod(path.join(folder, 'bin/run'), 0o4755);
    await chmod(path.join(folder, 'data/private'), 0o666);
    await chmod(path.join(folder, 'data'), 0o1777);
    await symlink('bin/run', path.join(folder, 'link'));
    await symlink('nowhere', path.join(folder, 'broken'));
    const server = createServer().listen(path.join(folder, 'socket'));
    t.after(() => server.close());
    await once(server, 'listening');
    const rules = parseIgnoreRules('', '.dockerignore');
    const entries = await packed(await listBuildContext({ folder, rules, alwaysIncluded: [] }));
    assert.deepEqual([...entries.keys()], ['bin', 'bin/run', 'broken', 'data', 'data/private', 'link']);
    assert.equal(entries.get('bin/run')?.mode, 0o4755);
    assert.equal(entries.get('data/private')?.mode, 0o666);
    assert.equal(entries.get('data')?.mode, 0o1777);
    assert.equal(entries.get('link')?.linkname, 'bin/run');
    assert.equal(entries.get('broken')?.linkname, 'nowhere');
    assert.ok([...entries.values()].every((entry) => entry.uid === 0));
  });

  it('holds what was made from a template in the place of the file on disk', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: 'FROM old', 'Dockerfile.template': 'FROM %%BALENA_ARCH%%' });
    const rules = parseIgnoreRules('', '.dockerignore');
    const replaced = { path: 'Dockerfile', text: 'FROM amd64' };
    const entries = await packed(await listBuildContext({ folder, rules, alwaysIncluded: [], replaced }));
    assert.deepEqual([...entries.keys()], ['Dockerfile.template', 'Dockerfile']);
    assert.equal(entries.get('Dockerfile')?.text, 'FROM amd64');
  });

  it('has no .git unless it is asked for', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { '.git/config': '', 'lib/.git': '', 'lib/.gitignore': '' });
    assert.deepEqual(await listed(folder, ''), ['lib', 'lib/.gitignore']);
    assert.deepEqual(await listed(folder, '!.git'), ['.git', '.git/config', 'lib', 'lib/.gitignore']);
  });

  it('never enters an ignored folder', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'src/a': '', 'node_modules/b/c': '' });
    // A folder that reading would fail on is the proof: even root cannot list a file.
    const rules = parseIgnoreRules('node_modules\n!src/a', '.dockerignore');
    assert.equal(rules.mayIncludeInside('node_modules'), false);
    assert.equal(parseIgnoreRules('*\n!node_modules/b/c', '').mayIncludeInside('node_modules'), true);
    assert.equal(parseIgnoreRules('*\n!node_*/b', '').mayIncludeInside('node_modules'), true);
    assert.equal(parseIgnoreRules('*\n!**/c', '').mayIncludeInside('node_modules'), true);
    assert.equal(parseIgnoreRules('!src\nsrc/big', '').mayIncludeInside('src/big'), false);
    assert.deepEqual(await listed(folder, 'node_modules'), ['src', 'src/a']);
  });

  it('says which line of .dockerignore cannot be understood', () => {
    assert.throws(() => parseIgnoreRules('a\n\n[b', '.dockerignore'), {
      kind: 'usage',
      code: 'invalid-dockerignore',
      message: /line 3/,
    });
  });

  it('fails when a file shrinks while it is sent', async (t) => {
    const folder = await temporaryFolder(t);
    const file = path.join(folder, 'big');
    await writeFile(file, Buffer.alloc(4_000_000));
    const rules = parseIgnoreRules('', '.dockerignore');
    const stream = await packBuildContext(await listBuildContext({ folder, rules, alwaysIncluded: [] }));
    await assert.rejects(
      async () => {
        let isFirst = true;
        for await (const chunk of stream) {
          if (isFirst) await truncate(file, 10);
          isFirst = chunk === undefined;
        }
      },
      { kind: 'failed', code: 'context-changed' },
    );
  });
});

describe('ignore rules compared with docker build', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());

  const cases: Readonly<Record<string, string>> = {
    'a name only at the top': 'a.txt\n',
    'a folder': 'src\n',
    'a folder with a slash at its end and one at its start': '/src/\n',
    'any depth': '**/*.txt\n',
    'one level': '*/a.txt\n',
    'an exception after a rule': '*\n!src\n',
    'an exception for one file in an ignored folder': 'src\n!src/a.txt\n',
    'a rule after an exception': '!src/a.txt\nsrc\n',
    'an exception and a later rule': '*\n!src\nsrc/lib\n',
    'a question mark and a class': '?.txt\nsrc/[ab].txt\n',
    'a negated class': 'src/[^a].txt\n',
    'capitals count': 'SRC\nA.TXT\n',
    'comments, blanks and spaces': '# a.txt\n\n   src   \n#b\n',
    'characters that mean something only to regular expressions': 'c++\nfoo(1).txt\n{x}\n',
    'escaped characters': 'foo\\(1\\).txt\nsp\\ ace\nst\\*r\n',
    'dots and detours': './src/../src/lib\nlib/..\n',
    'itself and the Dockerfile': 'Dockerfile\n.dockerignore\n',
    everything: '*\n',
    'everything but one file': '**\n!src/lib/deep/a.txt\n',
    'a byte-order mark and Windows line ends': '\uFEFFa.txt\r\nsrc/lib\r\n',
  };

  const files = [
    'a.txt',
    'b.txt',
    'c++',
    'foo(1).txt',
    '{x}',
    'sp ace',
    'st*r',
    'star',
    'src/a.txt',
    'src/b.txt',
    'src/c.txt',
  ];
  files.push('src/lib/a.txt', 'src/lib/deep/a.txt', 'src/lib/deep/b.md', 'lib/x', 'empty-not/.keep');

  /** What newer clients leave in, for cases that Docker clients before 23 stop at. */
  const beyondOldClients: Readonly<Record<string, readonly string[]>> = {
    'characters that mean something only to regular expressions': [
      ...files.filter((file) => !['c++', 'foo(1).txt', '{x}'].includes(file)),
      '.dockerignore',
      'Dockerfile',
    ]
      .map((file) => `context/${file}`)
      .sort(),
  };

  const dockerfile = 'FROM base\nCOPY . /context/\n';

  async function project(t: TestContext, ignore: string): Promise<string> {
    const folder = await temporaryFolder(t);
    await writeTree(folder, Object.fromEntries(files.map((name) => [name, name])));
    await writeTree(folder, { Dockerfile: dockerfile, '.dockerignore': ignore });
    await mkdir(path.join(folder, 'empty'));
    return folder;
  }

  /** The files that COPY put into an image, read without starting it. */
  async function filesIn(image: string): Promise<string[]> {
    const container = await createContainer(engine.connection, randomBytes(4).toString('hex'), {
      Image: image,
      Cmd: ['sh'],
    });
    const path = `/containers/${container}/archive`;
    const archive = engineStream(engine.connection, { method: 'GET', path, query: { path: '/context' } });
    const names: string[] = [];
    const extract = tar.extract();
    Readable.from(archive).pipe(extract);
    for await (const entry of extract) {
      if (entry.header.type === 'file') names.push(entry.header.name);
      entry.resume();
    }
    return names.sort();
  }

  for (const [name, ignore] of Object.entries(cases)) {
    it(`agrees on ${name}`, async (t) => {
      const folder = await project(t, ignore);
      const theirs = await engine.docker(['build', '--quiet', folder]);
      const isBeyondIt = theirs.stderr.includes('syntax error in pattern');
      const theirFiles = isBeyondIt ? beyondOldClients[name] : await filesIn(theirs.stdout.trim());
      assert.ok(theirFiles, theirs.stderr);
      const source = await readBuildSource(await readProject({ folder }), values);
      assert.ok(source !== undefined);
      const context = await listBuildContext({
        folder,
        rules: source.rules,
        alwaysIncluded: ['Dockerfile', '.dockerignore'],
      });
      const build = { context: folder, args: {}, labels: {} };
      const one = { service: 'main', build, source, context };
      const ours = await buildService(engine.connection, one, { noCache: false, pull: false });
      assert.deepEqual(await filesIn(ours), theirFiles);
    });
  }
});

describe('a context of 500 MB', () => {
  it('is never held in memory', { skip: process.platform !== 'linux' && 'measures with /proc' }, async (t) => {
    const folder = await temporaryFolder(t);
    for (const name of ['a', 'b']) await writeFile(path.join(folder, name), '');
    for (const name of ['a', 'b']) await truncate(path.join(folder, name), 250_000_000);
    const script = `
      const { listBuildContext, packBuildContext } = await import(${JSON.stringify(path.resolve('src/lib/project/build-context.ts'))});
      const rules = { ignores: () => false, mayIncludeInside: () => false };
      let bytes = 0;
      const context = await listBuildContext({ folder: ${JSON.stringify(folder)}, rules, alwaysIncluded: [] });
      for await (const chunk of await packBuildContext(context)) bytes += chunk.length;
      console.log(bytes, process.resourceUsage().maxRSS);
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: 'pipe' });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    const [bytes = 0, maxRss = Infinity] = output.split(' ').map(Number);
    t.diagnostic(`peak memory ${Math.round(maxRss / 1024)} MiB`);
    assert.equal(bytes, 500_000_000 + 2 * 512 + 2 * ((512 - (250_000_000 % 512)) % 512) + 1024);
    assert.ok(maxRss < 250 * 1024, `${maxRss} KiB`);
  });
});
