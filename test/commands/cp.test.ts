import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { createContainer, startContainer } from '../../src/lib/engine/containers.js';
import { run } from '../../src/lib/platform/child-process.js';
import { importBaseImage } from '../support/base-image.js';
import { davit, type DavitOptions, startDavit, watchDavit } from '../support/davit.js';
import { engineSkipReason, startEngine, type TestEngine } from '../support/engine.js';
import { openCountedLink } from '../support/counted-link.js';
import { seededRandom } from '../support/seeded-random.js';
import { type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { userHome } from '../support/user-home.js';

const skip = sshServerSkipReason();

/** Two folders, here and on the device, which is the same computer. */
async function places(t: TestContext) {
  const options = await userHome(t);
  const { HOME } = options.environment;
  const [here, there] = [path.join(HOME, 'here'), path.join(HOME, 'there')];
  await Promise.all([here, there].map((folder) => mkdir(folder)));
  return { here, there, options };
}

/** A folder with everything that a copy has to keep. */
async function makeTree(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'sub', 'deep'), { recursive: true });
  await mkdir(path.join(folder, 'empty'));
  await writeFile(path.join(folder, 'plain'), 'plain\n');
  await writeFile(path.join(folder, 'nothing'), '');
  await writeFile(path.join(folder, 'odd name \'" ü:*'), 'odd');
  await writeFile(path.join(folder, 'sub', 'big'), seededRandom(5).bytes(3_000_001));
  await writeFile(path.join(folder, 'sub', 'deep', 'program'), '#!/bin/sh\n');
  await chmod(path.join(folder, 'sub', 'deep', 'program'), 0o755);
  await chmod(path.join(folder, 'plain'), 0o600);
  await symlink('plain', path.join(folder, 'link'));
  await symlink('/nowhere/at/all', path.join(folder, 'sub', 'dangling'));
  await utimes(path.join(folder, 'plain'), 1_600_000_000, 1_600_000_000);
  await chmod(path.join(folder, 'sub', 'deep'), 0o500);
}

/** What is in a folder: names with kind, mode, time of files, and contents. */
async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const file = path.join(folder, name);
    const stats = await lstat(file);
    const mode = (stats.mode & 0o777).toString(8);
    if (stats.isSymbolicLink()) found[name] = `-> ${await readlink(file)}`;
    else if (stats.isDirectory()) found[name] = `folder ${mode}`;
    else found[name] = `${mode} ${Math.floor(stats.mtimeMs / 1000)} ${(await readFile(file)).toString('base64')}`;
  }
  return found;
}

