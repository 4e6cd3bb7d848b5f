import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { attachUsedCard, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage, type OsImageOptions, readBootFile } from '../support/os-image.js';
import { makePng } from '../support/png.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const secrets = ['s3cret-of-office', 's3cret-of-proxy', 's3cret-api-key', 's3cret-of-home'] as const;

const text = `
mode: development
hostname: from-profile
sshKeys: [id.pub]
persistentLogging: true
dns: [9.9.9.9]
ntp: [time.example.com]
country: FR
networks:
  office:
    type: wifi
    ssid: Büro; 1
    key: \${OFFICE_KEY:?the key of the office}
  resin-wifi:
    type: wifi
    ssid: Home
    key: { file: home.key }
  wired:
    type: ethernet
    ipv4: { addresses: [10.0.0.5/24], gateway: 10.0.0.1, dns: [10.0.0.1] }
connectionFiles: [lan.nmconnection]
proxy: { type: socks5, host: 10.0.0.9, port: 1080, login: me, password: { env: PROXY_PASSWORD }, noProxy: [10.9.0.0/16] }
splash: logo.png
dispatcherScripts: [90-hook]
udevRules: { "99-mine": 'KERNEL=="ttyUSB0", SYMLINK+="modem"' }
configTxt: [gpu_mem=64, dtoverlay=vc4-kms-v3d]
bootFiles: { extra_uEnv.txt: env.txt }
config:
  apiEndpoint: https://api.example.com
  apiKey: \${API_KEY}
  applicationId: 7
`;

const environment = { OFFICE_KEY: secrets[0], PROXY_PASSWORD: secrets[1], API_KEY: secrets[2] };

interface Setup {
  readonly folder: string;
  readonly image: OsImage;
  readonly profile: string;
  readonly sshKey: string;
}

async function setUp(t: TestContext, options: OsImageOptions = {}, profileText = text): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'device.img'), {
    ...options,
    bootFiles: {
      'config.txt': 'gpu_mem=16\r\n[pi4]\r\narm_64bit=1\r\n',
      'splash/balena-logo.png': makePng(4, 4),
      ...options.bootFiles,
    },
  });
  const own = path.join(folder, 'profile');
  await mkdir(own);
  await runChecked('making a key', 'ssh-keygen', ['-q', '-N', '', '-t', 'ed25519', '-f', path.join(own, 'id')]);
  const files: Readonly<Record<string, string | Buffer>> = {
    'home.key': `${secrets[3]}\n`,
    'lan.nmconnection': '[connection]\nid=lan\ntype=ethernet\ninterface-name=eth1\n',
    'logo.png': makePng(),
    '90-hook': '#!/bin/bash\nexit 0\n',
    'env.txt': 'extra_os_cmdline=quiet\n',
    'profile.yaml': profileText,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(own, name), content);
  for (const name of ['profile.yaml', 'home.key']) await chmod(path.join(own, name), 0o600);
  const sshKey = (await readFile(path.join(own, 'id.pub'), 'utf8')).trim();
  return { folder, image, profile: path.join(own, 'profile.yaml'), sshKey };
}

