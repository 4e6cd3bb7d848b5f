import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { valueAt } from '../../src/lib/engine/engine-answer.js';
import { inspectContainer, listContainers, removeContainer } from '../../src/lib/engine/containers.js';
import { importBaseImage } from '../support/base-image.js';
import { openCountedLink } from '../support/counted-link.js';
import { davit, davitJson, watchDavit } from '../support/davit.js';
import { engineSkipReason, startEngine, type TestEngine } from '../support/engine.js';
import { writeTree } from '../support/file-tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Says again and again what it reads. */
const teller = 'CMD trap "exit 0" TERM; n=0; while true; do echo "$(cat msg) $VERSION"; sleep 0.1; done\n';

describe('a live push', { skip: engineSkipReason(), timeout: 240_000 }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());
  afterEach(async () => {
    for (const { id } of await listContainers(engine.connection)) await removeContainer(engine.connection, id);
  });

  async function pushed(t: TestContext, files: Readonly<Record<string, string>>, ...more: readonly string[]) {
    const folder = await temporaryFolder(t);
    await writeTree(folder, files);
    const port = more.includes('--engine-port') ? [] : ['--engine-port', String(engine.port)];
    const words = ['push', '127.0.0.1', ...port, '--source', folder];
    const running = watchDavit([...words, ...more]);
    t.after(() => running.child.kill('SIGKILL'));
    const write = (name: string, text: string) => writeFile(path.join(folder, name), text);
    /** Waits until it has printed this; fails when it ends without. */
    const until = async (pattern: RegExp) => {
      while (!pattern.test(running.output())) {
        const hasEnded = await Promise.race([running.result.then(() => true), sleep(20, false)]);
        if (hasEnded || t.signal.aborted) assert.match(running.output(), pattern);
      }
    };
    return { folder, write, words, until, ...running };
  }

  const only = async () => {
    const [container] = await listContainers(engine.connection);
    assert.ok(container);
    return inspectContainer(engine.connection, container.id);
  };

  it('carries a changed file over and restarts the service, in the same container', async (t) => {
    const { write, until, child, result } = await pushed(t, {
      Dockerfile: `FROM base\nWORKDIR /app\nCOPY . .\n${teller}`,
      msg: 'one',
    });
    await until(/^one/m);
    const before = await only();
    await write('msg', 'two');
    await until(/^two/m);
    await until(/msg carried over, restarted/);
    const now = await only();
    assert.equal(now.id, before.id);
    assert.notEqual(now.startedAt, before.startedAt);
    child.kill('SIGINT');
    assert.equal((await result).exitCode, 130);
  });

  it('runs the live command, which sees changes by itself, and repeats the steps after a copy', async (t) => {
    const dockerfile = [
      'FROM base',
      '#dev-env=VERSION=live',
      'WORKDIR /app',
      'COPY source .',
      'RUN tr a-z A-Z < source > msg',
      '#dev-cmd-live=trap "exit 0" TERM; while true; do echo "$(cat msg other) $VERSION"; sleep 0.1; done',
      'COPY other .',
      'CMD ["false"]',
    ];
    const { write, until } = await pushed(t, { Dockerfile: dockerfile.join('\n'), source: 'a\n', other: 'x' });
    await until(/^A\s+x live/m);
    const before = await only();
    await write('other', 'y');
    await until(/^y live/m);
    assert.equal((await only()).startedAt, before.startedAt);
    await write('source', 'b\n');
    await until(/^B$/m);
    assert.equal((await only()).id, before.id);
  });

  it('builds anew when the Dockerfile changes, and lets run what runs when that fails', async (t) => {
    const dockerfile = (version: string) => `FROM base\nENV VERSION=${version}\nWORKDIR /app\nCOPY . .\n${teller}`;
    const { write, until } = await pushed(t, { Dockerfile: dockerfile('v1'), msg: 'one' });
    await until(/^one v1/m);
    const before = await only();
    await write('Dockerfile', dockerfile('v2').replace('COPY . .', 'COPY nowhere .'));
    await until(/the next change tries again/);
    assert.deepEqual(await only(), before);
    await write('Dockerfile', dockerfile('v3'));
    await until(/^one v3/m);
    await write('msg', 'two');
    await until(/^two v3/m);
  });

  it('follows develop.watch of a compose file, and the compose file itself', async (t) => {
    const compose = (text: string) => `services:
  main:
    build: .
    network_mode: none
    environment:
      VERSION: ${text}
    develop:
      watch:
        - { action: sync, path: ./live, target: /app }
`;
    const { write, until, folder } = await pushed(t, {
      'docker-compose.yml': compose('c1'),
      Dockerfile: `FROM base\nWORKDIR /app\nCOPY live .\n${teller}`,
      'live/msg': 'one',
      other: 'not copied',
    });
    await until(/one c1/);
    const before = await only();
    await write('live/msg', 'two');
    await until(/two c1/);
    assert.deepEqual(await only(), before);
    await rm(path.join(folder, 'other'));
    await write('docker-compose.yml', compose('c2'));
    await until(/two c2/);
    await write('live/msg', 'three');
    await until(/three c2/);
  });

  it('carries files over as the build takes them, and builds where nothing can be carried over', async (t) => {
    const compose = (isReadOnly: boolean) => `services: { main: { build: ., read_only: ${isReadOnly} } }\n`;
    const dockerfile = `FROM base\nWORKDIR /app\nCOPY msg .\n${teller.replace('cat msg', 'od -An -c msg')}`;
    const files = { 'docker-compose.yml': compose(false), Dockerfile: dockerfile, msg: 'a\r\n' };
    const { write, until } = await pushed(t, files, '--convert-eol');
    await until(/^ *a +\\n/m);
    await write('msg', 'b\r\n');
    await until(/^ *b +\\n/m);
    await write('docker-compose.yml', compose(true));
    await until(/it says what the project is/);
    await until(/^ *b +\\n[^]*^ *b +\\n/m);
    while (
      (await engine.docker(['inspect', '-f', '{{.HostConfig.ReadonlyRootfs}}', (await only()).id])).stdout !== 'true\n'
    )
      await sleep(50);
    await write('msg', 'c\r\n');
    await until(/main is built anew: msg changed, .* read-only/);
    await until(/^ *c +\\n/m);
  });

  it('builds anew when the ignore file of the Dockerfile alone changes', async (t) => {
    const dockerfile = `FROM base\nWORKDIR /app\nCOPY . .\n${teller.replace('cat msg', 'ls')}`;
    const files = { Dockerfile: dockerfile, 'Dockerfile.dockerignore': 'D*\nb\n', a: '', b: '' };
    const { write, until } = await pushed(t, files);
    await until(/^a *$/m);
    await write('Dockerfile.dockerignore', 'D*\na\n');
    await until(/Dockerfile.dockerignore changed, .* how the image is built/);
    await until(/^b *$/m);
  });

  it('tries a project that cannot be read again when it has changed, and not before', async (t) => {
    const compose = (text: string) => `services: { main: { build: ., environment: { VERSION: ${text} } } }\n`;
    const dockerfile = `FROM base\nWORKDIR /app\nCOPY msg .\n${teller}`;
    const files = { 'docker-compose.yml': compose('c1'), Dockerfile: dockerfile, msg: 'one' };
    const { write, until, output } = await pushed(t, files);
    await until(/one c1/);
    await write('docker-compose.yml', 'services: [');
    await until(/tries again/);
    await write('docker-compose.yml', compose('c2'));
    await until(/one c2/);
    // A file that is being written may be seen empty, too.
    assert.ok(output().split('tries again').length - 1 <= 2, output());
  });

  it('tries a build for which the device was away again when it is back', async (t) => {
    const link = await openCountedLink(engine.port);
    t.after(() => link.close());
    const dockerfile = (version: string) => `FROM base\nENV VERSION=${version}\nCOPY msg .\n${teller}`;
    const files = { Dockerfile: dockerfile('v1'), msg: 'one' };
    const { write, until } = await pushed(t, files, '--engine-port', String(link.port));
    await until(/^one v1/m);
    link.cut('cut');
    await write('Dockerfile', dockerfile('v2'));
    await until(/changes are carried over when it is back|it is tried again/);
    link.cut();
    await until(/^one v2/m);
  });

  it('ends when somebody else has given the service another image', async (t) => {
    const { until, result } = await pushed(t, { Dockerfile: `FROM base\nCOPY msg .\n${teller}`, msg: 'one' });
    await until(/^one/m);
    const { id, name } = await only();
    await removeContainer(engine.connection, id);
    await engine.docker(['run', '--detach', '--name', name, '--network', 'none', 'base', 'sleep', '1000']);
    const { exitCode } = await result;
    assert.equal(exitCode, 4);
  });

  it('leaves no change behind that a later push would take for the image', async (t) => {
    const files = { Dockerfile: `FROM base\nWORKDIR /app\nCOPY . .\n${teller}`, msg: 'one' };
    const { write, until, child, result, words, folder } = await pushed(t, files);
    await until(/^one/m);
    await write('msg', 'two');
    await until(/^two/m);
    child.kill('SIGINT');
    await result;
    await write('msg', 'one');
    assert.equal((await davit([...words, '--detached'])).exitCode, 0);
    const { stdout } = await engine.docker(['exec', (await only()).id, 'cat', '/app/msg']);
    assert.equal(stdout, await readFile(path.join(folder, 'msg'), 'utf8'));
    const { document } = await davitJson([...words, '--detached']);
    assert.equal(valueAt(document, 'isUnchanged'), true);
  });

  it('does nothing of this with --nolive', async (t) => {
    const { write, until, words } = await pushed(
      t,
      { Dockerfile: `FROM base\n#dev-env=VERSION=live\nWORKDIR /app\nCOPY . .\n${teller}`, msg: 'one' },
      '--nolive',
    );
    await until(/^one $/m);
    await write('msg', 'two');
    // The push that follows finds a container that nobody has touched, of another image.
    const dry = await davit([...words, '--dry-run', '--nolive', '--json']);
    assert.equal(dry.exitCode, 0);
    const { stdout } = await engine.docker(['exec', (await only()).id, 'cat', '/app/msg']);
    assert.equal(stdout, 'one');
  });
});
