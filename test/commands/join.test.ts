import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { configChanges } from '../../src/lib/boot-config/config-json.js';
import { scriptCodes, startScript, workerScript } from '../../src/lib/join/change-script.js';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { isJsonObject, isRecord, type JsonObject } from '../../src/lib/platform/json.js';
import { remoteCommandLine } from '../../src/lib/ssh/quote-command.js';
import { rounds } from '../support/campaign.js';
import { watchCommandLines } from '../support/command-lines.js';
import { openCountedLink } from '../support/counted-link.js';
import { davit, davitJson, watchDavit } from '../support/davit.js';
import { engineSkipReason, startEngine } from '../support/engine.js';
import { startCloud, startJoiningDevice, vpnFiles } from '../support/joining-device.js';
import { type LiveDevice, startLiveDevice } from '../support/live-device.js';
import { ownCertificate } from '../support/own-certificate.js';
import { seededRandom } from '../support/seeded-random.js';
import { freePort, sshServerSkipReason } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { userHome } from '../support/user-home.js';

const skip = sshServerSkipReason();
const configFile = '/mnt/boot/config.json';
const apiKey = 'fleet-key-0123456789abcdef';

/** A device that is in no fleet, with much of its own. */
const own = {
  deviceType: 'raspberrypi2',
  uuid: '63ec46c2b8e04a8e9e3b1d7a5f0c9e21',
  hostname: 'crane',
  developmentMode: true,
  persistentLogging: false,
  vpnEndpoint: 'vpn.former.example',
  os: {
    sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me@home'],
    network: { connectivity: { uri: 'https://check.example.com/' } },
  },
  serial: 'A-17',
};
const ownText = `${JSON.stringify(own, null, 2)}\n`;

/** What a dashboard gives out for a fleet. */
function fleetConfig(apiEndpoint: string) {
  return {
    applicationId: 1301645,
    deviceType: 'raspberry-pi2',
    userId: 43699,
    appUpdatePollInterval: 600000,
    listenPort: 48484,
    vpnPort: 443,
    apiEndpoint,
    vpnEndpoint: 'cloudlink.example',
    registryEndpoint: 'registry2.example',
    deltaEndpoint: 'https://delta.example',
    mixpanelToken: 'mixpanel-0123456789',
    apiKey,
    developmentMode: false,
    hostname: 'fleet-name',
    country: 'DE',
  };
}

