import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { checkConfig, idleConfigKeys, unknownConfigKeys } from '../../../src/lib/boot-config/config-check.js';
import { readConfigFile } from '../../../src/lib/boot-config/config-file.js';
import { configKeys } from '../../../src/lib/boot-config/config-keys.js';
import { configSchema } from '../../../src/lib/boot-config/config-schema.js';
import { isHostname } from '../../../src/lib/boot-config/config-values.js';
import { isOlderThan, type OsFacts } from '../../../src/lib/boot-config/os-facts.js';
import { pointerTo } from '../../../src/lib/boot-config/problem.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import type { JsonObject } from '../../../src/lib/platform/json.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me@home';

describe('checking config.json', () => {
  test('accepts what the documentation shows', () => {
    const config = {
      deviceType: 'raspberrypi4-64',
      hostname: 'kiosk-7',
      developmentMode: 'true',
      persistentLogging: false,
      uuid: 'a'.repeat(32),
      dnsServers: 'null',
      ntpServers: '0.resinio.pool.ntp.org 10.0.0.1',
      apiEndpoint: 'https://api.balena-cloud.com',
      vpnEndpoint: 'cloudlink.balena-cloud.com',
      deltaEndpoint: 'https://delta.balena-cloud.com',
      appUpdatePollInterval: 900_000,
      os: {
        sshKeys: [key],
        udevRules: { '64': 'ENV{x}="y"' },
        network: { connectivity: { interval: '3600', uri: 'null' }, wifi: { randomMacAddressScan: false } },
        power: { mode: 'low' },
      },
      installer: { secureboot: true, target_devices: 'nvme0n1 sda' },
      somethingElse: { entirely: 1 },
    };
    assert.deepEqual(checkConfig(config), []);
  });

  test('takes null for any key, known or not, as what removes it', () => {
    const config = { hostname: null, os: { udevRules: { old: null }, network: null }, oldKey: null };
    assert.deepEqual([...checkConfig(config), ...unknownConfigKeys(config)], []);
    assert.equal(checkConfig({ os: { sshKeys: [null] } }).length, 1);
  });

  const bad: readonly (readonly [string, JsonObject])[] = [
    ['/hostname', { hostname: 'two.labels' }],
    ['/hostname', { hostname: 5 }],
    ['/hostname', { hostname: 'x'.repeat(64) }],
    ['/developmentMode', { developmentMode: 'yes' }],
    ['/persistentLogging', { persistentLogging: 1 }],
    ['/country', { country: 'de' }],
    ['/uuid', { uuid: 'xyz' }],
    ['/apiEndpoint', { apiEndpoint: 'api.balena-cloud.com' }],
    ['/registryEndpoint', { registryEndpoint: 'not a host' }],
    ['/appUpdatePollInterval', { appUpdatePollInterval: 10 }],
    ['/appUpdatePollInterval', { appUpdatePollInterval: '900000' }],
    ['/listenPort', { listenPort: 65_536 }],
    ['/applicationId', { applicationId: 1.5 }],
    ['/dnsServers', { dnsServers: 'dns.example.com' }],
    ['/dnsServers', { dnsServers: ['1.1.1.1'] }],
    ['/ntpServers', { ntpServers: 'good.example -bad-' }],
    ['/os', { os: [] }],
    ['/os/network', { os: { network: true } }],
    ['/os/sshKeys', { os: { sshKeys: key } }],
    ['/os/sshKeys/1', { os: { sshKeys: [key, 'ssh-ed25519 AAAA'] } }],
    ['/os/sshKeys', { developmentMode: true, os: { sshKeys: [] } }],
    ['/os/udevRules/a~1b', { os: { udevRules: { 'a/b': 'x' } } }],
    ['/os/udevRules/64', { os: { udevRules: { '64': ['x'] } } }],
    ['/os/network/connectivity/interval', { os: { network: { connectivity: { interval: 3600 } } } }],
    ['/os/network/connectivity/uri', { os: { network: { connectivity: { uri: 'nowhere' } } } }],
    ['/os/network/wifi/randomMacAddressScan', { os: { network: { wifi: { randomMacAddressScan: 'on' } } } }],
    ['/os/fan/profile', { os: { fan: { profile: 'loud' } } }],
    ['/os/power/mode', { os: { power: { mode: 5 } } }],
    ['/installer', { installer: true }],
    ['/installer/target_devices', { installer: { target_devices: ['sda'] } }],
    ['/installer/target_devices', { installer: { target_devices: '/dev/sda' } }],
    ['/balenaRootCA', { balenaRootCA: 'bm90IGEgY2VydA==' }],
    ['/deviceApiKeys', { deviceApiKeys: 'x' }],
  ];
  for (const [pointer, config] of bad) {
    test(`finds ${JSON.stringify(config).slice(0, 70)} wrong`, () => {
      assert.deepEqual(
        checkConfig(config).map((problem) => pointerTo(problem.path)),
        [pointer],
      );
    });
  }

  test('takes null as the removal of a key', () => {
    assert.deepEqual(checkConfig({ hostname: null, os: { sshKeys: null }, installer: null }), []);
  });

  test('takes host names as RFC 1123 does', () => {
    for (const good of ['a', 'A1', 'a-b', '0', 'x'.repeat(63)]) assert.ok(isHostname(good), good);
    for (const wrong of ['', '-a', 'a-', 'a_b', 'a.b', 'ü', 'x'.repeat(64), 'a b', 'a\n']) {
      assert.ok(!isHostname(wrong), wrong);
    }
  });

  const unknown: readonly (readonly [JsonObject, string])[] = [
    [{ developementMode: true }, '/developementMode is not a known key: did you mean developmentMode?'],
    [{ os: { sshkeys: [] } }, '/os/sshkeys is not a known key: did you mean sshKeys?'],
    [{ sshKeys: [] }, '/sshKeys is not a known key: did you mean /os/sshKeys?'],
    [
      { os: { network: { conectivity: {} } } },
      '/os/network/conectivity is not a known key: did you mean connectivity?',
    ],
    [{ mine: 1 }, '/mine is not a known key'],
  ];
  for (const [config, expected] of unknown) {
    test(`names the key that is most like the one in ${JSON.stringify(config)}`, () => {
      const texts = unknownConfigKeys(config).map(({ path: at, message }) => `${pointerTo(at)} ${message}`);
      assert.deepEqual(texts, [expected]);
    });
  }

  test('leaves names that are free alone', () => {
    const config = { deviceApiKeys: { 'api.example.com': 'x' }, os: { udevRules: { mine: '' } }, files: { x: 1 } };
    assert.deepEqual(unknownConfigKeys(config), []);
  });

  test('finds keys that the OS is too old for, and keys of flashers in other images', () => {
    const config = {
      developmentMode: true,
      country: 'DE',
      installer: { secureboot: true },
      os: { fan: { profile: 'quiet' } },
    };
    const idle = (os: OsFacts) => idleConfigKeys(config, os).map((problem) => pointerTo(problem.path));
    assert.deepEqual(idle({ kind: 'flasher', osName: 'balenaOS', osVersion: '8.0.2' }), []);
    assert.deepEqual(idle({ kind: 'flasher' }), []);
    assert.deepEqual(idle({ kind: 'direct', osName: 'balenaOS', osVersion: '6.1.23+rev9' }), [
      '/os/fan/profile',
      '/installer/secureboot',
    ]);
    assert.equal(idle({ kind: 'flasher', osName: 'balenaOS', osVersion: '2.83.1' }).length, 3);
    assert.deepEqual(idle({ kind: 'flasher', osName: 'davitOS', osVersion: '0.1.0' }), [], 'versions of another OS');
  });

  test('finds keys that the board does not read', () => {
    const config = { deviceType: 'raspberrypi4-64', os: { fan: { profile: 'quiet' }, power: { mode: 'low' } } };
    const idle = (slug?: string) =>
      idleConfigKeys(config, slug === undefined ? {} : { deviceType: { slug, name: slug, arch: 'aarch64' } });
    assert.deepEqual(
      idle().map((problem) => pointerTo(problem.path)),
      ['/os/fan/profile', '/os/power/mode'],
    );
    assert.match(idle()[0]?.message ?? '', /only boards with a Jetson Orin read it, and this is for raspberrypi4-64/);
    for (const board of ['jetson-agx-orin-devkit', 'forecr-dsb-ornx-orin-nano-8gb']) assert.deepEqual(idle(board), []);
  });

  test('takes whole certificates for the private authority', async (t) => {
    const file = path.join(await temporaryFolder(t), 'ca.pem');
    const words =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=a -keyout /dev/null -out'.split(' ');
    await runChecked('making a certificate', 'openssl', [...words, file]);
    const certificate = await readFile(file);
    const check = (text: string | Buffer) => checkConfig({ balenaRootCA: Buffer.from(text).toString('base64') });
    assert.deepEqual(check(certificate), []);
    assert.deepEqual(check(Buffer.concat([certificate, Buffer.from('\n'), certificate])), []);
    assert.equal(check(String(certificate).replace(/\n[^\n]+\n/, '\n')).length, 1, 'a line is missing');
    assert.equal(check('-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----').length, 1);
    assert.equal(checkConfig({ balenaRootCA: String(certificate) }).length, 1, 'not in base64');
  });

  test('compares versions by their numbers', () => {
    assert.ok(isOlderThan('2.83.21+rev1', '2.85.0'));
    assert.ok(isOlderThan('2.9.9', '2.10.0'));
    assert.ok(!isOlderThan('2.85.0+rev1', '2.85.0'));
    assert.ok(!isOlderThan('10.0.0', '9.9.9'));
    assert.ok(!isOlderThan('2024.1.0', '6.5.0'));
    assert.ok(!isOlderThan(undefined, '2.0.0'));
    assert.ok(!isOlderThan('unknown', '2.0.0'));
  });

  test('has every key in its JSON Schema, and no secret without the mark', () => {
    const text = JSON.stringify(configSchema());
    for (const name of Object.keys(configKeys)) assert.ok(text.includes(`"${name.split('.').at(-1) ?? ''}":`), name);
    for (const [name, { isSecret }] of Object.entries(configKeys)) {
      if (/key$|token$|secret|password/i.test(name)) assert.ok(isSecret, name);
    }
  });
});

