import assert from 'node:assert/strict';
import { chmod, mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setConfigTxt } from '../../../src/lib/boot-config/config-txt.js';
import { pointerTo } from '../../../src/lib/boot-config/problem.js';
import { readProfile } from '../../../src/lib/boot-config/profile.js';
import { resolveReferences } from '../../../src/lib/boot-config/profile-references.js';
import { proxyFiles } from '../../../src/lib/boot-config/proxy.js';
import { requirePng, splashPath } from '../../../src/lib/boot-config/splash-logo.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { rounds } from '../../support/campaign.js';
import { makePng } from '../../support/png.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me';

/** A profile in a folder with what profiles refer to. */
async function profileWith(t: TestContext, text: string): Promise<string> {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, 'files'));
  const files: Readonly<Record<string, string | Buffer>> = {
    'files/logo.png': makePng(),
    'files/key': 's3cret from a file\r\n',
    'files/id.pub': `${sshKey}\n`,
    'files/my keys': `${sshKey}1\n${sshKey}2\n`,
    'files/private': '-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n-----END OPENSSH PRIVATE KEY-----\n',
    'files/script': '#!/bin/bash\nexit 0\n',
    'files/windows': '#!/bin/bash\r\nexit 0\r\n',
    'files/lan': '[connection]\nid=lan\ntype=ethernet\n',
    'files/x.ignore': '[connection]\nid=lan\ntype=ethernet\n',
    'profile.yaml': text,
  };
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  for (const secret of ['profile.yaml', 'files/key']) await chmod(path.join(folder, secret), 0o600);
  return path.join(folder, 'profile.yaml');
}

/** The lines of the failure that a profile is refused with, without the path in front. */
async function problemsOf(t: TestContext, text: string): Promise<string[]> {
  const file = await profileWith(t, text);
  try {
    await readProfile(file);
  } catch (error) {
    assert.ok(error instanceof Failure, String(error));
    assert.equal(error.code, 'invalid-profile');
    assert.equal(error.kind, 'usage');
    assert.doesNotMatch(error.message, /s3cret/);
    return error.message.split('\n').map((line) => {
      assert.ok(line.startsWith(`${file}:`), line);
      return line.slice(file.length + 1).replaceAll(path.dirname(file), '.');
    });
  }
  return [];
}

