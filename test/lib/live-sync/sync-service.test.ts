import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspectContainer } from '../../../src/lib/engine/containers.js';
import { tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import type { SyncRule } from '../../../src/lib/live-sync/sync-rule.js';
import { syncService, type SyncRequest } from '../../../src/lib/live-sync/sync-service.js';
import { readTree, type TreeScope } from '../../../src/lib/live-sync/tree.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';
import { importBaseImage } from '../../support/base-image.js';
import { rounds } from '../../support/campaign.js';
import { engineSkipReason, startEngine, type TestEngine } from '../../support/engine.js';
import { writeTree } from '../../support/file-tree.js';
import { type SeededRandom, seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const plainRule: SyncRule = {
  origin: 'line 2',
  sources: [''],
  needsBuild: undefined,
  target: '/app',
  isFolder: true,
  owner: undefined,
  mode: undefined,
  runs: [],
  restarts: false,
};

describe('a service in step', { skip: engineSkipReason(), timeout: 600_000 }, () => {
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

  /** A project whose image has been built, its container, and whoever keeps it in step. */
  async function inStep(
    t: TestContext,
    more: Partial<Pick<SyncRequest, 'rules' | 'scope'>> & {
      readonly files?: Readonly<Record<string, string>>;
      readonly run?: readonly string[];
      readonly port?: number;
    } = {},
  ) {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'main.txt': 'first\n', 'src/a': 'a\n', 'src/b': 'b\n', ...more.files });
    const name = path.basename(folder).toLowerCase();
    await writeTree(folder, { Dockerfile: 'FROM base\nCOPY . /app\nCMD ["sleep", "10000"]\n' });
    await docker('build', '-q', '-t', name, folder);
    await rm(path.join(folder, 'Dockerfile'));
    const start = () => docker('run', '-d', '--name', name, '--network', 'none', ...(more.run ?? []), name);
    await start();
    await docker('exec', '--user', '0', name, 'rm', '-f', '/app/Dockerfile');
    const scope: TreeScope = more.scope ?? { folder, ignores: () => false, skips: () => false };
    const events: ProgressEvent[] = [];
    const ended = new AbortController();
    const connection = tcpEngineConnection('127.0.0.1', more.port ?? engine.port);
    const running = syncService({
      service: 'main',
      scope: { ...scope, folder },
      rules: more.rules ?? [plainRule],
      built: await readTree({ ...scope, folder }),
      findContainer: async () => {
        try {
          const { id, imageId } = await inspectContainer(connection, name, ended.signal);
          return { engine: connection, id, imageId };
        } catch (error) {
          if (error instanceof Failure && error.kind === 'not-found') return undefined;
          throw error;
        }
      },
      signal: ended.signal,
      progress: (event) => events.push(event),
    });
    const leave = async () => {
      ended.abort();
      return running;
    };
    t.after(async () => {
      await leave().catch(() => undefined);
      await engine.docker(['rm', '-f', name]);
      await engine.docker(['rmi', '-f', name]);
    });
    const inside = (...line: readonly string[]) => docker('exec', '--user', '0', name, ...line);
    /** Waits until the container has what the folder has. */
    const equal = async () => {
      for (;;) {
        const [here, there] = [await treeHere(folder), await treeThere(inside)];
        if (here === there) return;
        const settled = await Promise.race([running.then((outcome) => ({ outcome })), sleep(100)]);
        if (settled !== undefined) assert.fail(`it ended: ${JSON.stringify(settled.outcome)}\n${here}\n\n${there}`);
        if (t.signal.aborted) assert.equal(there, here);
      }
    };
    return {
      name,
      folder,
      at: (file: string) => path.join(folder, file),
      inside,
      equal,
      running,
      events,
      leave,
      start,
    };
  }

  /** Kinds, modes and contents of all files here, as the script in a container tells them. */
  async function treeHere(folder: string): Promise<string> {
    const lines: string[] = [];
    for (const file of await filesBelow(folder)) {
      const name = path.relative(folder, file);
      const stats = await lstat(file);
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isSymbolicLink()) lines.push(`${name} -> ${await readlink(file)}`);
      else if (stats.isDirectory()) lines.push(`${name} ${mode}`);
      else
        lines.push(
          `${name} ${mode} ${createHash('sha256')
            .update(await readFile(file))
            .digest('hex')}`,
        );
    }
    return lines.sort().join('\n');
  }

  async function treeThere(inside: (...line: readonly string[]) => Promise<string>): Promise<string> {
    const script = `cd /app && find . ! -path . | while read -r f; do
      if [ -L "$f" ]; then stat -c '%N' "$f"
      elif [ -d "$f" ]; then stat -c '%n %a' "$f"
      else s=$(sha256sum "$f"); echo "$(stat -c '%n %a' "$f") \${s%% *}"; fi; done`;
    const lines = (await inside('sh', '-c', script)).split('\n').filter(Boolean);
    return lines
      .map((line) => line.replace(/^\.\//, '').replace(/^'\.\/(.*)' -> '(.*)'$/, '$1 -> $2'))
      .sort()
      .join('\n');
  }

  it('gets files that change, come, go, are renamed, and change their kind and mode', async (t) => {
    const { at, equal, inside, leave } = await inStep(t);
    await writeFile(at('main.txt'), 'second\n');
    await equal();
    await mkdir(at('new/deep'), { recursive: true });
    await writeFile(at('new/deep/file'), 'x');
    await symlink('deep/file', at('new/link'));
    await equal();
    await chmod(at('new/deep/file'), 0o755);
    await chmod(at('new'), 0o700);
    await equal();
    await rename(at('new/deep'), at('src/deeper'));
    await rm(at('main.txt'));
    await mkdir(at('main.txt'));
    await writeFile(at('main.txt/was a file'), '');
    await equal();
    await rm(at('main.txt'), { recursive: true });
    await rm(at('src'), { recursive: true });
    await equal();
    assert.equal(await inside('find', '/', '-xdev', '-name', '.davit-*.partial'), '');
    assert.equal(await leave(), undefined);
  });

  it('gets what changed since its image was built', async (t) => {
    const { at, equal, name } = await inStep(t);
    await writeFile(at('early'), 'x');
    await equal();
    await docker('rm', '-f', name);
    await writeFile(at('late'), 'x');
    await rm(at('src/a'));
    await docker('run', '-d', '--name', name, '--network', 'none', name);
    await docker('exec', name, 'rm', '/app/Dockerfile');
    await equal();
  });

  it('has the same files after a storm of edits, stops, restarts and new containers', async (t) => {
    const { at, folder, equal, name } = await inStep(t);
    const random = seededRandom(20);
    for (let round = 0; round < rounds(6, 120); round++) {
      for (let edit = 0; edit < 30; edit++) await editSomething(folder, random);
      const what = random.below(6);
      if (what === 0) await docker('restart', '-t', '0', name);
      if (what === 1) {
        await docker('kill', name);
        for (let edit = 0; edit < 10; edit++) await editSomething(folder, random);
        await docker('start', name);
      }
      if (what === 2) {
        await docker('rm', '-f', name);
        await docker('run', '-d', '--name', name, '--network', 'none', name);
        await docker('exec', name, 'rm', '-f', '/app/Dockerfile');
      }
      await equal();
    }
    await writeFile(at('last'), 'x');
    await equal();
  });

  it('is brought back into step after its link was down', async (t) => {
    const relay = await startRelay(t, engine.port);
    const { at, equal, events } = await inStep(t, { port: relay.port });
    await writeFile(at('before'), 'x');
    await equal();
    relay.cut();
    await writeFile(at('main.txt'), 'while it was down\n');
    await rm(at('src/b'));
    while (!events.some((event) => event.type === 'notice' && event.level === 'warning')) await sleep(20);
    await writeFile(at('main.txt'), 'first\n');
    relay.mend();
    await equal();
  });

  it('is restarted, and repeats the steps that follow, as whom they were written for', async (t) => {
    const runs = [
      {
        origin: 'line 9',
        command: ['sh', '-c', 'echo "$(cat main.txt) $WHO" > /tmp/made && echo built'],
        user: '65534',
        workingFolder: '/app',
        environment: { WHO: 'me' },
      },
    ];
    const rules = [
      { ...plainRule, sources: ['main.txt'], runs, restarts: true, owner: 'keeper:crew' },
      { ...plainRule, sources: ['src'], target: '/app/src' },
    ];
    const { at, inside, events, name } = await inStep(t, { rules });
    await inside('sh', '-c', 'echo keeper:x:7:8::/: > /etc/passwd; echo crew:x:9: > /etc/group; chmod 777 /tmp');
    const startedAt = async () => (await inspectContainer(engine.connection, name)).startedAt;
    const before = await startedAt();
    await writeFile(at('src/a'), 'no restart');
    while ((await inside('cat', '/app/src/a')) !== 'no restart') await sleep(20);
    assert.equal(await startedAt(), before);
    await writeFile(at('main.txt'), 'third');
    while ((await startedAt()) === before) await sleep(20);
    assert.equal(await inside('cat', '/tmp/made'), 'third me');
    assert.equal(await inside('stat', '-c', '%u:%g', '/app/main.txt'), '7:9');
    assert.equal(await inside('stat', '-c', '%u', '/tmp/made'), '65534');
    assert.ok(events.some((event) => event.type === 'line' && event.text === 'built'));
  });

  it('repeats what has to follow a change when the link was lost before it was done', async (t) => {
    const relay = await startRelay(t, engine.port);
    const line = 'echo x >> /tmp/begun; test "$(wc -l < /tmp/begun)" != 1 || sleep 1000';
    const step = { origin: 'line 9', user: '0', workingFolder: '/', environment: {} };
    const runs = [{ ...step, command: ['sh', '-c', line] }];
    const { at, inside, name } = await inStep(t, { rules: [{ ...plainRule, runs }], port: relay.port });
    const startedAt = async () => (await inspectContainer(engine.connection, name)).startedAt;
    const before = await startedAt();
    await writeFile(at('main.txt'), 'x');
    while ((await inside('sh', '-c', 'wc -l < /tmp/begun || true')) !== '1') await sleep(20);
    relay.cut();
    relay.mend();
    while ((await startedAt()) === before) await sleep(20);
    assert.equal(await inside('sh', '-c', 'wc -l < /tmp/begun'), '2');
  });

  it('is left at once, whatever runs in it then', async (t) => {
    const step = { origin: 'line 9', user: '0', workingFolder: '/', environment: {} };
    const runs = [{ ...step, command: ['sh', '-c', 'echo begun; sleep 1000'] }];
    const { at, events, leave } = await inStep(t, { rules: [{ ...plainRule, runs }] });
    await writeFile(at('main.txt'), 'x');
    while (!events.some((event) => event.type === 'line' && event.text === 'begun')) await sleep(20);
    assert.equal(await leave(), undefined);
  });

  it('gets files in its volumes, too, and whoever it runs as', async (t) => {
    const { at, equal } = await inStep(t, { run: ['--volume', '/app', '--user', '65534:65534', '--cap-drop', 'ALL'] });
    await writeFile(at('main.txt'), 'second');
    await rm(at('src/a'));
    await equal();
  });

  it('ends with the reason when a change needs a build', async (t) => {
    const rules = [
      { ...plainRule, origin: 'line 3', sources: ['src'], needsBuild: 'it goes into the stage build' },
      plainRule,
    ];
    const { at, running } = await inStep(t, { rules });
    await writeFile(at('src/a'), 'x');
    assert.deepEqual(await running, {
      reason: 'src/a changed, which line 3 copies: it goes into the stage build',
    });
  });

  it('ends with the reason when nothing in the container can remove a file', async (t) => {
    const { at, running, inside, name } = await inStep(t);
    await inside('rm', '/bin/sh');
    await docker('restart', '-t', '0', name);
    await rm(at('src/a'));
    assert.deepEqual(await running, { reason: 'src/a was removed, and the image has no shell to remove it with' });
  });

  it('fails when somebody else gives its place to another image', async (t) => {
    const { at, running, name } = await inStep(t);
    await writeFile(at('main.txt'), 'x');
    const failing = assert.rejects(running, { kind: 'refused', code: 'container-replaced' });
    await docker('rm', '-f', name);
    await docker('run', '-d', '--name', name, '--network', 'none', 'base', 'sleep', '1000');
    await failing;
  });
});

/** Everything below a folder, without what links lead to. */
async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    files.push(file, ...(entry.isDirectory() ? await filesBelow(file) : []));
  }
  return files;
}

