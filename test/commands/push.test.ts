import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createContainer, inspectContainer, listContainers, removeContainer } from '../../src/lib/engine/containers.js';
import { engineJson } from '../../src/lib/engine/engine-request.js';
import { listImages } from '../../src/lib/engine/images.js';
import { listAt, textAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { engineDeployer } from '../../src/lib/deploy/engine-deployer.js';
import { singleServiceComposition } from '../../src/lib/project/single-service.js';
import { importBaseImage } from '../support/base-image.js';
import { davit, davitJson, projectRoot } from '../support/davit.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../support/engine.js';
import { sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { writeTree } from '../support/file-tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const containerName = 'main_1_1_10ca12e1ea5e';

/** A program that answers signals at once, as process 1 does not by itself. */
const idle = 'CMD trap "exit 0" TERM; echo ready; while true; do sleep 0.1; done\n';

describe('push', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());
  beforeEach(async () => {
    for (const { id } of await listContainers(engine.connection)) await removeContainer(engine.connection, id);
  });

  const project = async (t: TestContext, files: Readonly<Record<string, string>>) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, files);
    return folder;
  };
  const words = (folder: string, ...more: string[]) => {
    return ['push', '127.0.0.1', '--engine-port', String(engine.port), '--source', folder, ...more];
  };
  const containers = () => listContainers(engine.connection);

  it('builds the demo project and runs it, so that its port answers', async (t) => {
    const folder = await temporaryFolder(t);
    const port = await freePort();
    await copyFile('/bin/busybox', path.join(folder, 'busybox'));
    await copyFile(path.join(projectRoot, 'demo/hello/index.html'), path.join(folder, 'index.html'));
    const dockerfile = await readFile(path.join(projectRoot, 'demo/hello/Dockerfile'), 'utf8');
    await writeTree(folder, { Dockerfile: dockerfile.replace('8080', String(port)) });
    const { exitCode, document } = await davitJson(words(folder));
    assert.equal(exitCode, 0);
    const [main] = listAt(document, 'services');
    assert.equal(valueAt(main, 'state'), 'running');
    assert.match(await (await fetch(`http://127.0.0.1:${port}/`)).text(), /Hello from a container/);
    const container = await inspectContainer(engine.connection, containerName);
    assert.equal(valueAt(main, 'containerId'), container.id);
    assert.equal(valueAt(main, 'imageId'), container.imageId);
  });

  it('makes the container that balena makes of a single Dockerfile', async (t) => {
    const folder = await project(t, { 'Dockerfile.template': `FROM base\nENV ARCH=%%BALENA_ARCH%%\n${idle}` });
    const [command = '', device = '', ...rest] = words(folder, '--detached');
    const variables = ['--env', 'BALENA_APP_NAME=mine', '--env', 'A=b c'];
    const result = await davit([command, ...rest, ...variables, device]);
    assert.equal(result.exitCode, 0, result.stderr);
    const path = `/containers/${containerName}/json`;
    const details = await engineJson(engine.connection, { method: 'GET', path });
    const environment = valueAt(details, 'Config', 'Env');
    assert.ok(Array.isArray(environment));
    for (const one of ['BALENA=1', 'RESIN=1', 'A=b c', 'BALENA_APP_NAME=mine', 'RESIN_APP_NAME=localapp', 'ARCH=amd64'])
      assert.ok(environment.includes(one), one);
    assert.equal(valueAt(details, 'Config', 'Labels', 'io.balena.service-name'), 'main');
    assert.equal(valueAt(details, 'Config', 'Labels', 'io.resin.local.image'), '1');
    assert.equal(valueAt(details, 'HostConfig', 'NetworkMode'), 'host');
    assert.equal(valueAt(details, 'HostConfig', 'Privileged'), true);
    assert.equal(valueAt(details, 'HostConfig', 'RestartPolicy', 'Name'), 'always');
    assert.deepEqual(valueAt(details, 'HostConfig', 'Binds'), ['1_resin-data:/data']);
    assert.equal(valueAt(details, 'Config', 'Tty'), true);
  });

  it('replaces the container, keeps its data, and leaves neither old containers nor old images behind', async (t) => {
    const folder = await project(t, {
      Dockerfile: `FROM base\nRUN echo 1 > /version\nCMD echo kept > /data/file; ${idle.slice(4)}`,
    });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const [first] = await containers();
    const oldImages = (await listImages(engine.connection)).length;
    await writeTree(folder, { Dockerfile: `FROM base\nRUN echo 2 > /version\n${idle}` });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const now = await containers();
    assert.deepEqual(
      now.map((one) => [one.name, one.state]),
      [[containerName, 'running']],
    );
    assert.notEqual(now[0]?.id, first?.id);
    assert.equal((await listImages(engine.connection)).length, oldImages);
    const { stdout } = await engine.docker(['exec', containerName, 'cat', '/version', '/data/file']);
    assert.equal(stdout, '2\nkept\n');
  });

  it('clears away what a push that was killed left behind', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    for (const name of [`${containerName}_0a1b2c3d`, `${containerName}_0a1b2c3d_previous`, 'other_1_1'])
      await createContainer(engine.connection, name, { Image: 'base', Cmd: ['sh'] });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const names = (await containers()).map((one) => one.name);
    assert.deepEqual(names.sort(), [containerName, 'other_1_1']);
  });

  it('beside another push leaves one container running and says which of the two it is', async () => {
    const image = textAt(await engineJson(engine.connection, { method: 'GET', path: '/images/base/json' }), 'Id');
    const { services, ...composition } = singleServiceComposition('app', '/app', undefined);
    const command = ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 0.1; done'];
    const deployer = engineDeployer(engine.connection, { host: {}, chosen: new Set(['main']), keepOrphans: false });
    const { signal } = new AbortController();
    let pushes = 0;
    const replace = async () => {
      assert.ok(services.main);
      const main = { ...services.main, command, environment: { PUSH: String(pushes++) } };
      const images = new Map([['main', image]]);
      const deployment = await deployer.plan({ ...composition, services: { main } }, images, signal);
      return deployment.run({ signal, progress: () => undefined });
    };
    await replace();
    for (const gapMs of [0, 50, 100, 150]) {
      const outcomes = await Promise.allSettled([replace(), sleep(gapMs).then(replace)]);
      const [running, ...others] = await containers();
      assert.deepEqual([running?.name, running?.state, others], [containerName, 'running', []]);
      const ids = outcomes.flatMap((one) =>
        one.status === 'fulfilled' ? one.value.map(({ containerId }) => containerId) : [],
      );
      assert.ok(ids.includes(running?.id ?? ''), `the push of the container that runs succeeded, ${gapMs} ms apart`);
      for (const one of outcomes)
        if (one.status === 'rejected') assert.equal(valueAt(one.reason, 'code'), 'push-overtaken');
    }
  });

  it('that does not build fails with the line, and the container before it runs on untouched', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const before = await containers();
    await writeTree(folder, {
      Dockerfile: 'FROM base\n\n# comment\nRUN true && \\\n  true\nRUN echo no >&2; sh -c "exit 3"\n',
    });
    const { exitCode, stderr } = await davit(words(folder, '--detached'));
    assert.equal(exitCode, 5);
    assert.match(stderr, /line 6 of Dockerfile/);
    assert.deepEqual(await containers(), before);
  });

  it('of a Dockerfile that cannot be built fails as a build, or before it where that can be seen', async (t) => {
    for (const [dockerfile, code, says] of [
      ['FROM base\nRUNN x\n', 5, /unknown instruction/i],
      ['', 4, /Dockerfile:1:1: error: there is no FROM/],
      ['FROM base\nCOPY --from=other:no nothing /\n', 5, /line 2 of Dockerfile/],
      ['FROM base\nCOPY --from=1 nothing /\n', 4, /Dockerfile:2:1: error: --from=1 names a stage that is not there/],
      ['FROM base\nCOPY nothing /\n', 5, /line 2 of Dockerfile/],
    ] as const) {
      const { exitCode, stderr } = await davit(words(await project(t, { Dockerfile: dockerfile }), '--detached'));
      assert.equal(exitCode, code, stderr);
      assert.match(stderr, says);
    }
  });

  it('whose program cannot be started fails, and the container before it runs again', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const before = await containers();
    await writeTree(folder, { Dockerfile: 'FROM base\nCMD ["/no/such/program"]\n' });
    const { exitCode, document } = await davitJson(words(folder));
    assert.equal(exitCode, 5);
    assert.equal(valueAt(document, 'error', 'code'), 'container-not-started');
    const summary = (all: typeof before) => all.map(({ id, name, state }) => ({ id, name, state }));
    assert.deepEqual(summary(await containers()), summary(before));
  });

  it('says so when the new program ends at once', async (t) => {
    const folder = await project(t, { Dockerfile: 'FROM base\nCMD exit 7\n' });
    const { exitCode, document, stderr } = await davitJson(words(folder));
    assert.equal(exitCode, 0, JSON.stringify(document));
    assert.equal(valueAt(listAt(document, 'services')[0], 'state'), 'restarting');
    assert.match(stderr, /exit code 7/);
  });

  it('interrupted during the build stops the build on the device within two seconds', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const before = await containers();
    await writeTree(folder, { Dockerfile: 'FROM base\nRUN echo begun; sleep 600\n' });
    let interruptedAt = 0;
    const { exitCode } = await davit(words(folder), {
      kill: {
        signal: 'SIGINT',
        when: (output) => {
          const hasBegun = /^main \| begun$/m.test(output);
          if (hasBegun && interruptedAt === 0) interruptedAt = performance.now();
          return hasBegun;
        },
      },
    });
    assert.equal(exitCode, 130);
    while ((await containers()).length > before.length) {
      assert.ok(
        performance.now() - interruptedAt < 60_000,
        'the engine has removed the container of the build step, which would run for minutes',
      );
      await sleep(50);
    }
    assert.deepEqual(await containers(), before);
  });

  it('interrupted while it shows the log leaves the container running and reports no failure', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    const { exitCode, stdout, stderr } = await davit(words(folder), {
      kill: { signal: 'SIGINT', when: (output) => /^ready$/m.test(output) },
    });
    assert.equal(exitCode, 130);
    assert.match(stdout, /^main is running on 127\.0\.0\.1 .*\nready$/m);
    assert.doesNotMatch(stderr, /error|interrupted/);
    assert.deepEqual(
      (await containers()).map((one) => one.state),
      ['running'],
    );
  });

  it('goes through SSH where the port of the engine is closed', { skip: sshServerSkipReason() }, async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    // In the server's view of the file system, our engine is the device's.
    const enter = `mount -t tmpfs none /run && mkdir /run/sshd && ln -s ${engine.socket} /run/balena-engine.sock && exec "$@"`;
    const server = await startSshServer({ wrapper: ['unshare', '--mount', 'sh', '-c', enter, 'sh'] });
    t.after(() => server.close());
    const ssh = [
      '--port',
      String(server.port),
      '--identity',
      server.identityFile,
      '--engine-port',
      String(await freePort()),
    ];
    const environment = { DAVIT_DATA_DIR: await temporaryFolder(t) };
    const pushed = await davit(['push', '127.0.0.1', '--source', folder, '--detached', ...ssh], { environment });
    assert.equal(pushed.exitCode, 0, pushed.stderr);
    assert.deepEqual(
      (await containers()).map((one) => one.state),
      ['running'],
    );
    const shown = await davit(['logs', '127.0.0.1', ...ssh], { environment });
    assert.equal(shown.stdout, 'ready\n', shown.stderr);
    await writeTree(folder, { Dockerfile: 'FROM base\nRUN echo begun; sleep 600\n' });
    const { exitCode } = await davit(['push', '127.0.0.1', '--source', folder, ...ssh], {
      environment,
      kill: { signal: 'SIGINT', when: (output) => /^main \| begun$/m.test(output) },
    });
    assert.equal(exitCode, 130);
    const endedAt = performance.now();
    while ((await containers()).length > 1) {
      assert.ok(performance.now() - endedAt < 60_000, 'the build has ended on the device too');
      await sleep(50);
    }
  });

  it('sends only what is not ignored', async (t) => {
    const folder = await project(t, {
      Dockerfile: `FROM base\nCOPY . /app/\n${idle}`,
      '.dockerignore': 'secrets\n*.log\n!keep.log\n',
      'secrets/key': 'x',
      'drop.log': 'x',
      'keep.log': 'x',
      '.git/HEAD': 'x',
    });
    assert.equal((await davit(words(folder, '--detached'))).exitCode, 0);
    const { stdout } = await engine.docker(['exec', containerName, 'find', '/app', '-type', 'f']);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['/app/.dockerignore', '/app/Dockerfile', '/app/keep.log']);
  });

  it('uses another Dockerfile with --file and builds anew with --nocache', async (t) => {
    const folder = await project(t, {
      'docker/Build.template': `FROM base\nRUN echo %%BALENA_MACHINE_NAME%%\n${idle}`,
    });
    const more = ['--file', 'docker/Build', '--device-type', 'virtual-amd64', '--detached'];
    assert.equal((await davit(words(folder, ...more))).exitCode, 0);
    const again = await davit(words(folder, ...more));
    assert.match(again.stderr, /Using cache/);
    const anew = await davit(words(folder, '--nocache', ...more));
    assert.equal(anew.exitCode, 0);
    assert.doesNotMatch(anew.stderr, /Using cache/);
    assert.match(anew.stderr, /^main \| virtual-amd64$/m);
  });
});