describe('a profile', () => {
  test('becomes a request', async (t) => {
    const file = await profileWith(
      t,
      `
mode: development
hostname: kiosk-7
sshKeys: [files/id.pub, "${sshKey}x"]
persistentLogging: true
dns: [1.1.1.1, 9.9.9.9]
ntp: [pool.ntp.org]
country: NO
networks:
  office: { type: wifi, ssid: Office, key: { file: files/key } }
  lan0: { type: bridge, interface: lan0, ports: [eth0] }
connectionFiles: [files/lan]
proxy: { type: socks5, host: 10.0.0.1, port: 1080 }
splash: files/logo.png
dispatcherScripts: [files/script]
udevRules:
  "64": KERNEL=="x"
  "65": { file: files/key }
configTxt: [gpu_mem=64]
bootFiles:
  extra/notes.txt: files/key
config:
  applicationId: 7
  apiKey: null
`,
    );
    const { request, networks, open, unitFields } = await readProfile(file);
    assert.deepEqual([networks, open, unitFields], [['office', 'lan0'], [], []]);
    assert.equal(request.warnings, undefined);
    assert.deepEqual(request.config, { applicationId: 7, apiKey: null });
    assert.deepEqual(request.udevRules, { '64': 'KERNEL=="x"', '65': 's3cret from a file' });
    const { developmentMode, hostname, persistentLogging, dnsServers, ntpServers, country, configTxt } = request;
    assert.deepEqual(
      [developmentMode, hostname, persistentLogging, dnsServers, ntpServers, country, configTxt],
      [true, 'kiosk-7', true, '1.1.1.1 9.9.9.9', 'pool.ntp.org', 'NO', ['gpu_mem=64']],
    );
    assert.deepEqual(request.sshKeys, [sshKey, `${sshKey}x`]);
    assert.deepEqual(
      request.connections?.map(({ name }) => name),
      ['office', 'lan0', 'lan0-port-eth0', 'lan'],
    );
    assert.match(String(request.connections[0]?.content), /^psk=s3cret from a file$/m);
    assert.deepEqual(
      request.files?.map(({ path: name }) => name),
      ['system-proxy/redsocks.conf', 'dispatcher.d/script', 'extra/notes.txt'],
    );
    assert.deepEqual(request.splash, makePng());
  });

  test('may say nothing', async (t) => {
    assert.deepEqual(await problemsOf(t, '# later\n'), []);
    assert.deepEqual((await readProfile(await profileWith(t, ''))).keys, []);
  });

  test('takes keys from files, by their names or as the text in them', async (t) => {
    const text = 'sshKeys: [files/my keys, { file: files/my keys }, { file: files/id.pub }]\n';
    const { request } = await readProfile(await profileWith(t, text));
    assert.deepEqual(request.sshKeys, [1, 2, 1, 2].map((n) => `${sshKey}${n}`).concat(sshKey));
  });

  test('takes "none" for no DNS server at all', async (t) => {
    const { request } = await readProfile(await profileWith(t, 'dns: none\n'));
    assert.equal(request.dnsServers, 'null');
  });

  test('can share parts by anchors and merge keys', async (t) => {
    const text = `networks:
  one: &wifi { type: wifi, ssid: One, key: { file: files/key }, hidden: true }
  two: { <<: *wifi, ssid: Two }
`;
    const { request } = await readProfile(await profileWith(t, text));
    assert.match(String(request.connections?.[1]?.content), /hidden=true[^]*ssid=Two/);
  });

  test('tells all mistakes at once, where they are, and quotes no value', async (t) => {
    const lines = await problemsOf(
      t,
      `mode: developmnt
hostnam: x
sshKeys:
  - files/absent.pub
  - ssh-ed25519 s3cret
networks:
  office: { type: wifi, ssid: Office, key: s3cret }
  home:
    type: wifi
    ssid: Home
    keys: s3cret123
splash: files/key
dispatcherScripts: [files/windows]
connectionFiles: [files/x.ignore]
configTxt: ["[all]"]
bootFiles: { config.json: files/key, ../x: files/key }
config: { listenPort: s3cret }
`,
    );
    assert.deepEqual(lines, [
      '1:1: /mode must be development or production: did you mean development?',
      '2:1: /hostnam is not a known key: did you mean hostname?',
      '4:5: /sshKeys/0 cannot be used: reading ./files/absent.pub: it does not exist (ENOENT)',
      '5:5: /sshKeys/1 cannot be used: the SSH key is cut off or not a public key',
      '7:39: /networks/office/key must have 8 to 63 printable ASCII characters or be 64 hexadecimal digits',
      '11:5: /networks/home/keys is not a known key: did you mean key?',
      '12:1: /splash cannot be used: files/key cannot be shown when a device starts: it is not a PNG image',
      '13:21: /dispatcherScripts/0 cannot be used: files/windows would not run: its lines end as on Windows',
      '14:19: /connectionFiles/0 cannot be used: NetworkManager silently ignores a file named x.ignore',
      '15:13: /configTxt/0 must be a line such as gpu_mem=64, without comment',
      '16:38: /bootFiles/..~1x as a name must be a path inside of the boot partition, of names that FAT can have, without ~1',
      '17:11: /config/listenPort must be a port number',
    ]);
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ['a tab as indentation', 'networks:\n\toffice: {}\n', /^2:1: a tab stands where spaces must$/],
    ['a key that comes twice', 'mode: production\nmode: development\n', /^2:1: a key comes twice$/],
    ['a quotation mark that is missing', 'hostname: "s3cret\n', /^2:1: /],
    ['two documents', 'mode: production\n---\nmode: development\n', /^2:1: a second document/],
    ['an alias that leads nowhere', 'networks: { a: *s3cret }\n', /alias/],
    [
      'aliases without bound',
      'x: &a [1,1,1,1,1,1,1,1,1,1]\ny: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nz: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nw: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\nv: [*d,*d,*d,*d]\n',
      /alias/,
    ],
    ['a private key', 'sshKeys: [{ file: files/private }]\n', /^1:11: .sshKeys.0 .*the SSH key is a private key/],
    [
      'what a file holds in place of its path',
      'bootFiles: { x: { file: files/key } }\n',
      /^1:14: .bootFiles.x .* path/,
    ],
    [
      'a private key in place of its path',
      'networks: { x: { type: ethernet, enterprise: { method: tls, identity: x, clientCertificateFile: x, privateKeyFile: { file: files/private } } } }\nsplash: { file: files/private }\n',
      /cannot be used/,
    ],
    ['an alias to what it stands in', 'config: &a { x: [*a] }\n', /^1:1: an alias/],
    ['a tag that nothing knows', 'hostname: !secret s3cret\n', /^1:11: a tag is not known$/],
    [
      'names that are one on the boot partition',
      'networks: { Lan: { type: ethernet }, lan: { type: ethernet } }\n',
      /lan$/,
    ],
    ['a list', '- mode\n', /^1:1: it must be an object/],
    ['text', 's3cret\n', /^1:1: it must be an object/],
    ['a number for text', 'hostname: 12\n', /^1:1: .hostname must be .* in quotes$/],
    [
      'a setting that is said twice',
      'mode: production\nconfig: { developmentMode: true }\n',
      /^2:11: .config.developmentMode is said twice/,
    ],
    ['a missing file', 'config: { apiKey: { file: absent } }\n', /^1:11: .config.apiKey cannot be read: .*ENOENT/],
    [
      'a missing variable',
      'hostname: x${DAVIT_TEST_ABSENT}\n',
      /^1:1: .hostname needs the environment variable DAVIT_TEST_ABSENT$/,
    ],
    ['a variable without a name', 'hostname: ${}\n', /^1:1: .hostname has \$\{ without a variable/],
    [
      'a bad network name',
      'networks: { a.config: { type: ethernet } }\n',
      /^1:13: .networks.a.config as a name must be/,
    ],
    ['a proxy without host', 'proxy: { type: socks5, port: 1 }\n', /^1:1: .proxy must have host$/],
    ['a proxy password alone', 'proxy: { type: socks5, host: x, port: 1, password: s3cret }\n', /must have login/],
    [
      'host names in noProxy',
      'proxy: { type: socks5, host: x, port: 1, noProxy: [example.com] }\n',
      /^1:52: .proxy.noProxy.0 must be an IPv4/,
    ],
    ['a network in bootFiles', 'bootFiles: { system-connections/x: files/lan }\n', /use networks or connectionFiles/],
    [
      'the short name of config.json in bootFiles',
      'bootFiles: { CONFIG~1.JSO: files/lan }\n',
      /as a name must be a path/,
    ],
    ['config.txt in bootFiles', 'bootFiles: { CONFIG.TXT: files/lan }\n', /use configTxt/],
    ['two files in one place', 'bootFiles: { a.txt: files/key, A.TXT: files/lan }\n', /it puts two files at A.TXT$/],
    ['an empty list of DNS servers', 'dns: []\n', /must be a list of addresses, or none/],
    [
      'development mode that locks out',
      'config: { developmentMode: true, os: { sshKeys: [] } }\n',
      /nobody can log in/,
    ],
  ];
  for (const [what, text, expected] of bad) {
    test(`is refused with ${what}`, async (t) => {
      const [line = '', ...more] = await problemsOf(t, text);
      assert.match(line, expected);
      assert.ok(more.length < 2, more.join('\n'));
    });
  }

  test('is refused when it is no text', async (t) => {
    const file = await profileWith(t, '');
    await writeFile(file, Buffer.from([0xff, 0xfe, 0]));
    await assert.rejects(readProfile(file), { code: 'invalid-profile' });
    await assert.rejects(readProfile(`${file}.absent`), { code: 'enoent', kind: 'not-found' });
  });

  test('asks its questions in their order, once all else is good', async (t) => {
    const text = `networks:
  one: { type: wifi, ssid: One, key: { prompt: Key of One } }
  two: { type: wifi, ssid: Two, key: { prompt: Key of Two } }
`;
    const asked: string[] = [];
    const prompt = (message: string) => {
      asked.push(message);
      return Promise.resolve(`answer to ${message}`);
    };
    const profile = await readProfile(await profileWith(t, text));
    assert.deepEqual(profile.questions, ['Key of One', 'Key of Two']);
    const request = await profile.ask?.(prompt);
    assert.deepEqual(asked, profile.questions);
    assert.match(String(request?.connections?.[1]?.content), /^psk=answer to Key of Two$/m);
    assert.equal((await readProfile(await profileWith(t, 'mode: production\n'))).ask, undefined);

    const unasked = await readProfile(await profileWith(t, `${text}mode: production\n`));
    assert.deepEqual(unasked.open.map(pointerTo), ['/networks/one/key', '/networks/two/key']);
    assert.deepEqual(unasked.networks, ['one', 'two']);
    assert.equal(unasked.request.connections, undefined);
  });

  test('reads a secret from a pipe, once, also when there are questions', async (t) => {
    const text = `networks:
  one: { type: wifi, ssid: One, key: { file: pipe } }
  two: { type: wifi, ssid: Two, key: { prompt: Key of Two } }
sshKeys: [keys]
`;
    const file = await profileWith(t, text);
    const [pipe, keys] = ['pipe', 'keys'].map((name) => path.join(path.dirname(file), name));
    await runChecked('making pipes', 'mkfifo', [pipe ?? '', keys ?? '']);
    const [{ request }] = await Promise.all([
      readProfile(file).then(async ({ ask }) => ({ request: await ask?.(() => Promise.resolve('an answer')) })),
      runChecked('writing', 'sh', [
        ...['-c', 'echo "from a pipe" >"$0"; echo "$2" >"$1"', pipe ?? '', keys ?? '', sshKey],
      ]),
    ]);
    assert.match(String(request?.connections?.[0]?.content), /^psk=from a pipe$/m);
    assert.deepEqual(request?.sshKeys, [sshKey]);
  });

  test('is warned about keys that nothing reads, and about secrets that others can read', async (t) => {
    const text = `networks:
  office: { type: wifi, ssid: Office, key: s3cret-key }
  other: { type: wifi, ssid: Office, key: "\${DAVIT_TEST_KEY:-12345678}" }
config: { applicationld: 7, apiKey: s3cret }
`;
    const file = await profileWith(t, text);
    const own = await readProfile(file);
    assert.deepEqual(own.request.warnings, [
      `${file}:4:11: /config/applicationld is not a known key: did you mean applicationId?`,
    ]);
    await chmod(file, 0o640);
    const { request } = await readProfile(file);
    assert.deepEqual(
      request.warnings?.map((line) => line.slice(file.length).split(' ').slice(0, 2).join(' ')),
      [':2:39: /networks/office/key', ':4:11: /config/applicationld', ':4:29: /config/apiKey'],
    );
    assert.doesNotMatch(JSON.stringify(request.warnings), /s3cret/);
  });

  test('is warned about secrets in files that others can read', async (t) => {
    const text = `networks:
  office: { type: wifi, ssid: "{x}", key: { file: files/key } }
splash: files/logo.png
udevRules: { "64": { file: files/lan } }
`;
    const file = await profileWith(t, text);
    assert.equal((await readProfile(file)).request.warnings, undefined);
    await chmod(path.join(path.dirname(file), 'files/key'), 0o644);
    assert.deepEqual((await readProfile(file)).request.warnings, [
      `${file}:2:38: /networks/office/key is a secret in a file that others may read: chmod 600 it`,
    ]);
  });

  const repeated = (count: number, text: (index: number) => string) => Array.from({ length: count }, (_, i) => text(i));
  const bombs: Readonly<Record<string, string>> = {
    'aliases that multiply': `a0: &a0 [x]\n${repeated(40, (i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`).join('\n')}\n`,
    'a long text many times': `a: &a ${'x'.repeat(100_000)}\nb: [${repeated(900, () => '*a').join()}]\n`,
    'merge keys that multiply': `a: &a { ${repeated(2000, (i) => `k${i}: 1`).join(', ')} }\n${repeated(200, (i) => `m${i}: { <<: *a }`).join('\n')}\n`,
    'very many aliases': `a: [&a x, ${repeated(60_000, () => '*a').join()}]\n`,
    'an alias of itself': 'config: &a\n  b: *a\n',
    'an alias of nothing': 'hostname: *a\n',
    'brackets without end': `config: ${'['.repeat(50_000)}\n`,
    'lists within lists': '- '.repeat(100_000),
  };
  for (const [what, text] of Object.entries(bombs)) {
    test(`is refused at once with ${what}`, { timeout: 20_000 }, async (t) => {
      const problems = await problemsOf(t, text).catch((error: unknown) => String(error).split('\n'));
      assert.ok(problems.length > 0 && problems.length < 60, problems[0]);
    });
  }

  test('tells the first of very many mistakes and doubts, and how many more there are', async (t) => {
    const unknown = (count: number) => repeated(count, (i) => `x${i}: 1`).join('\n');
    const file = await profileWith(t, unknown(60));
    await assert.rejects(readProfile(file), (error: Failure) => error.message.endsWith('\nand 10 more'));
    const { request } = await readProfile(await profileWith(t, `config:\n  ${unknown(60).replaceAll('\n', '\n  ')}\n`));
    assert.deepEqual([request.warnings?.length, request.warnings?.at(-1)], [51, 'and 10 more']);
  });

  test('is refused when it or what it refers to is no file of a sensible size', async (t) => {
    const file = await profileWith(t, 'networks: { a: { type: wifi, ssid: x, key: { file: /dev/zero } } }\n');
    await assert.rejects(readProfile(file), (error: Failure) => /more than \d+ bytes/.test(error.message));
    await assert.rejects(readProfile(path.dirname(file)), { code: 'eisdir', kind: 'usage' });
    await assert.rejects(readProfile('/dev/zero'), { code: 'file-too-large', kind: 'usage' });
    await truncate(file, 100 * 1024 * 1024);
    await assert.rejects(readProfile(file), { code: 'file-too-large', kind: 'usage' });
  });

  test('is read or refused, whatever is in it, and refused without showing a secret', async (t) => {
    const random = seededRandom(11);
    const whole = `mode: development
hostname: kiosk-7
sshKeys: [files/id.pub]
dns: [1.1.1.1]
networks:
  office: &a { type: wifi, ssid: Office, key: s3cret-key, ipv4: { addresses: [10.0.0.5/24], gateway: 10.0.0.1 } }
  home: { <<: *a, ssid: Home }
  wg: { type: wireguard, interface: wg0, privateKey: "s3cret", peers: [{ publicKey: x, allowedIps: [10.0.0.0/8] }] }
proxy: { type: socks5, host: 10.0.0.1, port: 1080, login: me, password: s3cret-too }
splash: files/logo.png
udevRules: { "64": 'KERNEL=="x"' }
configTxt: [gpu_mem=64]
bootFiles: { a.txt: files/key }
config: { apiKey: "\${DAVIT_TEST_ABSENT:-s3cret}", os: { network: { wifi: { randomMacAddressScan: true } } } }
`;
    const file = await profileWith(t, '');
    const pieces = [
      ...whole.split(/(?<=[\s,:{}[\]])/),
      ...Array.from('\t\n "\'{}[]:,&*!|>%@`#?-~$\0'),
      'null',
      '1e999',
      '0x10',
      '{}',
      '[]',
      '<<: ',
      '*a',
      '!!binary x',
      '__proto__: 1',
    ];
    for (let round = 0; round < rounds(200, 5000); round += 1) {
      let text = whole;
      for (let edits = 1 + random.below(4); edits > 0; edits -= 1) {
        const [at, length] = [random.below(text.length), random.pick([0, 0, 1, 5, 30])];
        text = text.slice(0, at) + random.pick(pieces) + text.slice(at + length);
      }
      await writeFile(file, text);
      try {
        await readProfile(file);
      } catch (error) {
        assert.ok(error instanceof Failure && error.hint !== undefined, `${String(error)}\n${text}`);
        // Names of keys and of files are shown, and an edit can make a secret one of them.
        const messages = error.problems.map(({ message }) => message).filter((one) => !one.startsWith('cannot be'));
        assert.ok(!messages.some((one) => one.includes('s3cret-')), `${error.message}\n${text}`);
      }
    }
  });

  test('says which fields of a unit it needs', async (t) => {
    assert.deepEqual(
      (await readProfile(await profileWith(t, 'hostname: "kiosk-{serial}-{index}-{serial}"\n'))).unitFields,
      ['serial', 'index'],
    );
    assert.equal((await problemsOf(t, 'hostname: "kiosk_{serial}"\n')).length, 1);
  });
});