describe('davit join', { skip }, () => {
  const setUp = async (t: TestContext, options: Partial<Parameters<typeof startJoiningDevice>[1]> = {}) => {
    const cloud = await startCloud(t);
    const device = await startJoiningDevice(t, { config: ownText, ...options });
    const config = path.join(await temporaryFolder(t), 'fleet.json');
    await writeFile(config, JSON.stringify(fleetConfig(cloud.origin)));
    return { cloud, device, config, home: await userHome(t) };
  };
  const words = ({ server }: LiveDevice, ...more: string[]) => [
    ...['join', '127.0.0.1', '--port', String(server.port), '--identity', server.identityFile, '--engine-port', '1'],
    ...more,
  ];

  it('moves a device in production mode into a fleet with what os-config does, and keeps what is its own', async (t) => {
    const { device, config, home, cloud } = await setUp(t);
    const result = await davit(words(device, '--config', config, '--yes'), home);
    assert.equal(result.exitCode, 0, result.stderr);
    const { deviceApiKey, deviceApiKeys, ...rest } = await configOf(device);
    const given = without(fleetConfig(cloud.origin), 'apiKey', 'developmentMode', 'hostname');
    assert.deepEqual(rest, {
      ...own,
      ...given,
      deviceType: 'raspberrypi2',
      logsEndpoint: 'https://logs.example',
      deviceId: 4711,
      registered_at: 1767225600,
    });
    assert.deepEqual(deviceApiKeys, { [cloud.origin.slice('http://'.length)]: deviceApiKey });
    assert.deepEqual(await Promise.all(vpnFiles.map((file) => device.read(file))), [
      'remote vpn.example\n',
      'new authority\n',
    ]);
    for (const line of [
      'New `deviceApiKey` generated',
      'Service configuration retrieved',
      '/etc/openvpn/ca.crt updated',
    ]) {
      assert.ok(result.stderr.includes(`os-config | ${line}\n`), result.stderr);
    }
    assert.doesNotMatch(result.stdout + result.stderr, new RegExp(`${apiKey}|mixpanel-|${String(deviceApiKey)}`));
    assert.deepEqual(['/run/davit-join', `${configFile}.before`].filter(device.exists), []);
    assert.equal((await device.read('/run/units/balena-supervisor')).trim(), 'active');
  });

  it('only shows what would change with --dry-run, with secrets hidden', async (t) => {
    const { device, config, home } = await setUp(t);
    const { exitCode, document, stderr } = await davitJson(words(device, '--config', config, '--dry-run'), home);
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(JSON.stringify(document), new RegExp(apiKey));
    const plan = recordOf(document);
    const hidden = { before: null, after: '(hidden)', isHidden: true };
    assert.ok(isAmong(plan.differences, { key: 'apiKey', ...hidden }));
    assert.ok(isAmong(plan.kept, { key: 'developmentMode', before: true, after: false, isHidden: false }));
    assert.deepEqual([plan.isDryRun, plan.isRegistered, plan.leaves], [true, null, null]);
    await assertUntouched(device);
  });

  it('takes the configuration from standard input, and keys from it that it is told to', async (t) => {
    const { device, home, cloud } = await setUp(t);
    const input = JSON.stringify(fleetConfig(cloud.origin));
    const line = words(device, '--config', '-', '--yes', '--take', 'hostname', '--take', 'developmentMode');
    const result = await davit(line, { ...home, input });
    assert.equal(result.exitCode, 0, result.stderr);
    const { hostname, developmentMode, os } = await configOf(device);
    assert.deepEqual([hostname, developmentMode, os], ['fleet-name', false, own.os]);
  });

  it('moves a device from one cloud to another, and remembers its key there', async (t) => {
    const managed = {
      ...own,
      apiEndpoint: 'https://api.former.example',
      deviceApiKey: 'former-0123456789',
      deviceId: 7,
      registered_at: 8,
      balenaRootCA: 'AA==',
    };
    const { device, config, home, cloud } = await setUp(t, { config: JSON.stringify(managed) });
    const result = await davit(words(device, '--config', config, '--yes'), home);
    assert.equal(result.exitCode, 0, result.stderr);
    const joined = await configOf(device);
    assert.deepEqual([joined.apiEndpoint, joined.deviceId, joined.balenaRootCA], [cloud.origin, 4711, undefined]);
    assert.equal(recordOf(joined.deviceApiKeys)['api.former.example'], 'former-0123456789');
    assert.match(result.stdout, /leaves https:\/\/api\.former\.example/);
    assert.doesNotMatch(result.stdout + result.stderr, /former-0123456789/);
  });

  it('comes back to a cloud with the key that the device has there', async (t) => {
    const cloud = await startCloud(t);
    const host = cloud.origin.slice('http://'.length);
    const before = JSON.stringify({ ...own, deviceApiKeys: { [host]: 'mine-0123456789' } });
    const { device, config, home } = await setUp(t, { config: before });
    await writeFile(config, JSON.stringify(fleetConfig(cloud.origin)));
    const result = await davit(words(device, '--config', config, '--yes'), home);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.equal((await configOf(device)).deviceApiKey, 'mine-0123456789');
  });

  describe('refuses', () => {
    it('a configuration for another device type, unless that is wanted, and keeps the type of the device', async (t) => {
      const { device, config, home, cloud } = await setUp(t);
      await writeFile(config, JSON.stringify({ ...fleetConfig(cloud.origin), deviceType: 'raspberrypi3' }));
      const refused = await davitJson(words(device, '--config', config, '--yes'), home);
      assert.deepEqual([refused.exitCode, codeOf(refused.document)], [4, 'other-device-type']);
      await assertUntouched(device);
      const allowed = await davit(words(device, '--config', config, '--yes', '--other-device-type'), home);
      assert.equal(allowed.exitCode, 0, allowed.stderr);
      assert.equal((await configOf(device)).deviceType, 'raspberrypi2');
    });

    it('what is no configuration of a fleet, before it looks for the device', async (t) => {
      const { config, home, device, cloud } = await setUp(t);
      for (const [content, code] of [
        ['{"apiEndpoint":', 'invalid-config-file'],
        [JSON.stringify({ deviceType: 'raspberrypi2' }), 'incomplete-fleet-config'],
        [JSON.stringify(without(fleetConfig(cloud.origin), 'applicationId')), 'incomplete-fleet-config'],
        [JSON.stringify(without(fleetConfig(cloud.origin), 'apiKey')), 'incomplete-fleet-config'],
        [JSON.stringify({ ...fleetConfig(cloud.origin), listenPort: 'x' }), 'invalid-config'],
      ] as const) {
        await writeFile(config, content);
        const { exitCode, document } = await davitJson(words(device, '--config', config, '--yes'), home);
        assert.deepEqual([exitCode, codeOf(document)], [2, code], content);
      }
      await assertUntouched(device);
    });

    it('a device that does not run balenaOS, or has no os-config', async (t) => {
      const { config, device } = await setUp(t);
      const other = await startLiveDevice(t, { boot: { 'config.json': ownText } });
      for (const [one, code] of [
        [other, 'no-os-config'],
        [await startLiveDevice(t, { boot: {} }), 'no-live-config'],
        [
          await startLiveDevice(t, { boot: { 'config.json': ownText, 'balena-image-flasher': '' } }),
          'device-is-flasher',
        ],
      ] as const) {
        const { exitCode, document } = await davitJson(words(one, '--config', config, '--yes'), await userHome(t));
        assert.deepEqual([exitCode, codeOf(document)], [4, code]);
      }
      assert.equal(await other.read(configFile), ownText);
      await assertUntouched(device);
    });

    it('to take a key that the configuration does not have', async (t) => {
      const { device, config, home } = await setUp(t);
      for (const key of ['hostnam', 'os.sshKeys']) {
        const line = words(device, '--config', config, '--yes', '--take', key);
        const { exitCode, document } = await davitJson(line, home);
        assert.deepEqual([exitCode, codeOf(document)], [2, 'nothing-to-take'], key);
      }
      await assertUntouched(device);
    });

    it('to go on without consent', async (t) => {
      const { device, config, home } = await setUp(t);
      const { exitCode, document, stderr } = await davitJson(words(device, '--config', config), home);
      assert.deepEqual([exitCode, codeOf(document)], [2, 'answer-needed']);
      assert.match(stderr, /127\.0\.0\.1 joins http:.*\nconfig\.json:\n/);
      assert.doesNotMatch(stderr, new RegExp(apiKey));
      await assertUntouched(device);
    });
  });

  it('moves a device to a cloud that has certificates of its own', async (t) => {
    const { device, config, home } = await setUp(t);
    const tls = await ownCertificate(t, 'cloud.example');
    const cloud = await startCloud(t, { tls });
    const stranger = fleetConfig(cloud.origin);
    await writeFile(config, JSON.stringify(stranger));
    const refused = await davitJson(words(device, '--config', config, '--yes'), home);
    assert.deepEqual([refused.exitCode, codeOf(refused.document)], [6, 'cloud-unreachable'], refused.stderr);
    await assertUntouched(device);
    const balenaRootCA = Buffer.from(tls.cert).toString('base64');
    await writeFile(config, JSON.stringify({ ...stranger, balenaRootCA }));
    const joined = await davit(words(device, '--config', config, '--yes'), home);
    assert.equal(joined.exitCode, 0, joined.stderr);
    assert.equal((await configOf(device)).balenaRootCA, balenaRootCA);
  });

  it('changes nothing when the device cannot reach the cloud', async (t) => {
    const { device, config, home } = await setUp(t);
    await writeFile(config, JSON.stringify(fleetConfig(`http://127.0.0.1:${await freePort()}`)));
    const { exitCode, document } = await davitJson(words(device, '--config', config, '--yes'), home);
    assert.deepEqual([exitCode, codeOf(document)], [6, 'cloud-unreachable']);
    await assertUntouched(device);
  });

  it('puts everything back at whichever step os-config fails', async (t) => {
    const { device, config, home } = await setUp(t, { etc: { 'openvpn/openvpn.conf': 'former vpn\n' } });
    for (const at of [
      'generate-api-key:write',
      ...['fetch', 'stop', 'write', 'services', 'start'].map((name) => `update:${name}`),
    ]) {
      await device.write('/run/stand-in.json', JSON.stringify({ [at]: 'fail' }));
      const { exitCode, document, stderr } = await davitJson(words(device, '--config', config, '--yes'), home);
      assert.deepEqual([exitCode, codeOf(document)], [5, 'os-config-failed'], at);
      assert.match(stderr, /os-config \| Error: .* failed at/);
      await assertAsBefore(device);
      assert.equal(await device.read(vpnFiles[0]), 'former vpn\n');
      assert.equal(device.exists(vpnFiles[1]), false);
    }
  });

  it('needs no more than the shell and the tools of BusyBox, forwards and back', async (t) => {
    const { device, config, home } = await setUp(t, { hasBusyBox: true, standIn: { 'update:services': 'fail' } });
    const shell = await (await device.connect()).run(`exec sh -c 'readlink "/proc/$$/exe"'`);
    assert.match(shell.stdout, /busybox/);
    // What is left of one that ended before it had begun.
    await mkdir(device.file('/run/davit-join'));
    const failed = await davitJson(words(device, '--config', config, '--yes'), home);
    assert.deepEqual([failed.exitCode, codeOf(failed.document)], [5, 'os-config-failed'], failed.stderr);
    await assertAsBefore(device);
    await device.write('/run/stand-in.json', '{}');
    const result = await davit(words(device, '--config', config, '--yes'), home);
    assert.equal(result.exitCode, 0, result.stderr);
    await assertJoined(device);
  });

  it('puts everything back on Ctrl-C, also when os-config hangs', async (t) => {
    const { device, config, home } = await setUp(t, { standIn: { 'update:services': 'hang' } });
    const when = (output: string) => output.includes('Awaiting balena-supervisor.service');
    const result = await davit(words(device, '--config', config, '--yes', '--json'), {
      ...home,
      kill: { signal: 'SIGINT', when },
    });
    assert.equal(result.exitCode, 130, result.stderr);
    assert.match(result.stderr, /as it was before/);
    const { code, report } = recordOf(recordOf(JSON.parse(result.stdout)).error);
    assert.deepEqual([code, report], ['interrupted', { device: '127.0.0.1', state: 'restored' }]);
    await assertAsBefore(device);
  });

  it('goes on over a new connection when the link is cut, and shows each line once', async (t) => {
    const { device, config, home, cloud } = await setUp(t, { standIn: { 'update:fetch': 1, 'update:services': 1 } });
    const link = await openCountedLink(device.server.port);
    t.after(() => link.close());
    const line = words(device, '--config', config, '--yes').with(3, String(link.port));
    const running = watchDavit(line, home);
    for (const shown of ['Fetching service', 'Awaiting balena-supervisor']) {
      await until(() => running.output().includes(shown));
      link.cut();
    }
    const result = await running.result;
    assert.equal(result.exitCode, 0, result.stderr);
    assert.ok(link.connections() >= 3);
    const lines = result.stderr.split('\n').filter((one) => one.startsWith('os-config | '));
    assert.deepEqual(
      lines.map((one) => one.slice('os-config | '.length)),
      [
        'New `deviceApiKey` generated',
        `Writing ${configFile}`,
        `Fetching service configuration from ${cloud.origin}/os/v1/config...`,
        'Service configuration retrieved',
        'Checking for config.json migrations...',
        'Stopping balena-supervisor.service...',
        'Awaiting balena-supervisor.service to exit...',
        `Writing ${configFile}`,
        '/etc/openvpn/ca.crt updated',
        '/etc/openvpn/openvpn.conf updated',
        'Starting prepare-openvpn.service...',
        'Starting openvpn.service...',
        'Starting balena-supervisor.service...',
      ],
    );
    await assertJoined(device);
  });

  it('is carried out by the device alone when the link is cut for good and davit is killed', async (t) => {
    const { device, config, home } = await setUp(t, { standIn: { 'update:fetch': 1 } });
    const link = await openCountedLink(device.server.port);
    t.after(() => link.close());
    const running = watchDavit(words(device, '--config', config, '--yes').with(3, String(link.port)), home);
    await until(() => running.output().includes('Fetching service'));
    link.cut('cut');
    await until(() => running.output().includes('goes on by itself'));
    running.child.kill('SIGKILL');
    await until(() => !isChanging(device));
    await assertJoined(device);
  });

  it('leaves the old configuration or the new one, with every byte right, whenever davit is killed', async (t) => {
    const seed = seededRandom(20);
    const { device, config, home } = await setUp(t, { standIn: { 'update:fetch': 0.1, 'update:services': 0.05 } });
    const ends = { old: 0, joined: 0, underWay: 0 };
    for (let round = 0; round < rounds(8, 100); round++) {
      await device.write(configFile, ownText);
      const running = watchDavit(words(device, '--config', config, '--yes'), home);
      const mark = seed.pick([
        '',
        'Asking',
        'Stopping the Supervisor',
        'Writing config.json',
        'Fetching',
        'Awaiting',
        'crt updated',
      ]);
      // Before the device begins there is nothing to break.
      const { child, output } = running;
      await until(() => child.exitCode !== null || (hasSession(device) && output().includes(mark)));
      const timer = setTimeout(() => child.kill('SIGKILL'), seed.below(200));
      await running.result;
      clearTimeout(timer);
      if (isChanging(device)) ends.underWay += 1;
      await until(() => !hasSession(device));
      await until(() => !isChanging(device));
      if ((await device.read(configFile)) === ownText) ends.old += 1;
      else {
        await assertJoined(device);
        ends.joined += 1;
      }
      assert.deepEqual(await leftIn(device), []);
      assert.equal((await device.read('/run/units/balena-supervisor')).trim(), 'active');
    }
    t.diagnostic(JSON.stringify(ends));
  });

  it('shows the key of the fleet in no list of processes, here or on the device', async (t) => {
    const { device, config, home } = await setUp(t, {
      standIn: { 'update:fetch': 0.3, 'update:services': 0.3, 'generate-api-key:write': 0.3 },
    });
    const input = await readFile(config, 'utf8');
    const running = davit(words(device, '--config', '-', '--yes'), { ...home, input });
    const seen = await watchCommandLines(running);
    const { exitCode, stderr } = await running;
    assert.equal(exitCode, 0, stderr);
    assert.ok(seen.has('os-config update') && seen.has('os-config generate-api-key'), `${seen.looks} looks`);
    assert.equal(seen.has(apiKey), false);
    assert.equal(seen.has(Buffer.from(apiKey).toString('base64').slice(0, 16)), false);
  });

  it('says what the device is waited for, and that it has joined, when it does not register', async (t) => {
    const { device, config, home } = await setUp(t, { standIn: { register: false } });
    const { exitCode, document, stderr } = await davitJson(
      words(device, '--config', config, '--yes', '--timeout', '1'),
      home,
    );
    assert.deepEqual([exitCode, codeOf(document)], [6, 'not-registered']);
    assert.match(stderr, /register with http/);
    assert.equal((await configOf(device)).apiKey, apiKey);
  });

  it('says so when the old configuration cannot be put back, and when the device was restarted meanwhile', async (t) => {
    const standIn = { 'update:fetch': 1, 'update:write': 'fail' };
    const { device, config, home } = await setUp(t, { standIn });
    const spoil = async (file: string) => {
      const running = watchDavit(words(device, '--config', config, '--yes', '--json'), home);
      await until(() => running.output().includes('Fetching service'));
      await rm(device.file(file), { recursive: true });
      const { exitCode, stdout } = await running.result;
      return [exitCode, codeOf(JSON.parse(stdout))];
    };
    assert.deepEqual(await spoil(`${configFile}.before`), [5, 'rollback-failed']);
    assert.equal((await device.read('/run/units/balena-supervisor')).trim(), 'active');
    await device.write(configFile, ownText);
    assert.deepEqual(await spoil('/run/davit-join'), [6, 'change-broken-off']);
  });

  it('refuses a second one while the first one is at work', async (t) => {
    const { device, config, home } = await setUp(t, { standIn: { 'update:services': 1 } });
    const first = watchDavit(words(device, '--config', config, '--yes'), home);
    await until(() => first.output().includes('Awaiting balena-supervisor'));
    const second = await davitJson(words(device, '--config', config, '--yes'), home);
    assert.deepEqual([second.exitCode, codeOf(second.document)], [4, 'change-under-way']);
    assert.equal((await first.result).exitCode, 0);
    await assertJoined(device);
  });

  it('refuses one whose configuration arrives only when another one is at work', async (t) => {
    // The test logs in by itself, as to a device that it has not met.
    const before = ownText.replace(own.uuid, own.uuid.replaceAll('6', '7'));
    const staged = JSON.stringify({ ...own, applicationId: 17 });
    const workerWords = ['join', ...[before, staged].map(sha256), '10', '', '', ''];
    const { device, config, home, cloud } = await setUp(t, { config: before, standIn: { 'update:services': 1 } });
    const late = await (
      await device.connect()
    ).execute(
      remoteCommandLine([
        'exec',
        'sh',
        '-c',
        `echo ready\n${startScript}`,
        'davit',
        'late',
        workerScript,
        ...workerWords,
      ]),
    );
    await once(late.stdout, 'data');
    const first = watchDavit(words(device, '--config', config, '--yes'), home);
    await until(() => first.output().includes('Awaiting balena-supervisor'));
    late.stdin.end([Buffer.from(staged).toString('base64'), '', 'end', ''].join('\n'));
    assert.equal((await late.exited).exitCode, scriptCodes.busy);
    const { exitCode, stderr } = await first.result;
    assert.equal(exitCode, 0, stderr);
    assert.equal((await configOf(device)).apiEndpoint, cloud.origin);
  });

  it('changes nothing where the Supervisor has written config.json until it stood still', async (t) => {
    const { device, config, home } = await setUp(t);
    const written = ownText.replace('crane', 'heron');
    await device.write('/run/written.json', written);
    await device.write('/run/supervisor-stop', `cp /run/written.json ${configFile}`);
    const { exitCode, document } = await davitJson(words(device, '--config', config, '--yes'), home);
    assert.deepEqual([exitCode, codeOf(document)], [4, 'live-config-busy']);
    assert.equal(await device.read(configFile), written);
    assert.equal((await device.read('/run/units/balena-supervisor')).trim(), 'active');
    assert.deepEqual(await leftIn(device), []);
  });

  it('lists the local containers and volumes that will be lost', { skip: engineSkipReason() }, async (t) => {
    const { device, config, home } = await setUp(t);
    const engine = await startEngine();
    t.after(() => engine.close());
    await runChecked('importing', 'docker', ['-H', `tcp://127.0.0.1:${engine.port}`, 'import', '-', 'empty'], {
      input: Buffer.alloc(10240),
    });
    for (const name of ['main_1_1_10ca12e1ea5e', 'balena_supervisor'])
      await engine.docker(['create', '--name', name, 'empty', '/x']);
    await engine.docker(['volume', 'create', '1_data']);
    const line = words(device, '--config', config, '--dry-run').with(7, String(engine.port));
    const { document, stderr } = await davitJson(line, home);
    assert.deepEqual(
      recordOf(document).deletes,
      { containers: ['main_1_1_10ca12e1ea5e'], volumes: ['1_data'] },
      stderr,
    );
  });
});

