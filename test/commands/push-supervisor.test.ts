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
import { findImage, tagImage } from '../../src/lib/engine/images.js';
import type { ProgressListener } from '../../src/lib/platform/progress.js';
import { readProject } from '../../src/lib/project/project.js';
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

  it('tells the Supervisor of all services, waits for each, and tells it nothing when nothing has changed', async (t) => {
    const supervisor = await supervised(t);
    const folder = await temporaryFolder(t);
    const compose = (colour: string, more = '') => `
services:
  web:
    build: ./web
    depends_on: [db]
    environment: { COLOUR: ${colour} }
    ports: ["8080:80"]
  db:
    image: base
    command: ["sh", "-c", "echo data; sleep 1000"]
    volumes: ["data:/data"]
    healthcheck: { test: ["CMD", "true"], interval: 1m30s }
${more}
volumes: { data: {} }
`;
    const files = { 'compose.yml': compose('red', '  third: { image: base, command: [sleep, "1000"] }') };
    await writeTree(folder, { ...files, 'web/Dockerfile': `FROM base\n${program}` });
    const first = await push(folder, supervisor.port);
    assert.equal(first.exitCode, 0, JSON.stringify(first.document));
    const names = async () => (await listContainers(engine.connection)).map((one) => one.name).sort();
    assert.deepEqual(await names(), ['db_1_1_10ca12e1ea5e', 'third_2_1_10ca12e1ea5e', 'web_3_1_10ca12e1ea5e']);
    const app = valueAt(supervisor.accepted[0], 'local', 'apps', '1');
    assert.deepEqual(valueAt(app, 'volumes'), { data: {} });
    const [db, web] = ['1', '3'].map((number) => valueAt(app, 'services', number));
    assert.deepEqual(valueAt(db, 'volumes'), ['data:/data']);
    assert.deepEqual(valueAt(db, 'healthcheck'), { test: ['CMD', 'true'], interval: '90s' });
    assert.equal(valueAt(db, 'image'), 'local_image_db:latest');
    assert.deepEqual([valueAt(web, 'depends_on'), valueAt(web, 'ports')], [['db'], ['8080:80/tcp']]);

    const again = await push(folder, supervisor.port);
    assert.equal(valueAt(again.document, 'isUnchanged'), true, JSON.stringify(again.document));
    assert.equal(supervisor.accepted.length, 1);

    const before = (await listContainers(engine.connection)).find(({ name }) => name.startsWith('db_'));
    await writeTree(folder, { 'compose.yml': compose('blue') });
    const planned = await push(folder, supervisor.port, '--dry-run');
    const actions = listAt(planned.document, 'actions').map((one) => `${textAt(one, 'action')} ${textAt(one, 'name')}`);
    assert.deepEqual(actions.sort(), ['keep db', 'recreate web', 'remove third']);
    for (const flags of [['--keep-orphans'], ['--service', 'web']]) {
      const refused = await push(folder, supervisor.port, ...flags);
      assert.equal(valueAt(refused.document, 'error', 'code'), 'orphans-not-kept', JSON.stringify(refused.document));
    }
    assert.equal((await names()).length, 3);
    const changed = await push(folder, supervisor.port);
    assert.equal(changed.exitCode, 0, JSON.stringify(changed.document));
    assert.deepEqual(listAt(changed.document, 'removed'), ['third']);
    const after = (await listContainers(engine.connection)).find(({ name }) => name.startsWith('db_'));
    assert.equal(after?.id, before?.id);

    const more = { 'compose.yml': compose('green', '  third: { build: ./third }') };
    await writeTree(folder, { ...more, 'third/Dockerfile': 'FROM base\nRUN false\n' });
    const one = await push(folder, supervisor.port, '--service', 'web');
    assert.equal(one.exitCode, 0, JSON.stringify(one.document));
    assert.deepEqual(
      (await listContainers(engine.connection)).find(({ name }) => name.startsWith('db_'))?.id,
      before?.id,
    );
    const told = valueAt(supervisor.accepted.at(-1), 'local', 'apps', '1', 'services');
    assert.ok(told !== null && typeof told === 'object');
    assert.deepEqual(Object.keys(told), ['1', '3'], 'what has never been there is not part of it');
  });

  it('is told by a check that a base image is for another kind of computer', async (t) => {
    const supervisor = await supervised(t);
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: `# a Raspberry Pi\nFROM base\n${program}` });
    const { exitCode, document } = await push(folder, supervisor.port, '--check', '--port', String(await freePort()));
    const findings = listAt(listAt(document, 'checks')[0], 'findings');
    const found = findings.find((one) => valueAt(one, 'code') === 'base-image-foreign');
    assert.deepEqual([exitCode, valueAt(found, 'level'), valueAt(found, 'place', 'line')], [0, 'warning', 2]);
    assert.equal(supervisor.accepted.length, 0);
  });

  it('says which service does not run, with the last that it said', async (t) => {
    const supervisor = await supervised(t, { containers: [{ serviceName: 'broken', status: 'exited' }] });
    const folder = await temporaryFolder(t);
    const services = {
      good: { image: 'base', command: ['sleep', '1000'] },
      broken: { image: 'base', command: ['sh', '-c', 'echo out of luck; exit 4'], restart: 'no' },
    };
    await writeTree(folder, { 'compose.yml': JSON.stringify({ services }) });
    const { composition } = await readProject({ folder });
    const connection = tcpSupervisorConnection('127.0.0.1', supervisor.port);
    const deployer = supervisorDeployer(connection, engine.connection, {
      chosen: new Set(['good', 'broken']),
      keepOrphans: false,
      patienceMs: 1500,
    });
    const { signal } = new AbortController();
    const image = await findImage(engine.connection, 'base');
    assert.ok(image !== undefined);
    for (const service of ['good', 'broken']) await tagImage(engine.connection, image, `local_image_${service}:latest`);
    const deployment = await deployer.plan(
      composition,
      new Map([
        ['good', image],
        ['broken', image],
      ]),
      signal,
    );
    const lines: string[] = [];
    const progress: ProgressListener = (event) => {
      if (event.type === 'line') lines.push(`${event.id}: ${event.text}`);
    };
    await assert.rejects(deployment.run({ signal, progress }), {
      code: 'container-not-started',
      message: /broken \(exited\)$/,
    });
    assert.deepEqual(lines, ['broken: out of luck']);
  });

  it('is refused before anything is built where a fleet has the device', async (t) => {
    const supervisor = await supervised(t, { isInLocalMode: false, apiKey: 'key' });
    const folder = await temporaryFolder(t);
    await writeTree(folder, { Dockerfile: `FROM base\n${program}` });
    const { exitCode, document, stderr } = await push(folder, supervisor.port);
    assert.equal(exitCode, 4);
    assert.equal(valueAt(document, 'error', 'code'), 'not-in-local-mode');
    assert.doesNotMatch(stderr, /Step 1/);
    const asked = await push(folder, supervisor.port, '--local-mode');
    assert.equal(valueAt(asked.document, 'error', 'code'), 'local-mode-by-cloud');
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
    const deployer = supervisorDeployer(supervisor, engine.connection, {
      chosen: new Set(['main']),
      keepOrphans: false,
      patienceMs: 1000,
    });
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