describe('references', () => {
  const sources = {
    variable: (name: string) => ({ NAME: 'value', DOLLAR: '${NAME}' })[name],
    file: (name: string) => Promise.resolve(`content of ${name}\n`),
  };

  test('are resolved inside of text', async () => {
    const texts = [
      'a${NAME}b${NAME}',
      '${ABSENT:-default}',
      '${ABSENT:-}',
      '$${NAME}',
      '${DOLLAR}',
      '$NAME pa$$word $',
      '${NAME:?no}',
    ];
    const { value, problems } = await resolveReferences(texts, sources);
    assert.deepEqual(value, ['avaluebvalue', 'default', '', '${NAME}', '${NAME}', '$NAME pa$$word $', 'value']);
    assert.deepEqual(problems, []);
  });

  test('stand in place of text, and anything else stays', async () => {
    const root = { a: { env: 'NAME' }, b: { file: 'x' }, c: { file: 'x', more: 1 }, d: [{ env: 5 }], e: null, f: 1.5 };
    const { value } = await resolveReferences(root, sources);
    assert.deepEqual(value, { ...root, a: 'value', b: 'content of x' });
    const nested = [{ file: '${NAME}/x' }, { prompt: 'Key of ${NAME}' }, { file: '${ABSENT}/x' }];
    const answered = await resolveReferences(nested, { ...sources, prompt: (message) => Promise.resolve(message) });
    assert.deepEqual(answered.value, ['content of value/x', 'Key of value', '']);
    assert.deepEqual(answered.problems, [{ path: [2], message: 'needs the environment variable ABSENT' }]);
  });

  test('that lead nowhere are problems with the message of the profile', async () => {
    const { problems, open } = await resolveReferences(
      { a: '${X:?set it}', b: { env: 'Y' }, c: { prompt: 'who?' } },
      sources,
    );
    assert.deepEqual(
      problems.map(({ path: at, message }) => `${pointerTo(at)} ${message}`),
      ['/a needs the environment variable X: set it', '/b needs the environment variable Y'],
    );
    assert.deepEqual(open.map(pointerTo), ['/a', '/b', '/c']);
  });
});