describe('push without a usable project or device', () => {
  const failing = async (commandLine: readonly string[]) => {
    const { exitCode, document } = await davitJson(commandLine);
    return { exitCode, code: valueAt(document, 'error', 'code') };
  };

  it('names a folder that is not there, has no Dockerfile, or has a compose file without services', async (t) => {
    const folder = await temporaryFolder(t);
    assert.deepEqual(await failing(['push', '127.0.0.1', '--source', `${folder}/no`]), { exitCode: 3, code: 'enoent' });
    assert.deepEqual(await failing(['push', '127.0.0.1', '--source', folder]), {
      exitCode: 3,
      code: 'dockerfile-not-found',
    });
    await writeTree(folder, { 'docker-compose.yml': '' });
    assert.deepEqual(await failing(['push', '127.0.0.1', '--source', folder]), {
      exitCode: 2,
      code: 'invalid-project',
    });
  });

  it('reports a closed port and a device that is down as unreachable', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: 'FROM scratch\n' });
    const ports = ['--engine-port', String(await freePort()), '--port', String(await freePort())];
    for (const address of ['127.0.0.1', '192.0.2.1']) {
      const { exitCode } = await failing(['push', address, '--source', folder, ...ports]);
      assert.equal(exitCode, 6, address);
    }
  });
});