describe('davit cp', { skip }, () => {
  let server: SshServer;
  before(async () => {
    server = await startSshServer({ configuration: ['Subsystem sftp internal-sftp'] });
  });
  after(() => server.close());

  const cp = (...words: string[]) => ['cp', '--port', String(server.port), '--identity', server.identityFile, ...words];
  const on = (file: string) => `127.0.0.1:${file}`;

  it('copies a folder there and back with contents, modes, times and links', async (t) => {
    const { here, there, options } = await places(t);
    await makeTree(path.join(here, 'tree'));
    const up = await davit(cp(path.join(here, 'tree'), on(there)), options);
    assert.equal(up.exitCode, 0, up.stderr);
    const down = await davit(cp(on(path.join(there, 'tree')), path.join(here, 'back')), options);
    assert.equal(down.exitCode, 0, down.stderr);
    const expected = await contents(path.join(here, 'tree'));
    assert.deepEqual(await contents(path.join(there, 'tree')), expected);
    assert.deepEqual(await contents(path.join(here, 'back')), expected);
    assert.deepEqual((await readdir(here)).sort(), ['back', 'tree']);
  });

  it('gives the copy the name of a target that is not there, and puts it into a folder that is', async (t) => {
    const { here, there, options } = await places(t);
    await writeFile(path.join(here, 'file'), 'new');
    for (const [target, result] of [
      ['other', 'other'],
      ['', 'file'],
    ] as const) {
      const { exitCode, stdout } = await davit(
        cp(path.join(here, 'file'), on(path.join(there, target)), '--json'),
        options,
      );
      assert.equal(exitCode, 0);
      const { files, bytes, path: reported } = JSON.parse(stdout) as { files: number; bytes: number; path: string };
      assert.deepEqual([files, bytes, reported], [1, 3, path.join(there, result)]);
      assert.equal(await readFile(path.join(there, result), 'utf8'), 'new');
    }
  });

  it('copies a folder from one device to another', async (t) => {
    const other = await startSshServer({ configuration: ['Subsystem sftp internal-sftp'] });
    t.after(() => other.close());
    const { here, there, options } = await places(t);
    await makeTree(path.join(here, 'tree'));
    const entry = (name: string, { port, identityFile }: SshServer) =>
      `Host ${name}\nHostName 127.0.0.1\nPort ${port}\nIdentityFile ${identityFile}\n`;
    await mkdir(path.join(options.environment.HOME, '.ssh'));
    const config = path.join(options.environment.HOME, '.ssh', 'config');
    await writeFile(config, entry('crane', server) + entry('heron', other));
    const copied = await davit(['cp', `crane:${path.join(here, 'tree')}`, `heron:${there}`], options);
    assert.equal(copied.exitCode, 0, copied.stderr);
    assert.deepEqual(await contents(path.join(there, 'tree')), await contents(path.join(here, 'tree')));
    assert.match(other.log(), /Accepted publickey/);
  });

  it('replaces a file in one step and merges into a folder that is there', async (t) => {
    const { here, there, options } = await places(t);
    await mkdir(path.join(here, 'tree'));
    await mkdir(path.join(there, 'tree'));
    await writeFile(path.join(here, 'tree', 'file'), 'new');
    await writeFile(path.join(there, 'tree', 'file'), 'old');
    await writeFile(path.join(there, 'tree', 'kept'), 'kept');
    const handle = await open(path.join(there, 'tree', 'file'));
    t.after(() => handle.close());
    assert.equal((await davit(cp(path.join(here, 'tree'), on(there)), options)).exitCode, 0);
    assert.equal(await handle.readFile('utf8'), 'old');
    assert.deepEqual((await readdir(path.join(there, 'tree'))).sort(), ['file', 'kept']);
    assert.equal(await readFile(path.join(there, 'tree', 'file'), 'utf8'), 'new');
  });

  it('keeps holes', async (t) => {
    const { here, there, options } = await places(t);
    await writeFile(path.join(here, 'sparse'), 'begin');
    await truncate(path.join(here, 'sparse'), 300_000_000);
    assert.equal((await davit(cp(path.join(here, 'sparse'), on(there)), options)).exitCode, 0);
    assert.equal((await davit(cp(on(path.join(there, 'sparse')), path.join(here, 'back')), options)).exitCode, 0);
    for (const file of [path.join(there, 'sparse'), path.join(here, 'back')]) {
      const { size, blocks } = await stat(file);
      assert.equal(size, 300_000_000);
      assert.ok(blocks * 512 < 1_000_000, `${file} takes ${blocks * 512} bytes`);
    }
  });

  it('copies what says that it is empty and is not', async (t) => {
    const { here, options } = await places(t);
    assert.equal((await davit(cp(on('/proc/version'), path.join(here, 'version')), options)).exitCode, 0);
    assert.match(await readFile(path.join(here, 'version'), 'utf8'), /^Linux version/);
  });

  for (const [name, words, exitCode] of [
    ['a source that is not there', ['/nowhere', '127.0.0.1:/tmp/x'], 3],
    ['a source on the device that is not there', ['127.0.0.1:/nowhere', '/tmp/x'], 3],
    ['a folder that is not there', ['/etc/passwd', '127.0.0.1:/tmp/no-such-folder/'], 3],
    ['a folder in place of a file', ['/etc/ssh', '127.0.0.1:/etc/passwd'], 4],
    ['no device', ['/etc/passwd', '/tmp/x'], 2],
    ['something without a name', ['127.0.0.1:/', '/tmp'], 2],
  ] as const) {
    it(`ends with ${exitCode} for ${name}`, async (t) => {
      const { options } = await places(t);
      const result = await davit(cp(...words), options);
      assert.equal(result.exitCode, exitCode, result.stderr);
    });
  }

  it('leaves what was there, and nothing else, when it is interrupted', async (t) => {
    const { here, there, options } = await places(t);
    await mkdir(path.join(here, 'tree'));
    const handle = await open(path.join(here, 'tree', 'big'), 'w');
    for (let piece = 0; piece < 40; piece++) await handle.write(seededRandom(piece).bytes(10_000_000));
    await handle.close();
    await writeFile(path.join(there, 'big'), 'old');
    for (const [from, to] of [
      [path.join(here, 'tree', 'big'), on(there)],
      [path.join(here, 'tree'), on(there)],
      [on(path.join(here, 'tree')), there],
    ] as const) {
      const child = startDavit(cp(from, to, '--progress', 'json'), options);
      const { stderr } = child;
      if (stderr === null) throw new Error('standard error is not a pipe');
      let [seen, isKilled] = ['', false];
      stderr.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        // The second one would end it at once.
        if (!isKilled && /"current":\s*[1-9]\d{6}/.test(seen)) isKilled = child.kill('SIGINT');
      });
      await once(child, 'close');
      assert.equal(child.exitCode, 130, seen);
      assert.deepEqual(await readdir(there), ['big']);
      assert.equal(await readFile(path.join(there, 'big'), 'utf8'), 'old');
    }
  });

  /** Copies over a link that lets nothing through while something is done in the middle. */
  async function disturbed(
    device: Pick<SshServer, 'port' | 'identityFile'>,
    words: readonly string[],
    options: DavitOptions,
    disturb: () => unknown,
  ) {
    const link = await openCountedLink(device.port);
    try {
      const isHeld = link.holdAfter(10_000_000);
      const login = ['--port', String(link.port), '--identity', device.identityFile];
      const copying = watchDavit(['cp', ...login, ...words, '--progress', 'json'], options);
      await Promise.race([isHeld, copying.result]);
      await disturb();
      link.letGo();
      return await copying.result;
    } finally {
      await link.close();
    }
  }

  it('goes on where it was when the connection is cut, there and back', async (t) => {
    const { here, there, options } = await places(t);
    const bytes = seededRandom(9).bytes(40_000_000);
    await writeFile(path.join(here, 'big'), bytes);
    for (const [from, to, at] of [
      [path.join(here, 'big'), on(path.join(there, 'up')), path.join(there, 'up')],
      [on(path.join(here, 'big')), path.join(there, 'down'), path.join(there, 'down')],
    ] as const) {
      const { exitCode, stderr } = await disturbed(server, [from, to], options, () =>
        run('pkill', ['-P', String(server.pid())]),
      );
      assert.equal(exitCode, 0, stderr.slice(-2000));
      assert.match(stderr, /connected to 127\.0\.0\.1 again/);
      assert.ok((await readFile(at)).equals(bytes));
    }
    assert.deepEqual((await readdir(there)).toSorted(), ['down', 'up']);
  });

  it('goes on over a new connection when the server does not answer any more', async (t) => {
    const { here, there, options } = await places(t);
    const bytes = seededRandom(9).bytes(40_000_000);
    await writeFile(path.join(here, 'big'), bytes);
    const stalled: string[] = [];
    const { exitCode, stderr } = await disturbed(
      server,
      [path.join(here, 'big'), on(path.join(there, 'up'))],
      options,
      async () => {
        stalled.push(...(await run('pgrep', ['-P', String(server.pid())])).stdout.trim().split('\n'));
        await run('kill', ['-STOP', ...stalled]);
      },
    );
    await run('kill', ['-KILL', ...stalled]);
    assert.equal(exitCode, 0, stderr.slice(-2000));
    assert.match(stderr, /connected to 127\.0\.0\.1 again/);
    assert.ok((await readFile(path.join(there, 'up'))).equals(bytes));
    assert.deepEqual(await readdir(there), ['up']);
  });

  it('begins again for a device that was started anew, which may have lost what was written last', async (t) => {
    const { here, there, options } = await places(t);
    const bytes = seededRandom(9).bytes(40_000_000);
    await writeFile(path.join(here, 'big'), bytes);
    const bootId = path.join(options.environment.HOME, 'boot_id');
    await writeFile(bootId, '7c7a4b6e-3a5c-4b1e-9d9e-2f6f1b0a0001\n');
    const device = await startSshServer({
      wrapper: ['unshare', '-m', 'sh', '-c', 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"', bootId],
      configuration: ['Subsystem sftp internal-sftp'],
    });
    t.after(() => device.close());
    const words = [path.join(here, 'big'), on(path.join(there, 'up'))];
    const { exitCode, stderr } = await disturbed(device, words, options, async () => {
      await writeFile(bootId, '8d7a4b6e-3a5c-4b1e-9d9e-2f6f1b0a0002\n');
      // What was written last is lost.
      const [draft = ''] = await readdir(there);
      await truncate(path.join(there, draft), 0);
      await run('pkill', ['-P', String(device.pid())]);
    });
    assert.equal(exitCode, 0, stderr.slice(-2000));
    assert.match(stderr, /beginning again/);
    assert.ok((await readFile(path.join(there, 'up'))).equals(bytes));
    assert.deepEqual(await readdir(there), ['up']);
  });

  it('ends with 6, and leaves nothing here, when the device stays away', async (t) => {
    const { here, there, options } = await places(t);
    await writeFile(path.join(here, 'big'), seededRandom(9).bytes(40_000_000));
    const device = await startSshServer({ configuration: ['Subsystem sftp internal-sftp'] });
    const words = ['--timeout', '1', on(path.join(here, 'big')), there];
    const result = await disturbed(device, words, options, async () => {
      const sessions = (await run('pgrep', ['-P', String(device.pid())])).stdout.trim().split('\n');
      await device.close();
      await run('kill', sessions);
    });
    assert.equal(result.exitCode, 6, result.stderr.slice(-2000));
    assert.doesNotMatch(result.stderr, /left behind/);
    assert.deepEqual(await readdir(there), []);
  });
});