describe('davit leave', { skip }, () => {
  const managed = {
    ...own,
    apiEndpoint: 'https://api.example',
    applicationId: 17,
    deviceApiKey: 'device-key-0123456789',
    deviceId: 4711,
    registered_at: 1767225600,
    listenPort: 48484,
  };
  const text = JSON.stringify(managed);
  const vpn = { 'openvpn/openvpn.conf': 'vpn\n', 'openvpn/ca.crt': 'authority\n' };
  const setUp = async (t: TestContext, options: Partial<Parameters<typeof startJoiningDevice>[1]> = {}) => {
    const device = await startJoiningDevice(t, { config: text, etc: vpn, ...options });
    return { device, home: await userHome(t) };
  };
  const words = ({ server }: LiveDevice, ...more: string[]) => [
    ...['leave', '127.0.0.1', '--port', String(server.port), '--identity', server.identityFile, '--engine-port', '1'],
    ...more,
  ];

  it('removes what belongs to the cloud, remembers the key of the device, and keeps the rest', async (t) => {
    const { device, home } = await setUp(t);
    const result = await davit(words(device, '--yes'), home);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.deepEqual(await configOf(device), {
      ...without(own, 'deviceType'),
      deviceApiKeys: { 'api.example': 'device-key-0123456789' },
    });
    assert.deepEqual(vpnFiles.filter(device.exists), []);
    assert.match(result.stderr, /os-config \| Deleting config\.json keys/);
    assert.doesNotMatch(result.stdout + result.stderr, /device-key-0123456789/);
    assert.deepEqual(await leftIn(device), []);
  });

  it('shows with --dry-run exactly what then changes', async (t) => {
    const { device, home } = await setUp(t);
    const { document } = await davitJson(words(device, '--dry-run'), home);
    assert.equal(await device.read(configFile), text);
    assert.deepEqual(await device.unitCalls(), []);
    assert.equal((await davit(words(device, '--yes'), home)).exitCode, 0);
    const changes = configChanges(managed, jsonObjectOf(await configOf(device))).map(({ key }) => key);
    const { differences } = recordOf(document);
    assert.ok(Array.isArray(differences));
    assert.deepEqual(differences.map((one) => recordOf(one).key).sort(), changes.sort());
  });

  it('does nothing to a device that is in no fleet', async (t) => {
    const { device, home } = await setUp(t, { config: ownText });
    const result = await davit(words(device), home);
    assert.equal(result.exitCode, 0, result.stderr);
    await assertUntouched(device);
  });

  it('refuses to lock everybody out, unless that is wanted', async (t) => {
    const { device, home } = await setUp(t, { config: JSON.stringify(without(managed, 'os', 'developmentMode')) });
    const { exitCode, document } = await davitJson(words(device, '--yes'), home);
    assert.deepEqual([exitCode, codeOf(document)], [4, 'would-lock-out']);
    assert.equal((await davit(words(device, '--yes', '--allow-lockout'), home)).exitCode, 0);
    assert.equal((await configOf(device)).apiEndpoint, undefined);
  });

  it('puts everything back at whichever step os-config fails', async (t) => {
    const { device, home } = await setUp(t);
    for (const at of ['stop', 'write', 'services', 'start']) {
      await device.write('/run/stand-in.json', JSON.stringify({ [`leave:${at}`]: 'fail' }));
      const { exitCode, document } = await davitJson(words(device, '--yes'), home);
      assert.deepEqual([exitCode, codeOf(document)], [5, 'os-config-failed'], at);
      assert.equal(await device.read(configFile), text);
      assert.deepEqual(await Promise.all(vpnFiles.map((file) => device.read(file))), Object.values(vpn));
      assert.equal((await device.read('/run/units/balena-supervisor')).trim(), 'active');
      assert.deepEqual(await leftIn(device), []);
    }
  });
});

