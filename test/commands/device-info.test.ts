import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { createContainer, listContainers, removeContainer, startContainer } from '../../src/lib/engine/containers.js';
import { AccountStore } from '../../src/lib/fleet/account-store.js';
import { importBaseImage } from '../support/base-image.js';
import { accountAt, startCloud } from '../support/cloud.js';
import { watchCommandLines } from '../support/command-lines.js';
import { davit, davitJson } from '../support/davit.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../support/engine.js';
import { type LiveDevice, startLiveDevice } from '../support/live-device.js';
import { sshServerSkipReason } from '../support/ssh-server.js';
import { type FakeSupervisor, startSupervisor, type SupervisorOptions } from '../support/supervisor.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
const config = {
  uuid,
  developmentMode: false,
  apiEndpoint: 'https://api.example.com',
  deviceApiKey: 'k3y-of-the-cloud',
};
const key = 'k3y-of-the-supervisor';

describe('davit device info, restart and local-mode', { skip: engineSkipReason() || sshServerSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());
  beforeEach(async () => {
    for (const { id } of await listContainers(engine.connection)) await removeContainer(engine.connection, id);
  });

  async function service(name: string, more: object = {}): Promise<string> {
    const id = await createContainer(engine.connection, `${name}_1_1_10ca12e1ea5e`, {
      Image: 'base',
      Cmd: ['/bin/sleep', '100000'],
      HostConfig: { NetworkMode: 'host' },
      StopSignal: 'SIGKILL',
      ...more,
    });
    await startContainer(engine.connection, id);
    return id;
  }

  const startedAt = async (id: string) =>
    (await engine.docker(['inspect', '--format', '{{.State.StartedAt}}', id])).stdout.trim();

  /** A device with SSH, in production mode: its engine is reached through that alone. */
  async function production(t: TestContext): Promise<LiveDevice> {
    const socket = 'touch /run/balena-engine.sock && mount --bind "$0" /run/balena-engine.sock && exec "$@"';
    return startLiveDevice(t, {
      boot: { 'config.json': JSON.stringify(config), 'device-type.json': '{"slug":"raspberrypi4-64"}' },
      wrapper: ['sh', '-c', socket, engine.socket],
    });
  }

  async function supervisorFor(t: TestContext, options: SupervisorOptions = {}): Promise<FakeSupervisor> {
    const supervisor = await startSupervisor(options);
    t.after(() => supervisor.close());
    return supervisor;
  }

  /** By 127.0.0.1 the Supervisor's port is open, by 127.0.0.2 it is closed. */
  async function reaching(t: TestContext, { live, supervisor, enginePort }: Reached) {
    const HOME = await temporaryFolder(t);
    const ports = {
      'engine-port': enginePort,
      port: live?.server.port,
      'supervisor-port': supervisor?.port,
    };
    const flags = await Promise.all(
      Object.entries(ports).map(async ([name, port]) => [`--${name}`, String(port ?? (await freePort()))]),
    );
    return {
      flags: [...flags.flat(), ...(live === undefined ? [] : ['--identity', live.server.identityFile])],
      options: { environment: { HOME, DAVIT_DATA_DIR: path.join(HOME, 'data'), SSH_AUTH_SOCK: undefined } },
    };
  }

  it('puts together what the host, the engine and the Supervisor of a device say', async (t) => {
    await service('main');
    const [live, supervisor] = [
      await production(t),
      await supervisorFor(t, {
        answers: { 'GET /v1/device': () => ({ body: { status: 'Idle', update_pending: false, commit: 'abcdef0' } }) },
      }),
    ];
    const { flags, options } = await reaching(t, { live, supervisor });
    const { exitCode, document } = await davitJson(['device', 'info', '127.0.0.1', ...flags], options);
    assert.equal(exitCode, 0, JSON.stringify(document));
    const info = document as Record<string, unknown> & {
      services: Record<string, unknown>[];
      memory: { total: number };
    };
    assert.deepEqual(
      [info.version, info.uuid, info.mode, info.deviceType, info.apiEndpoint, info.isFlasher],
      [1, uuid, 'production', 'raspberrypi4-64', 'https://api.example.com', false],
    );
    assert.ok(info.memory.total > 100_000_000);
    assert.equal(typeof info.uptimeSeconds, 'number');
    assert.match(String(info.engineVersion), /^\d+\./);
    assert.deepEqual(
      info.services.map(({ name, state, image }) => [name, state, image]),
      [['main', 'running', 'base']],
    );
    assert.deepEqual(info.supervisorReport, {
      hostname: null,
      isInLocalMode: true,
      status: 'Idle',
      commit: 'abcdef0',
      update: 'none',
      downloadProgress: null,
    });
    assert.doesNotMatch(JSON.stringify(document), /k3y/);
    const { stdout } = await davit(['device', 'info', '127.0.0.1', ...flags], options);
    assert.match(stdout, new RegExp(`^UUID +${uuid}$`, 'm'));
    assert.match(stdout, /^main +running +Up .* +base$/m);
  });

  it('tells what an open engine knows where nobody may log in, and why they may not', async (t) => {
    await service('main');
    const { flags, options } = await reaching(t, { enginePort: engine.port });
    const { exitCode, document } = await davitJson(['device', 'info', '127.0.0.1', ...flags], options);
    assert.equal(exitCode, 0, JSON.stringify(document));
    const info = document as Record<string, unknown> & { ssh: { isOpen: boolean; reason: string } };
    assert.deepEqual([info.mode, info.uptimeSeconds, info.ssh.isOpen], ['development', null, false]);
    assert.match(info.ssh.reason, /connection refused/);
  });

  it('fails as the login does where nothing of a device is in reach', async (t) => {
    const { flags, options } = await reaching(t, {});
    const { exitCode, document } = await davitJson(['device', 'info', '127.0.0.1', ...flags], options);
    assert.equal(exitCode, 6, JSON.stringify(document));
  });

  it('restarts services straight on the engine where there is no Supervisor', async (t) => {
    const ids = [await service('main'), await service('web')];
    const before = await Promise.all(ids.map(startedAt));
    const { flags, options } = await reaching(t, { live: await production(t) });
    const one = await davitJson(['device', 'restart', '127.0.0.1', 'web', ...flags], options);
    assert.deepEqual((one.document as { services?: unknown }).services, ['web'], JSON.stringify(one.document));
    const between = await Promise.all(ids.map(startedAt));
    assert.equal(between[0], before[0]);
    assert.notEqual(between[1], before[1]);
    const all = await davitJson(['device', 'restart', '127.0.0.1', ...flags], options);
    assert.deepEqual((all.document as { services?: unknown }).services, ['main', 'web']);
    assert.notEqual((await Promise.all(ids.map(startedAt)))[0], before[0]);
    for (const [action, state] of [
      ['stop', 'exited'],
      ['start', 'running'],
    ] as const) {
      const done = await davitJson(['device', action, '127.0.0.1', 'web', ...flags], options);
      assert.deepEqual((done.document as { services?: unknown }).services, ['web'], JSON.stringify(done.document));
      const containers = await listContainers(engine.connection);
      assert.equal(containers.find(({ id }) => id === ids[1])?.state, state);
    }
    const none = await davitJson(['device', 'restart', '127.0.0.1', 'nobody', ...flags], options);
    assert.equal(none.exitCode, 3);
    assert.match(JSON.stringify(none.document), /main, web/);
  });

  it('has the Supervisor restart services, of which it knows the app', async (t) => {
    const done = () => ({ body: 'OK' });
    const supervisor = await supervisorFor(t, {
      containers: ['main', 'web'].map((serviceName) => ({ serviceName, appId: 1234, status: 'Running' })),
      answers: {
        'POST /v2/applications/1234/restart': done,
        'POST /v2/applications/1234/restart-service': done,
      },
    });
    const { flags, options } = await reaching(t, { supervisor });
    assert.equal((await davit(['device', 'restart', '127.0.0.1', ...flags], options)).exitCode, 0);
    assert.equal((await davit(['device', 'restart', '127.0.0.1', 'web', '--force', ...flags], options)).exitCode, 0);
    assert.deepEqual(
      supervisor.calls.filter(({ asked }) => asked.startsWith('POST')).map(({ asked, body }) => [asked, body]),
      [
        ['POST /v2/applications/1234/restart', { force: false }],
        ['POST /v2/applications/1234/restart-service', { serviceName: 'web', force: true }],
      ],
    );
    assert.equal((await davit(['device', 'restart', '127.0.0.1', 'nobody', ...flags], options)).exitCode, 3);
  });

  it('opens a Supervisor outside local mode with the key of a service, and shows that to nobody', async (t) => {
    // It does not run, so the key is in no environment by itself.
    await createContainer(engine.connection, 'main_1_1_10ca12e1ea5e', {
      Image: 'base',
      Cmd: ['/bin/sleep', '100000'],
      Labels: { 'io.balena.features.supervisor-api': '1' },
      Env: [`BALENA_SUPERVISOR_API_KEY=${key}`],
    });
    const [live, supervisor] = [
      await production(t),
      await supervisorFor(t, {
        isInLocalMode: false,
        apiKey: key,
        answers: { 'POST /v1/blink': () => ({ body: 'OK' }) },
      }),
    ];
    const { flags, options } = await reaching(t, { live, supervisor });
    const identifying = davit(['device', 'identify', '127.0.0.2', ...flags], options);
    const commandLines = await watchCommandLines(identifying);
    const { exitCode, stdout, stderr } = await identifying;
    assert.equal(exitCode, 0, stderr);
    assert.ok(commandLines.looks > 5);
    assert.ok(!commandLines.has(key));
    const blinked = supervisor.calls.filter(({ asked }) => asked === 'POST /v1/blink');
    assert.equal(blinked.at(-1)?.authorization, `Bearer ${key}`);
    const info = await davitJson(['device', 'info', '127.0.0.2', ...flags], options);
    const { supervisorReport } = info.document as { supervisorReport: { isInLocalMode: boolean } };
    assert.equal(supervisorReport.isInLocalMode, false);
    assert.ok(!(stdout + stderr + JSON.stringify(info)).includes(key));
  });

  it('never shows the key where others can listen in', async (t) => {
    await service('main', {
      Labels: { 'io.balena.features.supervisor-api': '1' },
      Env: [`BALENA_SUPERVISOR_API_KEY=${key}`],
    });
    const supervisor = await supervisorFor(t, { isInLocalMode: false, apiKey: key });
    const { flags, options } = await reaching(t, { live: await production(t), supervisor });
    await davit(['device', 'info', '127.0.0.1', ...flags], options);
    assert.ok(supervisor.calls.length > 0);
    assert.deepEqual(
      supervisor.calls.filter(({ authorization }) => authorization !== undefined),
      [],
    );
  });

  it('leaves the stopping of services to a Supervisor that wants a key which there is none of', async (t) => {
    const id = await service('main');
    const supervisor = await supervisorFor(t, { isInLocalMode: false, apiKey: key });
    const { flags, options } = await reaching(t, { live: await production(t), supervisor });
    const stopped = await davitJson(['device', 'stop', '127.0.0.2', 'main', ...flags], options);
    assert.deepEqual([stopped.exitCode, codeOf(stopped.document)], [4, 'supervisor-in-charge']);
    const before = await startedAt(id);
    assert.equal((await davit(['device', 'restart', '127.0.0.2', 'main', ...flags], options)).exitCode, 0);
    assert.notEqual(await startedAt(id), before);
  });

  it('switches local mode off after it has listed what that deletes, and only when told so', async (t) => {
    await service('main', { Labels: { 'io.balena.app-id': '1' } });
    await service('cloud', { Labels: { 'io.balena.app-id': '1234' } });
    for (const name of ['1_data', '1234_data']) await engine.docker(['volume', 'create', name]);
    const supervisor: FakeSupervisor = await supervisorFor(t, {
      apiKey: key,
      answers: {
        'POST /v2/local/target-state': () => {
          supervisor.change({ isInLocalMode: false });
          return { body: { status: 'success' } };
        },
      },
    });
    const { flags, options } = await reaching(t, { supervisor, enginePort: engine.port });
    const words = ['device', 'local-mode', '127.0.0.1', 'off', ...flags];
    assert.equal((await davit(['device', 'local-mode', '127.0.0.1', ...flags], options)).stdout, 'on\n');
    const asked = await davitJson(words, options);
    assert.deepEqual([asked.exitCode, codeOf(asked.document)], [2, 'answer-needed']);
    assert.match(asked.stderr, /container main_1_1_10ca12e1ea5e\n *volume 1_data/);
    assert.doesNotMatch(asked.stderr, /cloud|1234/);
    // Volumes outlive the containers that they were made for.
    await engine.docker(['rm', '-f', 'main_1_1_10ca12e1ea5e']);
    assert.match((await davitJson(words, options)).stderr, /volume 1_data/);
    const done = await davitJson([...words, '--yes'], options);
    assert.equal(done.exitCode, 0, JSON.stringify(done.document));
    const posted = supervisor.calls.filter(({ asked: what }) => what === 'POST /v2/local/target-state');
    assert.deepEqual(
      posted.map(({ body }) => body),
      [{ local: { name: 'crane', config: { SUPERVISOR_LOCAL_MODE: '0' }, apps: {} } }],
    );
    assert.match((await davit(words, options)).stdout, /^off/);
    const on = await davitJson(['device', 'local-mode', '127.0.0.1', 'on', ...flags], options);
    assert.deepEqual([on.exitCode, codeOf(on.document)], [4, 'local-mode-by-cloud']);
  });

  it('switches local mode in the cloud of the fleet, for whoever is logged in there', async (t) => {
    await service('main', {
      Labels: { 'io.balena.features.supervisor-api': '1', 'io.balena.app-id': '1234' },
      Env: [`BALENA_SUPERVISOR_API_KEY=${key}`],
    });
    const cloud = await startCloud(t);
    cloud.devices = [{ uuid, name: 'crane', isConnected: true, seenAt: null, ports: {} }];
    const follow = () => {
      supervisor.change({ isInLocalMode: cloud.settings.some(({ value }) => value === '1') });
      return { status: 202, body: '' };
    };
    const supervisor: FakeSupervisor = await supervisorFor(t, {
      isInLocalMode: false,
      apiKey: key,
      answers: { 'POST /v1/update': follow, 'POST /v2/local/target-state': follow },
    });
    const { flags, options } = await reaching(t, { live: await production(t), supervisor });
    const { environment } = options;
    await new AccountStore(path.join(environment.DAVIT_DATA_DIR, 'accounts.json')).add(accountAt(cloud));
    const trusting = { environment: { ...environment, NODE_EXTRA_CA_CERTS: cloud.certificateFile } };
    for (const [state, value] of [
      ['on', '1'],
      ['off', '0'],
      ['on', '1'],
    ] as const) {
      const words = ['device', 'local-mode', '127.0.0.2', state, ...flags, '--yes', '--via', 'local'];
      const { exitCode, document } = await davitJson(words, trusting);
      assert.deepEqual(
        [exitCode, (document as { isOn?: boolean }).isOn],
        [0, state === 'on'],
        JSON.stringify(document),
      );
      assert.deepEqual(cloud.settings, [{ id: 1, device: 1000, name: 'RESIN_SUPERVISOR_LOCAL_MODE', value }]);
    }
    assert.ok(!supervisor.calls.some((call) => JSON.stringify(call).includes(cloud.token)));
  });

  it('says that a device without a fleet is always in local mode, and needs a Supervisor to know', async (t) => {
    const state = { status: 'success', state: { local: { name: 'crane', config: {}, apps: {} } } };
    const supervisor = await supervisorFor(t, { answers: { 'GET /v2/local/target-state': () => ({ body: state }) } });
    const { flags, options } = await reaching(t, { supervisor });
    const words = ['device', 'local-mode', '127.0.0.1', ...flags];
    assert.match((await davit(words, options)).stdout, /always/);
    const off = await davitJson([...words, 'off', '--yes'], options);
    assert.deepEqual([off.exitCode, codeOf(off.document)], [4, 'always-local-mode']);
    const without = await reaching(t, { live: await production(t) });
    const none = await davitJson(['device', 'local-mode', '127.0.0.1', ...without.flags], without.options);
    assert.deepEqual([none.exitCode, codeOf(none.document)], [3, 'no-supervisor']);
  });
});

/** What of a device can be reached. */
interface Reached {
  readonly live?: LiveDevice;
  readonly supervisor?: FakeSupervisor;
  readonly enginePort?: number;
}

function codeOf(document: unknown): unknown {
  return (document as { error?: { code?: unknown } }).error?.code;
}