describe("a Raspberry Pi's config.txt", () => {
  const cases: readonly (readonly [string, string, readonly string[], string])[] = [
    ['gets a setting that it has not', 'a=1\n', ['gpu_mem=64'], 'a=1\ngpu_mem=64\n'],
    ['has a setting replaced where it stands', 'gpu_mem=16\nb=2\n', ['gpu_mem=64'], 'gpu_mem=64\nb=2\n'],
    ['has the last of several settings replaced', 'a=1\na=2\n', ['a=1'], 'a=1\na=1\n'],
    ['has overlays added', 'dtoverlay=one\n', ['dtoverlay=two'], 'dtoverlay=one\ndtoverlay=two\n'],
    ['keeps the end of each line', 'a=1\r\nb=2\nc=3', ['b=4', 'd=5'], 'a=1\r\nb=4\nc=3\r\nd=5\r\n'],
    ['is the same where nothing is to be set', 'a=1\r\nb=2\n', ['b=2'], 'a=1\r\nb=2\n'],
    ['has no overlay twice for a space at its end', 'dtoverlay=one\n', ['dtoverlay=one '], 'dtoverlay=one\n'],
    ['has no overlay twice', 'dtoverlay=one\nx=1\n', ['dtoverlay=one'], 'dtoverlay=one\nx=1\n'],
    [
      'leaves sections of models alone',
      '[pi4]\ngpu_mem=16\n',
      ['gpu_mem=64'],
      '[pi4]\ngpu_mem=16\n[all]\ngpu_mem=64\n',
    ],
    [
      'sets behind the section for all',
      'a=1\n[pi4]\nb=1\n[all]\nc=1\n',
      ['a=2', 'd=1'],
      'a=2\n[pi4]\nb=1\n[all]\nc=1\nd=1\n',
    ],
    ['leaves comments alone', '#gpu_mem=16\n', ['gpu_mem=64'], '#gpu_mem=16\ngpu_mem=64\n'],
    ['keeps the line ends of Windows', 'a=1\r\n', ['b=2'], 'a=1\r\nb=2\r\n'],
    ['may have no end of the last line', 'a=1', ['b=2'], 'a=1\nb=2\n'],
    ['may be empty', '', ['b=2'], 'b=2\n'],
    ['stays when there is nothing to set', 'a=1', ['a=1'], 'a=1'],
  ];
  for (const [what, before, lines, after] of cases) {
    test(what, () => {
      assert.equal(setConfigTxt(before, lines), after);
      assert.equal(setConfigTxt(after, lines), after, 'and again');
    });
  }
});