/** Nothing has been done to the device at all. */
async function assertUntouched(device: LiveDevice): Promise<void> {
  assert.equal(await device.read(configFile), ownText);
  assert.deepEqual(await device.unitCalls(), []);
  assert.deepEqual(await leftIn(device), []);
}

/** Whatever was done to the device, it has been undone. */
async function assertAsBefore(device: LiveDevice): Promise<void> {
  assert.equal(await device.read(configFile), ownText);
  assert.equal((await device.read('/run/units/balena-supervisor')).trim(), 'active');
  assert.deepEqual(await leftIn(device), []);
}

/** The device has joined: all that it is to have is there, and nothing of its own is lost. */
async function assertJoined(device: LiveDevice): Promise<void> {
  await until(async () => (await configOf(device)).deviceId === 4711);
  const {
    uuid,
    hostname,
    developmentMode,
    os,
    serial,
    applicationId,
    deviceApiKey,
    apiKey: left,
  } = await configOf(device);
  assert.deepEqual(
    { uuid, hostname, developmentMode, os, serial },
    pick(own, ['uuid', 'hostname', 'developmentMode', 'os', 'serial']),
  );
  assert.deepEqual([applicationId, left], [1301645, undefined]);
  assert.match(String(deviceApiKey), /^[0-9a-f]{32}$/);
  assert.deepEqual(await Promise.all(vpnFiles.map((file) => device.read(file))), [
    'remote vpn.example\n',
    'new authority\n',
  ]);
}

