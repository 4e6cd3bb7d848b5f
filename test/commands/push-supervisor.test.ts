import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { createContainer, listContainers, removeContainer } from '../../src/lib/engine/containers.js';
import { engineJson } from '../../src/lib/engine/engine-request.js';
import { listAt, textAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { singleServiceComposition } from '../../src/lib/project/single-service.js';
import { supervisorDeployer } from '../../src/lib/deploy/supervisor-deployer.js';
import { tcpSupervisorConnection } from '../../src/lib/supervisor/supervisor-connection.js';
import { importBaseImage } from '../support/base-image.js';
import { davitJson } from '../support/davit.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../support/engine.js';
import { writeTree } from '../support/file-tree.js';
import { type FakeSupervisor, startSupervisor, type SupervisorOptions } from '../support/supervisor.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const program = 'CMD trap "exit 0" TERM; echo ready; while true; do sleep 0.1; done\n';

// The Supervisor here is a stand-in written from its documentation; the engine is real.
describe('push to a device with a Supervisor', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());
  beforeEach(async () => {
    for (const { id } of await listContainers(engine.connection)) await removeContainer(engine.connection, id);
  });

  const supervised = async (
    t: TestContext,
    options: Omit<SupervisorOptions, 'engine'> = {},
  ): Promise<FakeSupervisor> => {
    const supervisor = await startSupervisor({ engine: engine.connection, ...options });
    t.after(() => supervisor.close());
    return supervisor;
  };
  const push = (folder: string, supervisorPort: number, ...more: string[]) => {
    const ports = ['--engine-port', String(engine.port), '--supervisor-port', String(supervisorPort)];
    return davitJson(['push', '127.0.0.1', '--source', folder, ...ports, ...more]);
  };

  it('builds on the engine and leaves starting to the Supervisor', async (t) => {
    const supervisor = await supervised(t);
    const folder = await temporaryFolder(t);
    const dockerfile = (version: number) =>
      `FROM base\nENV TYPE=%%BALENA_MACHINE_NAME%% VERSION=${version}\n${program}`;
    for (const version of [1, 2]) {
      await writeTree(folder, { 'Dockerfile.aarch64': dockerfile(version) });
      const { exitCode, document } = await push(folder, supervisor.port, '--env', 'A=b');
      assert.equal(exitCode, 0, JSON.stringify(document));
      const [main] = listAt(document, 'services');
      assert.equal(valueAt(main, 'containerName'), 'main_1_1_10ca12e1ea5e');
      const path = `/containers/${textAt(main, 'containerId')}/json`;
      const details = await engineJson(engine.connection, { method: 'GET', path });
      const environment = valueAt(details, 'Config', 'Env');
      assert.ok(Array.isArray(environment));
      for (const one of ['A=b', 'TYPE=raspberrypi4-64', `VERSION=${version}`])
        assert.ok(environment.includes(one), one);
    }
    assert.equal((await listContainers(engine.connection)).length, 1);
    const [state] = supervisor.accepted;
    assert.equal(valueAt(state, 'local', 'name'), 'crane');
    assert.deepEqual(valueAt(state, 'local', 'config'), { SUPERVISOR_LOCAL_MODE: '1' });
    assert.deepEqual(valueAt(state, 'local', 'apps', '1', 'volumes'), { 'resin-data': {} });
    const service = valueAt(state, 'local', 'apps', '1', 'services', '1');
    assert.deepEqual(service, {
      imageId: 1,
      serviceId: 1,
      serviceName: 'main',
      image: 'local_image_main:latest',
      running: true,
      environment: { A: 'b' },
      labels: {
        'io.balena.features.kernel-modules': '1',
        'io.balena.features.firmware': '1',
        'io.balena.features.dbus': '1',
        'io.balena.features.supervisor-api': '1',
        'io.balena.features.balena-api': '1',
        'io.davit.definition': textAt(service, 'labels', 'io.davit.definition'),
      },
      privileged: true,
      restart: 'always',
      tty: true,
      network_mode: 'host',
      volumes: ['resin-data:/data'],
    });
  });

  it('waits for the new container also when nothing but a variable has changed', async (t) => {
    const supervisor = await supervised(t);
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: `FROM base\n${program}` });
    for (const variable of ['A=1', 'A=2']) {
      const { exitCode, document } = await push(folder, supervisor.port, '--env', variable);
      assert.equal(exitCode, 0, JSON.stringify(document));
      const [running, ...others] = await listContainers(engine.connection);
      assert.deepEqual([running?.id, others], [valueAt(listAt(document, 'services')[0], 'containerId'), []]);
      const path = `/containers/${String(running?.id)}/json`;
      const details = await engineJson(engine.connection, { method: 'GET', path });
      assert.ok(listAt(details, 'Config', 'Env').includes(variable), variable);
    }
    assert.equal((await push(folder, supervisor.port, '--env', 'A=2')).exitCode, 0);
  });

  it('is refused outside local mode, with what to do', async (t) => {
    const supervisor = await supervised(t, { isInLocalMode: false });
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: `FROM base\n${program}` });
    const { exitCode, document } = await push(folder, supervisor.port);
    assert.equal(exitCode, 4);
    assert.match(String(valueAt(document, 'error', 'hint')), /local mode/);
  });

  it('never goes past a Supervisor that does not answer', async (t) => {
    await createContainer(engine.connection, 'balena_supervisor', { Image: 'base', Cmd: ['sh'] });
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: `FROM base\n${program}` });
    const { exitCode, document } = await push(folder, await freePort());
    assert.equal(exitCode, 4);
    assert.equal(valueAt(document, 'error', 'code'), 'supervisor-closed');
    assert.equal((await listContainers(engine.connection)).length, 1);
  });

  it('fails with what the Supervisor reports when it does not come to an end', async (t) => {
    const { port } = await supervised(t, { isStuck: true });
    const supervisor = tcpSupervisorConnection('127.0.0.1', port);
    const deployer = supervisorDeployer(supervisor, engine.connection, { patienceMs: 1000 });
    const { signal } = new AbortController();
    const composition = singleServiceComposition('app', '/app', undefined);
    const deployment = await deployer.plan(composition, new Map([['main', 'sha256:0']]), signal);
    await assert.rejects(deployment.run({ signal, progress: () => undefined }), {
      kind: 'failed',
      code: 'container-not-started',
      message: /Installing/,
    });
  });
});