describe('davit cp with a service', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
    const HostConfig = { NetworkMode: 'host' };
    const Cmd = ['/bin/sleep', '100000'];
    for (const name of ['main', 'idle']) {
      const spec = { Image: 'base', Cmd, HostConfig };
      const id = await createContainer(engine.connection, `${name}_1_1_10ca12e1ea5e`, spec);
      if (name === 'main') await startContainer(engine.connection, id);
    }
  });
  after(() => engine.close());

  const cp = (...words: string[]) => ['cp', '--engine-port', String(engine.port), ...words];

  for (const service of ['main', 'idle']) {
    it(`copies a folder into ${service}, running or not, and back`, async (t) => {
      const { here, options } = await places(t);
      await makeTree(path.join(here, 'tree'));
      const expected = await contents(path.join(here, 'tree'));
      for (const [target, source] of [
        ['/tmp', '/tmp/tree'],
        ['/tmp/other', '/tmp/other'],
        // Once more, over what is there.
        ['/tmp', '/tmp/tree'],
      ] as const) {
        const up = await davit(cp(path.join(here, 'tree'), `127.0.0.1:${service}:${target}`), options);
        assert.equal(up.exitCode, 0, up.stderr);
        const name = `back-${Math.random()}`;
        const down = await davit(cp(`127.0.0.1:${service}:${source}`, path.join(here, name)), options);
        assert.equal(down.exitCode, 0, down.stderr);
        assert.deepEqual(await contents(path.join(here, name)), expected);
      }
    });
  }

  it('copies one file, follows a link to it, and leaves no drafts', async (t) => {
    const { here, options } = await places(t);
    await writeFile(path.join(here, 'file'), 'text');
    assert.equal((await davit(cp(path.join(here, 'file'), '127.0.0.1:main:/www/page'), options)).exitCode, 0);
    await engine.docker(['exec', 'main_1_1_10ca12e1ea5e', 'sh', '-c', 'cd /www; busybox ln -s page link']);
    assert.equal((await davit(cp('127.0.0.1:main:/www/link', here), options)).exitCode, 0);
    assert.equal(await readFile(path.join(here, 'link'), 'utf8'), 'text');
    assert.deepEqual((await readdir(here)).sort(), ['file', 'link']);
    const listed = await engine.docker(['exec', 'main_1_1_10ca12e1ea5e', 'ls', '-a', '/www']);
    assert.deepEqual(listed.stdout.trim().split('\n').sort(), ['.', '..', 'link', 'page']);
  });

  it('ends with 3 for what is not there, and with 2 for a path that is not absolute', async (t) => {
    const { here, options } = await places(t);
    assert.equal((await davit(cp('127.0.0.1:main:/nowhere', here), options)).exitCode, 3);
    assert.equal((await davit(cp('127.0.0.1:nothing:/etc', here), options)).exitCode, 3);
    assert.equal((await davit(cp('/etc/passwd', '127.0.0.1:main:/tmp/nowhere/'), options)).exitCode, 3);
    assert.equal((await davit(cp('127.0.0.1:main:etc', here), options)).exitCode, 2);
  });
});
