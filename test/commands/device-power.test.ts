import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { type LiveDevice, startLiveDevice } from '../support/live-device.js';
import { freePort, sshServerSkipReason } from '../support/ssh-server.js';
import { type FakeSupervisor, startSupervisor, type SupervisorOptions } from '../support/supervisor.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const [bootId, nextBootId] = ['11111111-2222-3333-4444-555555555555', '99999999-2222-3333-4444-555555555555'];

/** Stands in for systemctl on a host that has started anew as soon as it is told to. */
const systemctl = `#!/bin/sh
echo "$*" >> /run/unit-calls
[ "$1" != reboot ] || echo ${nextBootId} > /run/boot-id
`;

/** A device of which the kernel's boot ID can be told. */
async function startDevice(t: TestContext, programs: Readonly<Record<string, string>> = {}): Promise<LiveDevice> {
  const cat = `#!/bin/sh
[ "$1" = /proc/sys/kernel/random/boot_id ] && { /bin/cat /run/boot-id 2>/dev/null || echo ${bootId}; exit; }
exec /bin/cat "$@"`;
  return startLiveDevice(t, { boot: { 'config.json': '{}' }, programs: { systemctl, cat, ...programs } });
}

async function startSupervisorFor(t: TestContext, options: SupervisorOptions = {}): Promise<FakeSupervisor> {
  const supervisor = await startSupervisor(options);
  t.after(() => supervisor.close());
  return supervisor;
}

/**
 * How davit is told to reach a device: by 127.0.0.1 it finds the port of the Supervisor open, by 127.0.0.2 closed, as behind the firewall of
 * a device outside local mode.
 */
async function reaching(t: TestContext, live: LiveDevice | undefined, supervisor?: FakeSupervisor) {
  const HOME = await temporaryFolder(t);
  const ports = [
    ...['--engine-port', String(await freePort()), '--port', String(live?.server.port ?? (await freePort()))],
    ...['--supervisor-port', String(supervisor?.port ?? (await freePort()))],
  ];
  return {
    flags: [...ports, ...(live === undefined ? [] : ['--identity', live.server.identityFile])],
    options: { environment: { HOME, DAVIT_DATA_DIR: path.join(HOME, 'data'), SSH_AUTH_SOCK: undefined } },
  };
}

/** The journal of a Supervisor's device, which has started anew once it was told to. */
function journal(supervisor: () => FakeSupervisor) {
  return {
    'POST /v2/journal-logs': () => {
      const isAnew = supervisor().calls.some(({ asked }) => asked === 'POST /v1/reboot');
      return { body: `${JSON.stringify({ _BOOT_ID: (isAnew ? nextBootId : bootId).replaceAll('-', '') })}\n` };
    },
    'POST /v1/reboot': () => ({ status: 202, body: { Data: 'OK', Error: null } }),
    'POST /v1/shutdown': () => ({ status: 202, body: { Data: 'OK', Error: null } }),
  };
}

const skip = sshServerSkipReason();

