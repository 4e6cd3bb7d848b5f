import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson, type DavitOptions } from '../support/davit.js';
import { type JoiningDevice, startCloud, startJoiningDevice, vpnFiles } from '../support/joining-device.js';
import { sshServerSkipReason } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

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
    const folder = await temporaryFolder(t);
    const config = path.join(folder, 'fleet.json');
    await writeFile(config, JSON.stringify(fleetConfig(cloud.origin)));
    const home: DavitOptions = {
      environment: { HOME: folder, DAVIT_DATA_DIR: path.join(folder, 'data'), SSH_AUTH_SOCK: undefined },
    };
    return { cloud, device, config, home };
  };
  const words = ({ server }: JoiningDevice, ...more: string[]) => [
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
    assert.equal(await device.read(configFile), ownText);
    assert.deepEqual(await device.unitCalls(), []);
  });
});

/** The config.json that a device has. */
async function configOf(device: JoiningDevice): Promise<Record<string, unknown>> {
  const config: unknown = JSON.parse(await device.read(configFile));
  assert.ok(isRecord(config));
  return config;
}

function without(config: object, ...keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));
}