describe('what is known of keys', () => {
  for (const [name, { shape, example, ...key }] of Object.entries(configKeys)) {
    test(`has an example and a default of the right kind, and one of two kinds of default: ${name}`, () => {
      if (example !== undefined) assert.deepEqual(shape.problems(example, []), []);
      if (key.default !== undefined) assert.deepEqual(shape.problems(key.default, []), []);
      assert.ok(key.default === undefined || key.otherwise === undefined);
      assert.ok(key.isSecret !== true || example === undefined, 'an example of a secret invites to put one there');
      assert.ok(key.restarts === undefined || key.takesEffect === 'at once');
    });
  }
});

describe('a file laid over config.json', () => {
  async function fileWith(t: Parameters<typeof temporaryFolder>[0], text: string): Promise<string> {
    const file = path.join(await temporaryFolder(t), 'fleet.json');
    await writeFile(file, text);
    return file;
  }

  test('is refused with all mistakes, each with file, line, column and pointer, and without their values', async (t) => {
    const file = await fileWith(
      t,
      '{\n  "hostname": "s3cret.name",\n  "os": {\n    "sshKeys": [\n      "s3cret"\n    ]\n  },\n  "listenPort": "s3cret"\n}\n',
    );
    await assert.rejects(readConfigFile(file), (error: unknown) => {
      assert.ok(error instanceof Failure && error.kind === 'usage' && error.code === 'invalid-config');
      const lines = error.message.split('\n').sort();
      assert.equal(lines.length, 3);
      assert.ok(lines[0]?.startsWith(`${file}:2:3: /hostname must be`));
      assert.ok(lines[1]?.startsWith(`${file}:5:7: /os/sshKeys/0 must be`));
      assert.ok(lines[2]?.startsWith(`${file}:8:3: /listenPort must be`));
      return !error.message.includes('s3cret');
    });
  });

  test('is warned about where it has keys that nothing reads', async (t) => {
    const file = await fileWith(t, '{\n "a\\u002fb": 1, "developementMode": true}');
    const { config, warnings } = await readConfigFile(file);
    assert.deepEqual(config, { 'a/b': 1, developementMode: true });
    assert.deepEqual(warnings, [
      `${file}:2:2: /a~1b is not a known key`,
      `${file}:2:17: /developementMode is not a known key: did you mean developmentMode?`,
    ]);
  });
});
