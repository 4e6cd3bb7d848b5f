import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { davit, davitJson } from '../support/davit.js';
import { type LiveDevice, startLiveDevice } from '../support/live-device.js';
import { createNetwork, networkSkipReason } from '../support/network-namespace.js';
import { freePort, sshServerSkipReason } from '../support/ssh-server.js';
import { type FakeSupervisor, startSupervisor } from '../support/supervisor.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
const configFile = '/mnt/boot/config.json';

/** What tells the kernel's host name, which is that of config.json on an OS that has taken it over. */
const cat = `#!/bin/sh
[ "$1" = /proc/sys/kernel/hostname ] && { sed -n 's/.*"hostname": *"\\([^"]*\\)".*/\\1/p' ${configFile}; exit; }
exec /bin/cat "$@"`;

async function deviceOf(t: TestContext): Promise<LiveDevice> {
  const config = JSON.stringify({ uuid, hostname: 'crane' });
  return startLiveDevice(t, { boot: { 'config.json': config }, programs: { cat } });
}

async function reaching(t: TestContext, live: LiveDevice | undefined, supervisor?: FakeSupervisor) {
  const HOME = await temporaryFolder(t);
  const data = path.join(HOME, 'data');
  const flags = [
    ...['--engine-port', String(await freePort()), '--port', String(live?.server.port ?? (await freePort()))],
    ...['--supervisor-port', String(supervisor?.port ?? (await freePort()))],
    ...(live === undefined ? [] : ['--identity', live.server.identityFile]),
  ];
  return { flags, data, options: { environment: { HOME, DAVIT_DATA_DIR: data, SSH_AUTH_SOCK: undefined } } };
}

describe('davit device hostname', { skip: sshServerSkipReason() }, () => {
  it('tells the name that a device has, by SSH or as its Supervisor says', async (t) => {
    const live = await deviceOf(t);
    const bySsh = await reaching(t, live);
    const first = await davit(['device', 'hostname', '127.0.0.1', ...bySsh.flags], bySsh.options);
    assert.equal(first.stdout, 'crane\n', first.stderr);
    const answers = { 'GET /v1/device/host-config': () => ({ body: { network: { hostname: 'kiosk' } } }) };
    const supervisor = await startSupervisor({ answers });
    t.after(() => supervisor.close());
    const { flags, options } = await reaching(t, undefined, supervisor);
    assert.equal((await davit(['device', 'hostname', '127.0.0.1', ...flags], options)).stdout, 'kiosk\n');
  });

  it('refuses what cannot be a host name before it looks for the device', async (t) => {
    const { options } = await reaching(t, undefined);
    for (const bad of ['', 'a.b', 'a-', 'a b', 'x'.repeat(64), 'a_b']) {
      const { exitCode, document } = await davitJson(['device', 'hostname', 'nobody', bad], options);
      assert.deepEqual([exitCode, codeOf(document)], [2, 'invalid-hostname'], bad);
    }
  });

  it('has the Supervisor give the name', async (t) => {
    let hostname = 'kiosk';
    const supervisor = await startSupervisor({
      answers: {
        'GET /v1/device/host-config': () => ({ body: { network: { hostname } } }),
        'PATCH /v1/device/host-config': (body) => {
          hostname = (body as { network: { hostname: string } }).network.hostname;
          return { body: 'OK' };
        },
      },
    });
    t.after(() => supervisor.close());
    const { flags, options, data } = await reaching(t, undefined, supervisor);
    const words = ['device', 'hostname', '127.0.0.1', 'heron-4711', ...flags, '--no-wait'];
    const { exitCode, document } = await davitJson(words, options);
    assert.equal(exitCode, 0, JSON.stringify(document));
    assert.deepEqual(document, {
      version: 1,
      address: '127.0.0.1',
      hostname: 'heron-4711',
      before: 'kiosk',
      takesEffect: 'now',
      isAnnounced: null,
    });
    assert.deepEqual(
      supervisor.calls.flatMap(({ asked, body }) => (asked.startsWith('PATCH') ? [body] : [])),
      [{ network: { hostname: 'heron-4711' }, force: false }],
    );
    assert.match(await readFile(path.join(data, 'devices.json'), 'utf8'), /"hostname": "heron-4711"/);
    supervisor.change({ isLocked: true });
    const locked = await davitJson(['device', 'hostname', '127.0.0.1', 'kiosk', ...flags, '--no-wait'], options);
    assert.deepEqual([locked.exitCode, codeOf(locked.document)], [4, 'update-locked']);
  });

  it('writes it to config.json where there is no Supervisor, and says when it takes effect', async (t) => {
    const live = await deviceOf(t);
    const { flags, options, data } = await reaching(t, live);
    const words = ['device', 'hostname', '127.0.0.1', 'heron-4711', ...flags];
    const { exitCode, document } = await davitJson(words, options);
    assert.equal(exitCode, 0, JSON.stringify(document));
    assert.equal((document as { takesEffect: string }).takesEffect, 'at-next-start');
    assert.equal(await live.read(configFile), JSON.stringify({ uuid, hostname: 'heron-4711' }));
    assert.doesNotMatch(await readFile(path.join(data, 'devices.json'), 'utf8'), /heron/);
  });

  it('heeds update locks where there is no Supervisor too, unless forced', async (t) => {
    const ls = '#!/bin/sh\necho /tmp/balena-supervisor/services/1234/main/updates.lock\n';
    const config = JSON.stringify({ uuid, hostname: 'crane' });
    const live = await startLiveDevice(t, { boot: { 'config.json': config }, programs: { cat, ls } });
    const { flags, options } = await reaching(t, live);
    const words = ['device', 'hostname', '127.0.0.1', 'heron-4711', ...flags];
    const { exitCode, document } = await davitJson(words, options);
    assert.deepEqual([exitCode, codeOf(document)], [4, 'update-locked']);
    assert.equal(await live.read(configFile), config);
    assert.equal((await davit([...words, '--force'], options)).exitCode, 0);
    assert.match(await live.read(configFile), /heron-4711/);
  });

  it('knows the device and its host key by the new name from then on', async (t) => {
    const live = await startLiveDevice(t, {
      boot: { 'config.json': JSON.stringify({ uuid, hostname: 'crane' }) },
      programs: { cat, systemctl: '#!/bin/sh\nexit 0\n' },
    });
    const { flags, options, data } = await reaching(t, live);
    const run = async (...words: string[]) => {
      const result = await davit(['device', 'hostname', '127.0.0.1', ...words, ...flags, '--timeout', '1'], options);
      assert.equal(result.exitCode, 0, result.stderr);
      return result;
    };
    assert.match((await run('heron-4711')).stderr, /heron-4711\.local/);
    await run('heron-4712');
    const { devices } = JSON.parse(await readFile(path.join(data, 'devices.json'), 'utf8')) as {
      devices: { uuid: string; hostname: string }[];
    };
    assert.deepEqual(
      devices.map((one) => [one.uuid, one.hostname]),
      [[uuid, 'heron-4712']],
    );
    const pins = (await readFile(path.join(data, 'known_hosts'), 'utf8')).trim().split('\n');
    assert.equal(pins.length, 1);
    assert.match(pins[0] ?? '', new RegExp(`^${uuid},.*\\[heron-4712\\]:${live.server.port} `));
    assert.doesNotMatch(pins[0] ?? '', /crane|4711\b/);
    assert.match((await run('HERON-4712')).stdout, /already/);
  });
});