describe('davit device reboot', { skip }, () => {
  it('restarts a device by SSH where it has no Supervisor, and waits until it is another start', async (t) => {
    const live = await startDevice(t);
    const { flags, options } = await reaching(t, live);
    const { exitCode, document } = await davitJson(['device', 'reboot', '127.0.0.1', ...flags], options);
    assert.equal(exitCode, 0, JSON.stringify(document));
    assert.deepEqual(await live.unitCalls(), ['reboot --no-block']);
    const [device] = (document as { devices: { name: string; seconds: number }[] }).devices;
    assert.equal(device?.name, '127.0.0.1');
    assert.equal(typeof device.seconds, 'number');
  });

  it('says when it does not come back', async (t) => {
    const live = await startDevice(t, { systemctl: '#!/bin/sh\n' });
    const { flags, options } = await reaching(t, live);
    const words = ['device', 'reboot', '127.0.0.1', ...flags, '--timeout', '2'];
    const { exitCode, document } = await davitJson(words, options);
    assert.deepEqual([exitCode, codeOf(document)], [6, 'device-not-back']);
    assert.match(JSON.stringify(document), /still up/);
    assert.equal((await davit([...words, '--no-wait'], options)).exitCode, 0);
  });

  it('goes through a Supervisor whose port is open, without a login', async (t) => {
    const supervisor: FakeSupervisor = await startSupervisorFor(t, { answers: journal(() => supervisor) });
    const { flags, options } = await reaching(t, undefined, supervisor);
    const { exitCode, stderr } = await davit(['device', 'reboot', '127.0.0.1', ...flags], options);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(
      supervisor.calls.map(({ asked, authorization }) => [asked, authorization]),
      [
        ['POST /v2/journal-logs', undefined],
        ['POST /v1/reboot', undefined],
        ['POST /v2/journal-logs', undefined],
      ],
    );
  });

  it('goes through a Supervisor that is only reached by SSH', async (t) => {
    const supervisor = await startSupervisorFor(t, { answers: journal(() => supervisor) });
    const live = await startDevice(t);
    const { flags, options } = await reaching(t, live, supervisor);
    const { exitCode, stderr } = await davit(['device', 'reboot', '127.0.0.2', ...flags, '--no-wait'], options);
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(
      supervisor.calls.map(({ asked, body }) => [asked, body]),
      [['POST /v1/reboot', { force: false }]],
    );
    assert.deepEqual(await live.unitCalls(), []);
  });

  it('heeds update locks unless forced, whichever way it goes', async (t) => {
    const supervisor = await startSupervisorFor(t, { isLocked: true, answers: journal(() => supervisor) });
    const live = await startDevice(t, {
      ls: '#!/bin/sh\necho /tmp/balena-supervisor/services/1234/main/updates.lock\n',
    });
    for (const by of [supervisor, undefined]) {
      const { flags, options } = await reaching(t, live, by);
      const words = ['device', 'reboot', '127.0.0.1', ...flags, '--no-wait'];
      const { exitCode, document } = await davitJson(words, options);
      assert.deepEqual([exitCode, codeOf(document)], [4, 'update-locked']);
      assert.equal((await davit([...words, '--force'], options)).exitCode, 0);
    }
    assert.deepEqual(await live.unitCalls(), ['reboot --no-block']);
  });

  it('says what a Supervisor says that fails, or that it does not answer', async (t) => {
    const supervisor = await startSupervisorFor(t, {
      answers: { 'POST /v1/reboot': () => ({ status: 500, body: { Data: '', Error: 'no way' } }) },
    });
    const { flags, options } = await reaching(t, undefined, supervisor);
    const words = ['device', 'reboot', '127.0.0.1', ...flags, '--no-wait'];
    const failed = await davitJson(words, options);
    assert.deepEqual([failed.exitCode, codeOf(failed.document)], [5, 'supervisor-error']);
    assert.match(JSON.stringify(failed.document), /no way/);
  });

  it('ends at once with 130 when interrupted while it waits', async (t) => {
    const live = await startDevice(t, { systemctl: '#!/bin/sh\n' });
    const { flags, options } = await reaching(t, live);
    const words = ['device', 'reboot', '127.0.0.1', ...flags, '--progress', 'plain'];
    const { exitCode } = await davit(words, {
      ...options,
      kill: { signal: 'SIGINT', when: (output) => output.includes('waiting') },
    });
    assert.equal(exitCode, 130);
  });

  it('restarts several devices at once, of which one that is not there fails alone', async (t) => {
    const live = await startDevice(t);
    const { flags, options } = await reaching(t, live);
    const absent = `ssh://127.0.0.1:${await freePort()}`;
    const words = ['device', 'reboot', absent, '127.0.0.1', '127.0.0.1', ...flags];
    const { exitCode, document, stderr } = await davitJson(words, options);
    assert.deepEqual([exitCode, codeOf(document)], [5, 'devices-failed']);
    const { devices } = (document as { error: { report: { devices: Record<string, unknown>[] } } }).error.report;
    assert.deepEqual(
      devices.map(({ device, error }) => [device, (error as { code?: string } | undefined)?.code]),
      [
        [absent, 'econnrefused'],
        ['127.0.0.1', undefined],
      ],
    );
    assert.match(stderr, /warning: ssh:/);
    assert.deepEqual(await live.unitCalls(), ['reboot --no-block']);
  });
});

describe('davit device shutdown', { skip }, () => {
  it('asks first, which nobody can answer without a terminal', async (t) => {
    const live = await startDevice(t);
    const { flags, options } = await reaching(t, live);
    const { exitCode, document } = await davitJson(['device', 'shutdown', '127.0.0.1', ...flags], options);
    assert.deepEqual([exitCode, codeOf(document)], [2, 'answer-needed']);
    assert.deepEqual(await live.unitCalls(), []);
  });

  it('says when the device still answers', async (t) => {
    const live = await startDevice(t);
    const { flags, options } = await reaching(t, live);
    const words = ['device', 'shutdown', '127.0.0.1', ...flags, '--yes', '--timeout', '1'];
    const { exitCode, document } = await davitJson(words, options);
    assert.deepEqual([exitCode, codeOf(document)], [5, 'device-not-off']);
    assert.deepEqual(await live.unitCalls(), ['poweroff --no-block']);
  });
});

describe('davit device identify', { skip }, () => {
  it('has the Supervisor blink, which says how it fails', async (t) => {
    const supervisor = await startSupervisorFor(t, { answers: { 'POST /v1/blink': () => ({ body: 'OK' }) } });
    const { flags, options } = await reaching(t, undefined, supervisor);
    assert.equal((await davit(['device', 'identify', '127.0.0.1', ...flags], options)).exitCode, 0);
    supervisor.change({ answers: { 'POST /v1/blink': () => ({ status: 500, body: 'no LED' }) } });
    const { exitCode, document } = await davitJson(['device', 'identify', '127.0.0.1', ...flags], options);
    assert.deepEqual([exitCode, codeOf(document)], [5, 'supervisor-error']);
    assert.match(JSON.stringify(document), /no LED/);
  });

  it('says that a device without a Supervisor has no light either', async (t) => {
    const live = await startDevice(t);
    const { flags, options } = await reaching(t, live);
    const { exitCode, document } = await davitJson(['device', 'identify', '127.0.0.1', ...flags], options);
    assert.deepEqual([exitCode, codeOf(document)], [4, 'no-light']);
  });
});

function codeOf(document: unknown): unknown {
  return (document as { error?: { code?: unknown } }).error?.code;
}
