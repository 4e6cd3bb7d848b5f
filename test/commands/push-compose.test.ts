import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listContainers, removeContainer } from '../../src/lib/engine/containers.js';
import { listAt, textAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { engineJson } from '../../src/lib/engine/engine-request.js';
import { listImages } from '../../src/lib/engine/images.js';
import { listNetworks, removeNetwork } from '../../src/lib/engine/networks.js';
import { listVolumes, removeVolume } from '../../src/lib/engine/volumes.js';
import { importBaseImage } from '../support/base-image.js';
import { rounds } from '../support/campaign.js';
import { countRequests } from '../support/count-requests.js';
import { davit, davitJson, watchDavit } from '../support/davit.js';
import { engineSkipReason, startEngine, type TestEngine } from '../support/engine.js';
import { writeTree } from '../support/file-tree.js';
import { seededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A program that answers signals at once, as process 1 does not by itself. */
const idle = 'trap "exit 0" TERM; while true; do sleep 0.1; done';

const name = (service: string, number: number) => `${service}_${number}_1_10ca12e1ea5e`;

describe('push of a compose file', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());
  beforeEach(async () => {
    const { connection } = engine;
    for (const { id } of await listContainers(connection)) await removeContainer(connection, id);
    for (const { id, labels } of await listNetworks(connection))
      if ('io.balena.app-id' in labels) await removeNetwork(connection, id);
    for (const volume of await listVolumes(connection)) await removeVolume(connection, volume.name);
  });

  /** A project of three services: one is waited for, one is built, one comes to an end. */
  const files = {
    'compose.yml': `
services:
  web:
    build: ./web
    depends_on:
      db: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    networks: { default: {}, front: { aliases: [site] } }
    environment:
      COLOUR: red
  db:
    image: base
    command: ["sh", "-c", "echo hello > /www/index.html; busybox httpd -p 80 -h /www; ${idle.replaceAll('"', '\\"')}"]
    healthcheck: { test: ["CMD", "busybox", "wget", "-qO-", "http://127.0.0.1/"], interval: 0.2s, retries: 50 }
    volumes: ["data:/data"]
    stop_grace_period: 1s
  migrate:
    image: base
    command: ["sh", "-c", "echo migrated >> /data/log"]
    volumes: ["data:/data"]
volumes: { data: {} }
networks: { front: {} }
`,
    'web/Dockerfile': `FROM base\nCMD busybox wget -qO- http://db/; ${idle}\n`,
  };

  const project = async (t: TestContext, more: Readonly<Record<string, string>> = {}) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { ...files, ...more });
    return folder;
  };
  const change = (folder: string, from: string, to: string) => {
    assert.ok(files['compose.yml'].includes(from), from);
    return writeTree(folder, { 'compose.yml': files['compose.yml'].replace(from, to) });
  };
  const words = (folder: string, ...more: string[]) => {
    return ['push', '127.0.0.1', '--engine-port', String(engine.port), '--source', folder, ...more];
  };
  const push = async (folder: string, ...more: string[]) => {
    const result = await davitJson(words(folder, ...more));
    const actions = listAt(result.document, 'services').map(
      (one) => `${textAt(one, 'action')} ${textAt(one, 'service')}`,
    );
    return { ...result, actions: actions.sort() };
  };
  /** What `docker ps -a` shows, without how long ago it was. */
  const containers = async () => {
    const all = await listContainers(engine.connection);
    return all.map(({ id, name, state }) => `${name} ${id.slice(0, 12)} ${state}`).sort();
  };
  const idOf = async (container: string) => {
    return (await listContainers(engine.connection)).find((one) => one.name === container)?.id;
  };

  it('runs its services in order, on their networks, with their volumes', async (t) => {
    const { exitCode, document, actions } = await push(await project(t));
    assert.equal(exitCode, 0, JSON.stringify(document));
    assert.deepEqual(actions, ['create db', 'create migrate', 'create web']);
    const [db, migrate, web] = await containers();
    assert.match(db ?? '', /^db_1_1_10ca12e1ea5e .* running$/);
    assert.match(migrate ?? '', /^migrate_2_1_10ca12e1ea5e .* exited$/);
    assert.match(web ?? '', /^web_3_1_10ca12e1ea5e .* running$/);
    assert.equal((await engine.docker(['logs', name('web', 3)])).stdout, 'hello\r\n');
    assert.equal((await engine.docker(['exec', name('db', 1), 'cat', '/data/log'])).stdout, 'migrated\n');
    const resolved = await engine.docker(['exec', name('web', 3), 'busybox', 'nslookup', 'site']);
    assert.match(resolved.stdout, /Address/);
    const [network] = (await listNetworks(engine.connection)).filter((one) => one.name === '1_front');
    assert.equal(network?.labels['io.balena.supervised'], 'true');
    assert.deepEqual(
      (await listVolumes(engine.connection)).map((one) => one.name),
      ['1_data'],
    );
  });

  it('does nothing when it is pushed again, and says so, with few requests', async (t) => {
    const folder = await project(t);
    await push(folder);
    const before = await containers();
    const counter = await countRequests(engine.port);
    t.after(() => {
      counter.close();
    });
    const again = await davitJson(['push', '127.0.0.1', '--engine-port', String(counter.port), '--source', folder]);
    assert.equal(again.exitCode, 0);
    assert.equal(valueAt(again.document, 'isUnchanged'), true);
    assert.deepEqual(await containers(), before);
    // One for each build, and one for each container to see that no files were synced into it; the rest does not grow.
    assert.ok(counter.requests.length <= 13, counter.requests.join('\n'));
    const { stdout } = await davit(words(folder, '--detached'));
    assert.match(stdout, /^127\.0\.0\.1 runs all of this already/);
  });

  it('replaces only what has changed, keeps data, and tells why', async (t) => {
    const folder = await project(t);
    await push(folder);
    const [db, web] = [await idOf(name('db', 1)), await idOf(name('web', 3))];
    await change(folder, 'COLOUR: red', 'COLOUR: blue');
    const planned = await davitJson(words(folder, '--dry-run'));
    const changes = listAt(planned.document, 'actions').filter((one) => valueAt(one, 'action') !== 'keep');
    const action = { kind: 'service', name: 'web', action: 'recreate', reason: 'other environment' };
    assert.deepEqual(changes, [action]);
    assert.equal(await idOf(name('web', 3)), web, 'a dry run changes nothing');
    assert.deepEqual((await push(folder)).actions, ['keep db', 'keep migrate', 'recreate web']);
    assert.notEqual(await idOf(name('web', 3)), web);
    assert.equal(await idOf(name('db', 1)), db);
    await writeTree(folder, { 'web/Dockerfile': `FROM base\nENV VERSION=2\nCMD ${idle}\n` });
    assert.deepEqual((await push(folder)).actions, ['keep db', 'keep migrate', 'recreate web']);
    assert.equal((await engine.docker(['exec', name('db', 1), 'cat', '/data/log'])).stdout, 'migrated\n');
  });

  it('starts again what was stopped', async (t) => {
    const folder = await project(t);
    await push(folder);
    await engine.docker(['stop', '-t', '1', name('web', 3)]);
    const web = await idOf(name('web', 3));
    assert.deepEqual((await push(folder)).actions, ['keep db', 'keep migrate', 'start web']);
    assert.equal(await idOf(name('web', 3)), web);
    assert.ok((await containers()).some((one) => /^web.* running$/.test(one)));
  });

  it('removes services and networks that are gone from the file, unless asked not to, and never a volume', async (t) => {
    const folder = await project(t);
    await push(folder);
    await writeTree(folder, { 'compose.yml': 'services:\n  web:\n    build: ./web\n' });
    const kept = await push(folder, '--keep-orphans');
    assert.equal(kept.exitCode, 0, JSON.stringify(kept.document));
    assert.equal((await containers()).length, 3);
    const { document } = await push(folder);
    assert.deepEqual([...listAt(document, 'removed')].sort(), ['db', 'migrate']);
    assert.deepEqual(
      (await listContainers(engine.connection)).map((one) => one.name),
      [name('web', 1)],
    );
    const networks = (await listNetworks(engine.connection)).map((one) => one.name);
    assert.ok(networks.includes('1_default') && !networks.includes('1_front'), networks.join());
    assert.equal((await listVolumes(engine.connection)).length, 1);
  });

  it('makes a network anew that has changed, with everything on it, or leaves all as it was', async (t) => {
    const folder = await project(t);
    await push(folder);
    const before = await containers();
    const failing = files['compose.yml'].replace('networks: { front: {} }', 'networks: { front: { internal: true } }');
    await writeTree(folder, { 'compose.yml': failing.replace('COLOUR: red', 'COLOUR: red\n    command: [/no/such]') });
    const failed = await push(folder);
    assert.equal(failed.exitCode, 5, JSON.stringify(failed.document));
    assert.deepEqual(await containers(), before);
    assert.equal(
      (await engine.docker(['exec', name('web', 3), 'busybox', 'wget', '-qO-', 'http://db/'])).stdout,
      'hello\n',
    );
    await change(folder, 'networks: { front: {} }', 'networks: { front: { internal: true } }');
    assert.deepEqual((await push(folder)).actions, ['keep db', 'keep migrate', 'recreate web']);
    const details = await engineJson(engine.connection, { method: 'GET', path: '/networks/1_front' });
    assert.equal(valueAt(details, 'Internal'), true);
    assert.equal(valueAt((await push(folder)).document, 'isUnchanged'), true);
  });

  it('brings back all that ran when one of several new containers does not start', async (t) => {
    const folder = await project(t);
    await push(folder);
    const before = await containers();
    const text = files['compose.yml'].replace('COLOUR: red', 'COLOUR: blue');
    const db = 'image: base\n    command: ["sh", "-c", "echo hello';
    for (const [broken, code] of [
      [
        text.replace('COLOUR: blue', 'COLOUR: blue\n    command: [/no/such]').replace(db, `hostname: x\n    ${db}`),
        'container-not-started',
      ],
      [text.replace('COLOUR: blue', 'COLOUR: blue\n    devices: ["/dev/no-such:/dev/x"]'), 'container-not-started'],
      [
        text.replace('http://127.0.0.1/', 'http://127.0.0.1:81/').replace('retries: 50', 'retries: 2'),
        'service-unhealthy',
      ],
      [text.replace('echo migrated >> /data/log', 'exit 3'), 'task-failed'],
    ] as const) {
      await writeTree(folder, { 'compose.yml': broken });
      assert.notEqual(broken, text);
      const { exitCode, document } = await push(folder);
      assert.equal(exitCode, 5, JSON.stringify(document));
      assert.equal(valueAt(document, 'error', 'code'), code);
      assert.deepEqual(await containers(), before, code);
    }
    const networks = (await listNetworks(engine.connection)).filter(({ labels }) => 'io.balena.app-id' in labels);
    assert.equal(networks.length, 2);
    await writeTree(folder, files);
    assert.equal(valueAt((await push(folder)).document, 'isUnchanged'), true);
  });

  it('lets a service use the network of another, and follows when that is replaced', async (t) => {
    const folder = await temporaryFolder(t);
    const text = `
services:
  side: { image: base, network_mode: "service:main", command: ["sh", "-c", '${idle}'] }
  main: { image: base, hostname: one, command: ["sh", "-c", '${idle}'] }
`;
    await writeTree(folder, { 'compose.yml': text });
    assert.equal((await push(folder)).exitCode, 0);
    const addresses = async (container: string) => {
      return (await engine.docker(['exec', container, 'busybox', 'ip', '-o', 'addr'])).stdout;
    };
    assert.equal(await addresses(name('side', 2)), await addresses(name('main', 1)));
    await writeTree(folder, { 'compose.yml': text.replace('hostname: one', 'hostname: two') });
    assert.deepEqual((await push(folder)).actions, ['recreate main', 'recreate side']);
    assert.equal(await addresses(name('side', 2)), await addresses(name('main', 1)));
    await writeTree(folder, { 'compose.yml': text.replace('hostname: one', 'hostname: three') });
    assert.deepEqual((await push(folder, '--service', 'main')).actions, ['recreate main', 'recreate side']);
    assert.equal(await addresses(name('side', 2)), await addresses(name('main', 1)));
  });

  it('of some services brings those and what they depend on, and leaves the others as they are', async (t) => {
    const broken =
      '\n  late: { build: ./late }\n  other: { image: base, command: [sleep, "9"], volumes: ["cache:/c"] }\n';
    const text = files['compose.yml']
      .replace(/\nvolumes: .*/, `${broken}$&`)
      .replace('{ data: {} }', '{ data: {}, cache: {} }');
    const folder = await project(t, { 'compose.yml': text, 'late/Dockerfile': 'FROM base\nRUN false\n' });
    const first = await push(folder, '--service', 'web');
    assert.equal(first.exitCode, 0, JSON.stringify(first.document));
    assert.deepEqual(first.actions, ['create db', 'create migrate', 'create web']);
    const volumes = (await listVolumes(engine.connection)).map((one) => one.name);
    assert.deepEqual(volumes, ['1_data'], 'and makes only what they use');

    const web = await idOf(name('web', 5));
    const changed = text.replace('interval: 0.2s', 'interval: 0.3s').replace('COLOUR: red', 'COLOUR: blue');
    await writeTree(folder, {
      'compose.yml': changed.replace(/\n {2}migrate:[^]*?\n {2}late/, '\n  late').replace(/\n +migrate: .*/, ''),
    });
    const other = await push(folder, '--service', 'db');
    assert.deepEqual(other.actions, ['keep web', 'recreate db'], JSON.stringify(other.document));
    assert.equal(await idOf(name('web', 5)), web, 'although it has changed as well');
    assert.ok(
      (await containers()).some((one) => one.startsWith('migrate_')),
      'although it is gone from the project',
    );
    const unknown = await davitJson(words(folder, '--service', 'wbe'));
    assert.deepEqual([unknown.exitCode, valueAt(unknown.document, 'error', 'code')], [2, 'unknown-service']);
  });

  it('interrupted at any moment leaves the containers as they were, or all new', async (t) => {
    const folder = await project(t);
    await push(folder);
    let before = await containers();
    let images = (await listImages(engine.connection, { all: true })).length;
    const random = seededRandom(6);
    for (let round = 0; round < rounds(6, 40); round += 1) {
      const text = files['compose.yml'].replace('COLOUR: red', `COLOUR: "${round}"`);
      await writeTree(folder, {
        'compose.yml': text.replace('image: base', `image: base\n    environment: { ROUND: "${round}" }`),
        'web/Dockerfile': `FROM base\nRUN echo ${round} > /a\nRUN sleep 0.5\nCMD ${idle}\n`,
      });
      const running = watchDavit(words(folder, '--json'));
      const begun = random.pick([/step 1 of/, /step 3 of/, /start db/, /wait for db/, /start web/]);
      while (!begun.test(running.output()) && running.child.exitCode === null) await sleep(5);
      await sleep(random.below(400));
      running.child.kill('SIGINT');
      const { exitCode, stderr } = await running.result;
      const now = await containers();
      if (exitCode === 0 || JSON.stringify(now) !== JSON.stringify(before)) {
        assert.equal(now.length, 3, `round ${round}: ${now.join(', ')}\n${stderr}`);
        const states = now.map((one) => one.split(' ')[2]);
        assert.deepEqual(states, ['running', 'exited', 'running'], `round ${round}`);
        const id = await idOf(name('web', 3));
        const details = await engineJson(engine.connection, { method: 'GET', path: `/containers/${id}/json` });
        assert.ok(listAt(details, 'Config', 'Env').includes(`COLOUR=${round}`), `round ${round} is new as a whole`);
      } else assert.ok(exitCode === 130, `round ${round}: ${exitCode}`);
      const imagesNow = (await listImages(engine.connection, { all: true })).length;
      if (/build web {2}failed/.test(stderr)) assert.equal(imagesNow, images, `round ${round} leaves no images behind`);
      [before, images] = [now, imagesNow];
    }
  });
});