describe('davit device hostname in a network', { skip: sshServerSkipReason() || networkSkipReason() }, () => {
  it('refuses a name that is answered for, and waits until the new one is', async (t) => {
    const network = await createNetwork(['crane', 'heron', 'stork'].map((hostname) => ({ hostname, segment: 'lan' })));
    t.after(() => network.close());
    const [crane, heron] = network.devices;
    assert.ok(crane !== undefined && heron !== undefined);
    // It is what crane becomes.
    await heron.setConnected(false);
    // By its process, because the device has a /run of its own.
    const resident = crane.start('sleep', ['1000']);
    const live = await startLiveDevice(t, {
      port: 22222,
      boot: { 'config.json': JSON.stringify({ uuid, hostname: 'crane' }) },
      programs: { cat, systemctl: '#!/bin/sh\nexit 0\n' },
      wrapper: ['nsenter', `--net=/proc/${resident.pid ?? 0}/ns/net`],
    });
    const { options } = await reaching(t, live);
    const [words, inNetwork] = [['--identity', live.server.identityFile], { ...options, wrapper: network.wrapper }];
    const taken = await davitJson(['device', 'hostname', 'crane', 'stork', ...words], inNetwork);
    assert.deepEqual([taken.exitCode, codeOf(taken.document)], [4, 'hostname-taken'], JSON.stringify(taken.document));
    const naming = davitJson(['device', 'hostname', 'crane', 'heron', ...words], inNetwork);
    while (!(await live.read(configFile)).includes('heron')) await delay(20);
    await heron.setConnected(true);
    const { exitCode, document } = await naming;
    assert.deepEqual(
      [exitCode, (document as { isAnnounced?: boolean }).isAnnounced],
      [0, true],
      JSON.stringify(document),
    );
  });
});

function codeOf(document: unknown): unknown {
  return (document as { error?: { code?: unknown } }).error?.code;
}