function noSecretsIn(output: string): void {
  for (const secret of secrets) assert.ok(!output.includes(secret), 'a secret is shown');
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

describe('os configure --profile', () => {
  for (const [what, options] of [
    ['an image with an MBR', { table: 'mbr', fat: 32 }],
    ['an image with a GPT', {}],
    ['a flasher image', { flasher: true, table: 'mbr' }],
  ] as const) {
    it(`puts everything into ${what}`, async (t) => {
      const { folder, image, profile, sshKey } = await setUp(t, options);
      const output = path.join(folder, 'out.img');
      const words = ['os', 'configure', image.path, '--profile', profile, '--output', output];
      const { exitCode, document, stderr } = await davitJson(words, { environment });
      assert.equal(exitCode, 0, JSON.stringify(document));
      noSecretsIn(stderr + JSON.stringify(document));
      assert.ok(isRecord(document));
      const notAboutFlasher = Array.isArray(document.warnings)
        ? document.warnings.filter((one: unknown) => !String(one).includes('flasher'))
        : document.warnings;
      assert.deepEqual(notAboutFlasher, []);

      const configured = { bootAddress: `${output}@@${image.boot.start}` };
      const read = async (name: string) => String(await readBootFile(configured, name, `${output}.read`));
      assert.deepEqual(JSON.parse(await read('config.json')), {
        deviceType: 'raspberrypi4-64',
        persistentLogging: true,
        apiEndpoint: 'https://api.example.com',
        apiKey: secrets[2],
        applicationId: 7,
        os: { udevRules: { '99-mine': 'KERNEL=="ttyUSB0", SYMLINK+="modem"' }, sshKeys: [sshKey] },
        developmentMode: true,
        hostname: 'from-profile',
        country: 'FR',
        dnsServers: '9.9.9.9',
        ntpServers: 'time.example.com',
      });
      const office = await read('system-connections/office');
      assert.match(office, /^ssid=66;195;188;114;111;59;32;49;$/m);
      assert.match(office, new RegExp(`^psk=${secrets[0]}$`, 'm'));
      assert.match(await read('system-connections/resin-wifi'), new RegExp(`^psk=${secrets[3]}$`, 'm'));
      assert.match(await read('system-connections/wired'), /^address1=10.0.0.5\/24,10.0.0.1$/m);
      assert.match(await read('system-connections/lan.nmconnection'), /eth1/);
      assert.match(await read('system-proxy/redsocks.conf'), new RegExp(`password = "${secrets[1]}";`));
      assert.equal(await read('system-proxy/no_proxy'), '10.9.0.0/16\n');
      assert.equal(await read('dispatcher.d/90-hook'), '#!/bin/bash\nexit 0\n');
      assert.equal(
        await read('config.txt'),
        'gpu_mem=64\r\n[pi4]\r\narm_64bit=1\r\n[all]\r\ndtoverlay=vc4-kms-v3d\r\n',
      );
      assert.equal(await read('extra_uEnv.txt'), 'extra_os_cmdline=quiet\n');
      assert.deepEqual(await readBootFile(configured, 'splash/balena-logo.png', `${output}.read`), makePng());
      await runChecked('cutting out', 'dd', [
        ...[`if=${output}`, `of=${output}.fat`, 'bs=512', 'status=none'],
        ...[`skip=${image.boot.start / 512}`, `count=${image.boot.size / 512}`],
      ]);
      await runChecked('checking', 'fsck.fat', ['-n', `${output}.fat`]);
    });
  }

  it('gives the same bytes each time, and finds nothing to change the second time', async (t) => {
    const { folder, image, profile } = await setUp(t);
    const [first, second] = [path.join(folder, '1.img'), path.join(folder, '2.img')];
    for (const output of [first, second]) {
      const words = ['os', 'configure', image.path, '-p', profile, '-o', output];
      assert.equal((await davit(words, { environment })).exitCode, 0);
    }
    assert.equal(await sha256(first), await sha256(second));
    const again = await davitJson(['os', 'configure', first, '-p', profile, '--in-place'], { environment });
    assert.ok(isRecord(again.document) && again.document.isWritten === false, JSON.stringify(again.document));
  });

  it('lets flags override the environment, the environment the profile, and the profile the image', async (t) => {
    const config = '{"hostname":"from-image","country":"US","ntpServers":"image.example","persistentLogging":true}';
    const { folder, image } = await setUp(t, { config });
    const profile = path.join(folder, 'p.yaml');
    await writeFile(
      profile,
      'hostname: from-profile\nmode: development\ncountry: FR\nntp: [profile.example]\nnetworks:\n  resin-wifi: { type: wifi, ssid: Profile, security: open }\n' +
        'config: { applicationId: 1, initialDeviceName: profile }\n',
    );
    const patch = path.join(folder, 'patch.json');
    await writeFile(patch, '{"applicationId": 2, "hostname": "from-file"}');
    const words = [
      'os',
      'configure',
      image.path,
      '--in-place',
      '--hostname',
      'from-flag',
      '--config',
      patch,
      '--no-dev',
    ];
    const { exitCode, stderr } = await davit([...words, '--wifi-ssid', 'Flag'], {
      environment: {
        ...{
          DAVIT_PROFILE: profile,
          DAVIT_HOSTNAME: 'from-environment',
          DAVIT_COUNTRY: 'DE',
          DAVIT_WIFI_KEY: secrets[0],
        },
      },
    });
    assert.equal(exitCode, 0, stderr);
    noSecretsIn(stderr);
    const read = async (name: string) => String(await readBootFile(image, name, `${image.path}.read`));
    assert.deepEqual(JSON.parse(await read('config.json')), {
      ...{ hostname: 'from-flag', country: 'DE', ntpServers: 'profile.example', persistentLogging: true },
      ...{ applicationId: 2, initialDeviceName: 'profile', developmentMode: false },
    });
    assert.match(await read('system-connections/resin-wifi'), /^ssid=Flag$/m);
  });

  const refused: readonly (readonly [string, string, number, string, RegExp])[] = [
    ['mistakes', 'mode: develop\n', 2, 'invalid-profile', /profile.yaml:1:1: \/mode must be development or production/],
    ['a hostname for units', 'hostname: "kiosk-{serial}"\n', 2, 'unit-needed', /its own serial/],
    [
      'a question and no terminal',
      'networks: { a: { type: wifi, ssid: x, key: { prompt: Key of x } } }\n',
      2,
      'answer-needed',
      /Key of x/,
    ],
    [
      'lockout by profile and image',
      'mode: development\n',
      2,
      'invalid-config',
      /\/os\/sshKeys must not be an empty list/,
    ],
    ['one connection twice', 'networks: { Lan.nmconnection: { type: ethernet } }\n', 2, 'invalid-profile', /as a name/],
  ];
  for (const [what, profileText, exitCode, code, message] of refused) {
    it(`refuses ${what}, and leaves the image as it is`, async (t) => {
      const { image, profile } = await setUp(t, { config: '{"os":{"sshKeys":[]}}' }, profileText);
      const before = await sha256(image.path);
      const result = await davitJson(['os', 'configure', image.path, '--profile', profile, '--in-place']);
      assert.ok(isRecord(result.document) && isRecord(result.document.error));
      assert.deepEqual([result.exitCode, result.document.error.code], [exitCode, code]);
      assert.match(String(result.document.error.message), message);
      assert.ok(String(result.document.error.hint).length > 10);
      assert.equal(await sha256(image.path), before);
    });
  }

  it('takes a name from --hostname where the profile has a pattern', async (t) => {
    const { image, profile } = await setUp(t, {}, 'hostname: "kiosk-{serial}"\nmode: development\n');
    const { exitCode } = await davit(['os', 'configure', image.path, '-p', profile, '--in-place', '--hostname', 'one']);
    assert.equal(exitCode, 0);
  });

  it('refuses lines for config.txt in an image that has none', async (t) => {
    const { image, profile } = await setUp(t, { bootFiles: { 'config.txt': null } }, 'configTxt: [gpu_mem=64]\n');
    const { exitCode, document } = await davitJson(['os', 'configure', image.path, '-p', profile, '--in-place']);
    assert.equal(exitCode, 4);
    assert.match(JSON.stringify(document), /no-config-txt/);
  });

  it('warns about what the OS is too old for', async (t) => {
    const { image, profile } = await setUp(
      t,
      { osVersion: '2.50.1+rev1' },
      'dispatcherScripts: [90-hook]\nnetworks: { a: { type: wifi, ssid: x, key: x, security: wpa3 } }\nconfig: { os: { fan: { profile: quiet } } }\nsplash: logo.png\n',
    );
    const { document } = await davitJson(['os', 'configure', image.path, '-p', profile, '--dry-run']);
    const shown = JSON.stringify(document);
    for (const expected of [
      /dispatcher\.d have no effect before balenaOS 3\.1\.3/,
      /WPA3, which balenaOS has since 6\.5\.50/,
      /\/os\/fan\/profile has no effect before balenaOS 6\.1\.24/,
    ]) {
      assert.match(shown, expected);
    }
  });
});

describe('flash --profile', { skip: loopDevicesMissing }, () => {
  it('writes the boot partition that os configure makes', async (t) => {
    const { folder, image, profile } = await setUp(t, { table: 'mbr' });
    const card = await attachUsedCard(t, path.join(folder, 'card'), image.size + 8 * 1024 * 1024);
    const packed = `${image.path}.gz`;
    await runChecked('packing', 'sh', ['-c', 'gzip -1 <"$0" >"$1"', image.path, packed]);
    const flashed = await davitJson(
      ['flash', packed, '--drive', card.path, '--yes', '--profile', profile, '--hostname', 'other'],
      { environment },
    );
    assert.equal(flashed.exitCode, 0, JSON.stringify(flashed.document));
    noSecretsIn(flashed.stderr + JSON.stringify(flashed.document));
    const onCard = { bootAddress: `${card.file}@@${image.boot.start}` };
    const config: unknown = JSON.parse(String(await readBootFile(onCard, 'config.json', `${card.file}.read`)));
    assert.ok(isRecord(config) && config.hostname === 'other' && config.country === 'FR');
    const office = await readBootFile(onCard, 'system-connections/office', `${card.file}.read`);
    assert.match(String(office), new RegExp(`^psk=${secrets[0]}$`, 'm'));
  });
});

describe('profile check', () => {
  it('approves of a good profile and says what is in it', async (t) => {
    const { profile } = await setUp(t);
    const { exitCode, document, stderr } = await davitJson(['profile', 'check', profile], { environment });
    assert.equal(exitCode, 0, JSON.stringify(document));
    assert.ok(isRecord(document));
    assert.deepEqual(document.networks, ['office', 'resin-wifi', 'wired']);
    assert.deepEqual([document.version, document.questions, document.unitFields, document.warnings], [1, [], [], []]);
    noSecretsIn(stderr + JSON.stringify(document));
    const { stdout } = await davit(['profile', 'check', profile], { environment });
    assert.match(stdout, /is good: mode, hostname/);
    noSecretsIn(stdout);
  });

  it('asks nothing, and says what will be asked and what a unit has to have', async (t) => {
    const { profile } = await setUp(
      t,
      {},
      'hostname: "a-{serial}"\nnetworks: { a: { type: wifi, ssid: x, key: { prompt: Key } } }\n',
    );
    const { exitCode, document } = await davitJson(['profile', 'check', profile]);
    assert.equal(exitCode, 0);
    assert.ok(isRecord(document));
    assert.deepEqual([document.questions, document.unitFields], [['/networks/a/key'], ['serial']]);
  });

  it('tells all mistakes with exit code 2, each on its line, without any secret', async (t) => {
    const { profile } = await setUp(
      t,
      {},
      `networks:\n  a: { type: wifi, ssid: x, key: "${secrets[0]}ü" }\nsplash: absent.png\nnoSuchKey: 1\n`,
    );
    const { exitCode, stdout, stderr } = await davit(['profile', 'check', profile]);
    assert.equal(exitCode, 2);
    assert.equal(stdout, '');
    for (const place of [':2:29: /networks/a/key', ':3:1: /splash', ':4:1: /noSuchKey'])
      assert.ok(stderr.includes(profile + place), stderr);
    noSecretsIn(stderr);

    const { document } = await davitJson(['profile', 'check', profile]);
    assert.ok(isRecord(document) && isRecord(document.error) && Array.isArray(document.error.problems));
    assert.deepEqual(document.error.problems[2], {
      ...{ file: profile, line: 4, column: 1, pointer: '/noSuchKey' },
      message: 'is not a known key',
    });
    noSecretsIn(JSON.stringify(document));
  });

  it('lets no name in a profile take over the terminal', async (t) => {
    const { profile } = await setUp(t, {}, '"x\\e[31m": 1\n');
    const { exitCode, stderr } = await davit(['profile', 'check', profile]);
    assert.equal(exitCode, 2);
    assert.ok(!stderr.includes('\u001B'));
  });
});
