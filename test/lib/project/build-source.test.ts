import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import tar from 'tar-stream';
import { interrupted } from '../../../src/lib/failure/failure.js';
import { buildContextOf, packBuildContext } from '../../../src/lib/project/build-context.js';
import { readBuildSource } from '../../../src/lib/project/build-source.js';
import { readProject, type ProjectRequest } from '../../../src/lib/project/project.js';
import { readRegistrySecrets } from '../../../src/lib/project/registry-secrets.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const values = { deviceType: 'fincm3', architecture: 'armv7hf', commit: 'c', appName: 'localapp' };

async function project(t: TestContext, files: Readonly<Record<string, string>>, request: Partial<ProjectRequest> = {}) {
  const folder = await temporaryFolder(t);
  await writeTree(folder, files);
  const read = await readProject({ folder, environment: () => undefined, ...request });
  return {
    folder,
    ...read,
    source: async (service: string) => (await readBuildSource(read, { ...values, service })) ?? assert.fail(),
  };
}

describe('what a service of a composition is built from', () => {
  it('is the Dockerfile for the device in its own folder, with its own name in templates', async (t) => {
    const { source, folder } = await project(t, {
      'compose.yaml': 'services: {a: {build: a}, b: {build: {context: b, dockerfile: docker/Build}}, c: {image: i}}',
      'a/Dockerfile': 'FROM plain',
      'a/Dockerfile.template': 'FROM %%BALENA_ARCH%%-%%BALENA_SERVICE_NAME%%',
      'b/docker/Build.fincm3': 'FROM %%BALENA_MACHINE_NAME%%',
    });
    assert.deepEqual((await source('a')).dockerfile, {
      source: 'Dockerfile.template',
      path: 'Dockerfile',
      text: 'FROM armv7hf-a',
      isDerived: true,
    });
    const b = await source('b');
    assert.equal(b.folder, path.join(folder, 'b'));
    assert.deepEqual([b.dockerfile.path, b.dockerfile.text], ['docker/Build', 'FROM fincm3']);
  });

  it('may have its Dockerfile outside of its folder, or in the compose file', async (t) => {
    const { source } = await project(t, {
      'compose.yaml':
        'services: {a: {build: {context: a, dockerfile: ../docker/Build}}, b: {build: {context: a, dockerfile_inline: "FROM x"}}}',
      'docker/Build': 'FROM outside',
      'a/file': '',
    });
    const outside = await source('a');
    assert.deepEqual([outside.dockerfile.source, outside.dockerfile.text], ['../docker/Build', 'FROM outside']);
    const { paths, replaced } = await buildContextOf(outside);
    assert.deepEqual(paths, ['file']);
    assert.equal(replaced?.path, outside.dockerfile.path);
    assert.equal((await source('b')).dockerfile.text, 'FROM x');
  });

  it('leaves out what the ignore file of its own folder names, or that of its Dockerfile', async (t) => {
    const { source } = await project(t, {
      'compose.yaml': 'services: {a: {build: a}, b: {build: b}}',
      '.dockerignore': '*',
      'a/Dockerfile': 'FROM x',
      'a/.dockerignore': 'secret',
      'a/secret': '',
      'b/Dockerfile': 'FROM x',
      'b/Dockerfile.dockerignore': 'other',
      'b/.dockerignore': 'kept',
      'b/kept': '',
      'b/other': '',
    });
    const paths = async (service: string) => (await buildContextOf(await source(service))).paths;
    assert.deepEqual(await paths('a'), ['.dockerignore', 'Dockerfile']);
    assert.deepEqual(await paths('b'), ['.dockerignore', 'Dockerfile', 'Dockerfile.dockerignore', 'kept']);
  });

  it('leaves out what git ignores only if that is asked for', async (t) => {
    const files = {
      Dockerfile: 'FROM x',
      '.gitignore': '*.log\n/out/\n',
      'a.log': '',
      'out/x': '',
      'in/out/.gitignore': 'y',
      'in/out/y': '',
    };
    const plain = await project(t, files);
    assert.ok((await buildContextOf(await plain.source('main'))).paths.includes('a.log'));
    const asked = await project(t, files, { usesGitignore: true });
    await assert.rejects(asked.source('main'), { kind: 'refused', code: 'gitignore-unusable' });
    execFileSync('git', ['init', '--quiet', asked.folder]);
    assert.deepEqual((await buildContextOf(await asked.source('main'))).paths, [
      '.gitignore',
      'Dockerfile',
      'in',
      'in/out',
      'in/out/.gitignore',
    ]);
  });

  it('has the line ends of Unix if that is asked for, in text alone', async (t) => {
    const long = 'x\r\n'.repeat(50_000);
    const files = { Dockerfile: 'FROM x\r\n', 'a.sh': 'a\r\nb\rc\r\n\r', 'data.bin': 'a\0\r\n', long, plain: 'a\n' };
    const { source } = await project(t, files, { convertsLineEnds: true });
    const context = await buildContextOf(await source('main'));
    const found = new Map<string, string>();
    const extract = tar.extract();
    (await packBuildContext(context)).pipe(extract);
    for await (const entry of extract) {
      const content: AsyncIterable<Buffer> = Readable.from(entry);
      const chunks: Buffer[] = [];
      for await (const chunk of content) chunks.push(chunk);
      found.set(entry.header.name, Buffer.concat(chunks).toString());
    }
    assert.equal(found.get('a.sh'), 'a\nb\rc\n\r');
    assert.equal(found.get('data.bin'), 'a\0\r\n');
    assert.equal(found.get('plain'), 'a\n');
    assert.equal(found.get('long'), 'x\n'.repeat(50_000));
    assert.equal(
      context.bytes,
      [...found.values()].reduce((sum, text) => sum + text.length, 0),
    );
  });

  it('has no sockets and pipes, and says which', async (t) => {
    const { source, folder } = await project(t, { Dockerfile: 'FROM x', big: 'x'.repeat(1000) });
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    const server = createServer().listen(path.join(folder, 'socket'));
    t.after(() => server.close());
    await once(server, 'listening');
    const { skipped, largest } = await buildContextOf(await source('main'));
    assert.deepEqual(skipped, ['pipe', 'socket']);
    assert.deepEqual(largest[0], { path: 'big', bytes: 1000 });
  });

  it('is not waited for after Ctrl-C where its Dockerfile is a pipe', { timeout: 10_000 }, async (t) => {
    const folder = await temporaryFolder(t);
    execFileSync('mkfifo', [path.join(folder, 'Dockerfile')]);
    // A writer that says nothing.
    const pipe = await open(path.join(folder, 'Dockerfile'), constants.O_RDWR);
    t.after(() => pipe.close());
    const project = await readProject({ folder });
    const interruption = new AbortController();
    const reading = readBuildSource(project, { ...values, service: 'main' }, interruption.signal);
    setImmediate(() => {
      interruption.abort(interrupted());
    });
    await assert.rejects(reading, { kind: 'interrupted' });
  });

  it('is no repository elsewhere', async (t) => {
    const { source } = await project(t, { 'compose.yaml': 'services: {a: {build: "https://github.com/a/b.git"}}' });
    await assert.rejects(source('a'), { kind: 'refused', code: 'remote-build-context' });
  });
});