describe('a splash logo', () => {
  test('is a whole PNG image of a size that can be shown', () => {
    const png = makePng();
    requirePng(png, 'logo.png');
    assert.throws(
      () => {
        requirePng(Buffer.concat([png.subarray(0, 8), Buffer.from('0000000049484452a8a1ae0a', 'hex')]), 'x');
      },
      { code: 'invalid-splash' },
    );
    const damaged = Buffer.from(png);
    damaged.writeUInt8(damaged.readUInt8(45) ^ 1, 45);
    const bad: readonly (readonly [Buffer, RegExp])[] = [
      [Buffer.from('GIF89a'), /not a PNG/],
      [Buffer.alloc(0), /not a PNG/],
      [png.subarray(0, png.length - 1), /cut off/],
      [png.subarray(0, 8), /cut off/],
      [damaged, /damaged/],
      [makePng(10_000, 1), /10000 x 1 pixels/],
    ];
    for (const [content, expected] of bad) {
      assert.throws(
        () => {
          requirePng(content, 'logo.png');
        },
        (error: unknown) => error instanceof Failure && expected.test(error.message),
      );
    }
  });

  test('gets the name that the OS looks for', () => {
    const os = (osVersion: string) => ({ kind: 'direct', osName: 'balenaOS', osVersion }) as const;
    assert.equal(splashPath(os('8.0.2'), []), 'splash/balena-logo.png');
    assert.equal(splashPath(os('2.50.1'), []), 'splash/resin-logo.png');
    assert.equal(splashPath(os('8.0.2'), ['resin-logo.png']), 'splash/resin-logo.png');
    assert.equal(splashPath(os('2.50.1'), ['balena-logo.png', 'resin-logo.png']), 'splash/balena-logo.png');
    assert.equal(splashPath({ kind: 'flasher' }, []), 'splash/balena-logo.png');
  });
});

describe('a proxy', () => {
  test('is written as redsocks reads it', () => {
    const [conf, noProxy] = proxyFiles({
      ...{ type: 'http-connect', host: 'proxy.example.com', port: 8080, login: 'me "x"', password: 'back\\slash;' },
      ...{ noProxy: ['10.0.0.0/8', '192.0.2.7'], dns: { host: '10.0.0.53' } },
    });
    assert.equal(conf?.path, 'system-proxy/redsocks.conf');
    assert.equal(
      String(conf.content),
      `base {
	log_debug = off;
	log_info = on;
	log = stderr;
	daemon = off;
	redirector = iptables;
}

redsocks {
	type = http-connect;
	ip = proxy.example.com;
	port = 8080;
	local_ip = 127.0.0.1;
	local_port = 12345;
	login = "me \\"x\\"";
	password = "back\\\\slash;";
}

dnsu2t {
	remote_ip = 10.0.0.53;
	remote_port = 53;
}
`,
    );
    assert.equal(String(noProxy?.content), '10.0.0.0/8\n192.0.2.7\n');
    assert.equal(proxyFiles({ type: 'socks4', host: '10.0.0.1', port: 1 }).length, 1);
  });
});