/** What a change has left behind on the boot partition, and secrets in memory. */
async function leftIn(device: LiveDevice): Promise<string[]> {
  const boot = await readdir(device.file('/mnt/boot'));
  const folder = device.exists('/run/davit-join') ? await readdir(device.file('/run/davit-join')) : [];
  return [
    ...boot.filter((name) => !['config.json', 'device-type.json'].includes(name)),
    ...folder.filter((name) => /^(staged|authority|saved)/.test(name)),
  ];
}

/** Whether a change has begun and not ended. */
function isChanging(device: LiveDevice): boolean {
  return device.exists('/run/davit-join') && !device.exists('/run/davit-join/result');
}

/** Whether somebody is logged in. */
function hasSession({ server }: LiveDevice): boolean {
  const children = readFileSync(`/proc/${server.pid()}/task/${server.pid()}/children`, 'utf8');
  return children.trim() !== '';
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 40_000; !(await condition());) {
    assert.ok(performance.now() < end, 'it never came to that');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The config.json that a device has. */
async function configOf(device: LiveDevice): Promise<Record<string, unknown>> {
  const config: unknown = JSON.parse(await device.read(configFile));
  assert.ok(isRecord(config));
  return config;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function without(config: object, ...keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));
}

function pick(config: object, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => keys.includes(key)));
}

function recordOf(value: unknown): Record<string, unknown> {
  assert.ok(isRecord(value));
  return value;
}

function jsonObjectOf(value: unknown): JsonObject {
  assert.ok(isJsonObject(value));
  return value;
}

function codeOf(document: unknown): unknown {
  return recordOf(recordOf(document).error).code;
}

function isAmong(list: unknown, wanted: object): boolean {
  return Array.isArray(list) && list.some((one) => isDeepStrictEqual(one, wanted));
}