describe('.balena/balena.yml', () => {
  const dockerfile = { Dockerfile: 'FROM x' };

  it('gives build arguments, over those of the compose file, and secrets, to all services and to one', async (t) => {
    const { composition, source } = await project(t, {
      'compose.yaml':
        'services: {a: {build: {context: ., args: [A=file, B=file, C=file], secrets: [mine]}}, b: {build: .}}\nsecrets: {mine: {file: mine.txt}}',
      ...dockerfile,
      'mine.txt': 'mine',
      '.balena/balena.yml':
        'build-variables:\n  global: [A=all]\n  services: {a: {B: one}}\nbuild-secrets:\n  global: [{source: token, dest: token.txt}]\n  services: {a: [{source: sub/key, dest: key}]}\n',
      '.balena/secrets/token': 'all',
      '.balena/secrets/sub/key': 'one',
    });
    assert.deepEqual(composition.services.a?.build?.args, { A: 'all', B: 'one', C: 'file' });
    assert.deepEqual(composition.services.b?.build?.args, { A: 'all' });
    const secrets = async (service: string) =>
      Object.fromEntries(
        Array.from((await source(service)).secrets, ([name, bytes]) => [name, Buffer.from(bytes).toString()]),
      );
    assert.deepEqual(await secrets('a'), { 'token.txt': 'all', key: 'one', mine: 'mine' });
    assert.deepEqual(await secrets('b'), { 'token.txt': 'all' });
  });

  it('holds for a single Dockerfile, and may be called as it was before', async (t) => {
    const { composition } = await project(t, {
      ...dockerfile,
      '.resin/resin.json': '{"build-variables": {"global": ["A=1"]}}',
    });
    assert.deepEqual(composition.services.main?.build?.args, { A: '1' });
  });

  it('is refused with its line where it is wrong, and where it is there twice', async (t) => {
    const wrong = { ...dockerfile, '.balena/balena.yml': 'build-variables:\n  globl: [A=1]\n' };
    await assert.rejects(project(t, wrong), {
      code: 'invalid-project',
      message: /balena\.yml:2:3: .*did you mean global/,
    });
    const twice = { ...dockerfile, '.balena/x': '', '.resin/x': '' };
    await assert.rejects(project(t, twice), { kind: 'refused', code: 'balena-folder-twice' });
    const { source } = await project(t, {
      ...dockerfile,
      '.balena/balena.yml': 'build-secrets: {global: [{source: no, dest: x}]}',
    });
    await assert.rejects(source('main'), { kind: 'not-found', message: /build secret x of main/ });
  });
});

describe('a registry secrets file', () => {
  it('has a login for each registry, Docker Hub by any of its names', async (t) => {
    const folder = await temporaryFolder(t);
    const login = '{username: u, password: p}';
    await writeTree(folder, {
      's.yml': `docker.io: ${login}\nhttps://ghcr.io/v2/: ${login}\nlocal:5000: ${login}\n`,
      'bad.json': '{"x": {"username": 1}}',
    });
    const logins = await readRegistrySecrets(path.join(folder, 's.yml'));
    assert.deepEqual(Object.keys(logins), ['https://index.docker.io/v1/', 'ghcr.io', 'local:5000']);
    assert.deepEqual(logins['ghcr.io'], { username: 'u', password: 'p' });
    await assert.rejects(readRegistrySecrets(path.join(folder, 'bad.json')), {
      code: 'invalid-project',
      message: /must have password/,
    });
    await assert.rejects(readRegistrySecrets(path.join(folder, 'no')), {
      kind: 'not-found',
      code: 'registry-secrets-not-found',
    });
  });
});