/** Does one of the things that people and their programs do to files. */
async function editSomething(folder: string, random: SeededRandom): Promise<void> {
  const names = ['a', 'b', 'c', 'd/e', 'd/f', 'd/g/h', 'i'];
  const file = path.join(folder, random.pick(names));
  const other = path.join(folder, random.pick(names));
  try {
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, random.bytes(random.below(3000)));
        break;
      case 3:
        await rm(file, { recursive: true, force: true });
        break;
      case 4:
        await rename(file, other);
        break;
      case 5:
        // Never of what a link leads to.
        if (!(await lstat(file)).isSymbolicLink()) await chmod(file, random.pick([0o644, 0o755, 0o700]));
        break;
      case 6:
        await symlink(random.pick(['a', '../b', '/nowhere/at/all']), file);
        break;
      default:
        await mkdir(file);
    }
  } catch (error) {
    // Not all of it is possible at every moment.
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
}

/** A relay before an engine, whose connections can be cut. */
async function startRelay(t: TestContext, port: number) {
  const sockets = new Set<Socket>();
  let isDown = false;
  const server = createServer((client) => {
    if (isDown) {
      client.destroy();
      return;
    }
    const upstream = connect(port, '127.0.0.1');
    for (const [one, other] of [[client, upstream] as const, [upstream, client] as const]) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    isDown = true;
    for (const socket of sockets) socket.destroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const mend = () => {
    isDown = false;
  };
  return { port: address.port, cut, mend };
}
