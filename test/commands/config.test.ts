import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, copyFile, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { asNobody, davit, davitJson } from '../support/davit.js';
import { makeOsImage, type OsImage, type OsImageOptions, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me';
const otherKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S you';

/** A config.json with everything that a careless program would change. */
const handWritten = `{
\t"deviceType" : "raspberrypi4-64",
\t"id": 12345678901234567890, "half": 0.50, "escaped": "\\u00e4\\/",
\t"os": { "udevRules": { "64": "a", "7": "b" }, "sshKeys": [ "${sshKey}" ] },
\t"apiEndpoint": "https://api.example.com",
\t"apiKey": "s3cret-one",
\t"deviceApiKeys": { "api.example.com": "s3cret-two" }
}
`;

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<OsImage> {
  const folder = await temporaryFolder(t);
  await chmod(folder, 0o755);
  return makeOsImage(path.join(folder, 'device.img'), options);
}

async function fileWith(t: TestContext, text: string, name = 'config.json'): Promise<string> {
  const file = path.join(await temporaryFolder(t), name);
  await writeFile(file, text);
  return file;
}

async function configText(image: OsImage): Promise<string> {
  return String(await readBootFile(image, 'config.json', `${image.path}.read`));
}

/** Runs a command that has to succeed, and gives what it printed. */
async function done(...words: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await davit(words);
  assert.equal(exitCode, 0, stderr);
  return stdout;
}

/** Runs a command with `--json` and gives its result, or what it says of its failure. */
async function json(words: readonly string[], exitCode = 0): Promise<Record<string, unknown>> {
  const result = await davitJson(words);
  assert.equal(result.exitCode, exitCode, JSON.stringify(result.document) + result.stderr);
  assert.ok(isRecord(result.document));
  if (exitCode === 0) return result.document;
  assert.ok(isRecord(result.document.error));
  return result.document.error;
}

describe('config read', () => {
  it('reads images, packed images, plain files and standard input alike', async (t) => {
    const image = await makeImage(t, { config: handWritten });
    const expected = JSON.parse(handWritten) as Record<string, unknown>;
    const hidden = { ...expected, apiKey: '(hidden)', deviceApiKeys: { 'api.example.com': '(hidden)' } };
    assert.deepEqual((await json(['config', 'read', image.path])).config, hidden);
    const file = await fileWith(t, handWritten);
    assert.deepEqual((await json(['config', 'read', file])).config, hidden);
    const { stdout, exitCode } = await davit(['config', 'read', '-'], { input: handWritten });
    assert.equal(exitCode, 0);
    assert.deepEqual(JSON.parse(stdout), hidden);
    for (const [program, ending] of [
      ['gzip', 'gz'],
      ['xz', 'xz'],
    ] as const) {
      spawnSync(program, ['--keep', '-1', image.path]);
      assert.deepEqual((await json(['config', 'read', `${image.path}.${ending}`])).config, hidden, ending);
    }
  });

  it('needs neither root nor a file that can be written', async (t) => {
    const image = await makeImage(t);
    await chmod(image.path, 0o444);
    const { exitCode, stderr } = await davit(['config', 'read', image.path], { wrapper: asNobody });
    assert.equal(exitCode, 0, stderr);
  });

  it('shows numbers, layout and escapes as they are written', async (t) => {
    const file = await fileWith(t, handWritten);
    const shown = await done('config', 'read', file, '--show-secrets');
    assert.equal(shown, handWritten);
    const masked = handWritten.replace('s3cret-one', '(hidden)').replace('s3cret-two', '(hidden)');
    assert.equal(await done('config', 'read', file), masked);
    const line = await fileWith(t, '{"a":12345678901234567890,"b":[1.0]}');
    assert.equal(await done('config', 'read', line), '{\n  "a": 12345678901234567890,\n  "b": [\n    1.0\n  ]\n}\n');
  });

  it('prints one value so that a script can use it', async (t) => {
    const image = await makeImage(t, { config: handWritten });
    assert.equal(await done('config', 'read', image.path, 'deviceType'), 'raspberrypi4-64\n');
    assert.equal(await done('config', 'read', image.path, 'os.sshKeys.0'), `${sshKey}\n`);
    assert.equal(await done('config', 'read', image.path, 'id'), '12345678901234567890\n');
    assert.equal(await done('config', 'read', image.path, 'half'), '0.50\n');
    assert.equal(await done('config', 'read', image.path, 'apiKey'), '(hidden)\n');
    assert.equal(await done('config', 'read', image.path, 'apiKey', '--show-secrets'), 's3cret-one\n');
    assert.equal(await done('config', 'read', image.path, 'deviceApiKeys.api.example.com'), '(hidden)\n');
    assert.deepEqual((await json(['config', 'read', image.path, '/os/udevRules/64'])).value, 'a');
  });

  it('says of a key that is not set what the OS takes instead', async (t) => {
    const image = await makeImage(t);
    const { code, hint } = await json(['config', 'read', image.path, 'listenPort'], 3);
    assert.equal(code, 'config-key-not-set');
    assert.match(String(hint), /48484/);
  });

  it('tells where each value comes from: flag, environment, profile, image or the OS', async (t) => {
    const image = await makeImage(t, { config: handWritten });
    const profile = await fileWith(
      t,
      `hostname: of-profile\ncountry: FR\npersistentLogging: true\nsshKeys: ['${otherKey}']\n`,
      'kiosk.yaml',
    );
    const words = ['config', 'read', image.path, '--origin', '--profile', profile, '--hostname', 'of-flag'];
    const { document } = await davitJson(words, { environment: { DAVIT_COUNTRY: 'DE', DAVIT_HOSTNAME: 'of-env' } });
    assert.ok(isRecord(document) && Array.isArray(document.origins), JSON.stringify(document));
    const origins: readonly unknown[] = document.origins;
    const found = new Map(
      origins.map((one) => {
        assert.ok(isRecord(one) && Array.isArray(one.path));
        return [one.path.join('.'), [one.origin, one.value]] as const;
      }),
    );
    assert.deepEqual(found.get('hostname'), ['flag', 'of-flag']);
    assert.deepEqual(found.get('country'), ['environment', 'DE']);
    assert.deepEqual(found.get('persistentLogging'), ['profile', true]);
    assert.deepEqual(found.get('os.sshKeys.0'), ['image', sshKey]);
    assert.deepEqual(found.get('os.sshKeys.1'), ['profile', otherKey]);
    assert.deepEqual(found.get('apiKey'), ['image', '(hidden)']);
    assert.deepEqual(found.get('listenPort'), ['default', 48_484]);
    const table = await done('config', 'read', image.path, 'os', '--origin');
    assert.match(table, /^os\.sshKeys\.0 +image +/m);
    assert.doesNotMatch(table, /hostname/);
  });

  it('asks nobody where values come from, and says that answers are not among them', async (t) => {
    const image = await makeImage(t);
    const profile = await fileWith(
      t,
      'hostname: kiosk\nconfig:\n  apiKey: { prompt: Provisioning key }\n',
      'kiosk.yaml',
    );
    const words = ['config', 'read', image.path, '--origin', '--profile', profile];
    const { exitCode, stdout, stderr } = await davit(words);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^hostname +profile +kiosk$/m);
    assert.doesNotMatch(stdout, /^apiKey /m);
    assert.match(stderr, /^warning: what the profile asks for is not shown$/m);
  });

  it('looks at the environment only for where values come from', async (t) => {
    const image = await makeImage(t);
    const { document } = await davitJson(['config', 'read', image.path], { environment: { DAVIT_HOSTNAME: 'of-env' } });
    assert.ok(isRecord(document) && isRecord(document.config) && !('hostname' in document.config));
    assert.equal((await json(['config', 'read', image.path, '--hostname', 'x'], 2)).code, 'usage');
  });
});

describe('config write', () => {
  it('changes what it is told to and nothing else, to the letter', async (t) => {
    const image = await makeImage(t, { config: handWritten });
    await done('config', 'write', image.path, 'hostname', 'kiosk', 'developmentMode', 'true', 'os.sshKeys.+', otherKey);
    const expected = handWritten
      .replace(`[ "${sshKey}" ]`, `[ "${sshKey}", "${otherKey}" ]`)
      .replace('"s3cret-two" }\n', '"s3cret-two" },\n\t"hostname" : "kiosk",\n\t"developmentMode" : true\n');
    assert.equal(await configText(image), expected);
    await done(
      'config',
      'write',
      image.path,
      '--delete',
      'os.sshKeys.1',
      '--delete',
      'hostname',
      '--delete',
      'developmentMode',
    );
    assert.equal(await configText(image), handWritten);
  });

  it('gives values the types that the keys have', async (t) => {
    const image = await makeImage(t);
    const pairs = [
      ['developmentMode', 'true', true],
      ['persistentLogging', 'false', false],
      ['hostname', 'true', 'true'],
      ['listenPort', '5000', 5000],
      ['os.network.connectivity.interval', '600', '600'],
      ['dnsServers', 'null', 'null'],
      ['initialDeviceName', '7', '7'],
      ['os.udevRules', '{"a":"b"}', { a: 'b' }],
      ['os.udevRules.10.local', '5', '5'],
      ['os.sshKeys', JSON.stringify([sshKey]), [sshKey]],
      ['os.sshKeys.1', otherKey, otherKey],
    ] as const;
    await done('config', 'write', image.path, ...pairs.flatMap(([key, word]) => [key, word]));
    for (const [key, , value] of pairs) {
      const expected =
        key === 'os.udevRules' ? { a: 'b', '10.local': '5' } : key === 'os.sshKeys' ? [sshKey, otherKey] : value;
      assert.deepEqual((await json(['config', 'read', image.path, key])).value, expected, key);
    }
  });

  it('takes secrets from a file and from standard input, and never shows them', async (t) => {
    const image = await makeImage(t);
    const key = await fileWith(t, 's3cret-file\n', 'key');
    const result = await json([
      'config',
      'write',
      image.path,
      'apiEndpoint',
      'https://api.example.com',
      'apiKey',
      '--value-file',
      key,
    ]);
    assert.doesNotMatch(JSON.stringify(result), /s3cret/);
    const words = ['config', 'write', image.path, 'deviceApiKeys.api.example.com', '-'];
    const { exitCode, stdout, stderr } = await davit(words, { input: 's3cret-input\n' });
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /s3cret/);
    const config = JSON.parse(await configText(image)) as Record<string, unknown>;
    assert.equal(config.apiKey, 's3cret-file');
    assert.deepEqual(config.deviceApiKeys, { 'api.example.com': 's3cret-input' });
  });

  it('takes from the command line what only looks like a secret', async (t) => {
    const image = await makeImage(t);
    const rule = 'SUBSYSTEM=="input", ENV{ID_INPUT_KEY}=="1", KEY=="a"';
    await done('config', 'write', image.path, 'os.udevRules.64', rule);
    assert.equal(await done('config', 'read', image.path, 'os.udevRules.64', '--show-secrets'), `${rule}\n`);
  });

  it('takes texts of several lines as they are', async (t) => {
    const image = await makeImage(t);
    const rules = 'ACTION=="add"\nACTION=="remove"\n';
    await done('config', 'write', image.path, 'os.udevRules.64', '--value-file', await fileWith(t, rules, 'rules'));
    assert.equal(await done('config', 'read', image.path, 'os.udevRules.64'), `${rules}\n`);
  });

  it('merges a file of a dashboard in, and keeps what makes the device itself', async (t) => {
    const uuid = 'a'.repeat(32);
    const image = await makeImage(t, {
      config: JSON.stringify({ deviceType: 'raspberrypi4-64', uuid, hostname: 'kiosk', os: { sshKeys: [sshKey] } }),
    });
    const fleet = await fileWith(
      t,
      JSON.stringify({
        deviceType: 'raspberrypi4-64',
        apiEndpoint: 'https://api.example.com',
        apiKey: 'k',
        hostname: null,
      }),
    );
    await done('config', 'write', image.path, '--from', fleet, 'country', 'DE');
    assert.deepEqual(JSON.parse(await configText(image)), {
      ...{ deviceType: 'raspberrypi4-64', uuid, os: { sshKeys: [sshKey] } },
      ...{ apiEndpoint: 'https://api.example.com', apiKey: 'k', country: 'DE' },
    });
  });

  it('leaves a config.json alone that is not JSON, unless a good one takes its place', async (t) => {
    const image = await makeImage(t, { config: '{"hostname": "x",}' });
    const before = await readFile(image.path);
    const failed = await json(['config', 'write', image.path, 'hostname', 'y'], 5);
    assert.equal(failed.code, 'invalid-json');
    assert.match(String(failed.hint), /--from/);
    assert.ok(before.equals(await readFile(image.path)));
    const good = await fileWith(t, '{"hostname": "y"}');
    const { warnings } = await json(['config', 'write', image.path, '--from', good]);
    assert.match(JSON.stringify(warnings), /replaced as a whole/);
    assert.deepEqual(JSON.parse(await configText(image)), { deviceType: 'raspberrypi4-64', hostname: 'y' });
  });

  it('takes a byte-order mark away, says so, and keeps the rest', async (t) => {
    const image = await makeImage(t, { config: `\uFEFF${handWritten}` });
    const { warnings } = await json(['config', 'write', image.path, 'country', 'DE']);
    assert.match(JSON.stringify(warnings), /byte-order mark/);
    const text = await configText(image);
    assert.equal(text, handWritten.replace('"s3cret-two" }\n', '"s3cret-two" },\n\t"country" : "DE"\n'));
  });

  it('writes into a new file when it is told to, and nothing for a dry run or a look', async (t) => {
    const image = await makeImage(t);
    const before = await readFile(image.path);
    const output = `${image.path}.new`;
    await done('config', 'write', image.path, 'hostname', 'kiosk', '--output', output);
    assert.equal(await done('config', 'read', output, 'hostname'), 'kiosk\n');
    await done('config', 'write', image.path, 'hostname', 'kiosk', '--dry-run');
    assert.match(await done('config', 'write', image.path, 'hostname', 'kiosk', '--diff'), /\+hostname: "kiosk"/);
    assert.equal((await json(['config', 'write', image.path, 'hostname', 'kiosk', '--check'], 4)).code, 'would-change');
    await done('config', 'write', output, 'hostname', 'kiosk', '--check');
    assert.ok(before.equals(await readFile(image.path)));
  });

  it('warns about keys that nothing reads, and about removals of what is not there', async (t) => {
    const image = await makeImage(t);
    const { warnings } = await json(['config', 'write', image.path, 'hostnam', 'x', '--delete', 'persistentLoging']);
    assert.match(JSON.stringify(warnings), /hostnam is not a known key: did you mean hostname\?/);
    assert.match(JSON.stringify(warnings), /persistentLoging is not there.*did you mean persistentLogging\?/);
  });

  it('removes items by the numbers that they have now', async (t) => {
    const image = await makeImage(t, { config: '{"l":["a","b","c","d"]}' });
    await done('config', 'write', image.path, '--delete', 'l.0', '--delete', 'l.2', '--delete', 'l.1');
    assert.equal(await configText(image), '{"l":["d"]}');
  });

  it('changes a plain file whole, with its mode, and through a link', async (t) => {
    const file = await fileWith(t, handWritten);
    await chmod(file, 0o640);
    const link = `${file}.link`;
    await symlink(file, link);
    const { ino } = await stat(file);
    const result = await json(['config', 'write', link, 'hostname', 'kiosk']);
    assert.equal(result.output, file);
    assert.equal(result.isWritten, true);
    const after = await stat(file);
    assert.notEqual(after.ino, ino, 'it was replaced, not written over');
    assert.equal(after.mode & 0o777, 0o640);
    assert.equal(
      await readFile(file, 'utf8'),
      handWritten.replace('"s3cret-two" }\n', '"s3cret-two" },\n\t"hostname" : "kiosk"\n'),
    );
    assert.equal((await json(['config', 'write', link, 'hostname', 'kiosk'])).isWritten, false);
    const output = `${file}.new`;
    await done('config', 'write', file, '--delete', 'hostname', '--output', output);
    assert.equal(await readFile(output, 'utf8'), handWritten);
    assert.equal((await json(['config', 'write', file, 'country', 'DE', '--output', output], 4)).code, 'output-exists');
  });
});

describe('config validate', () => {
  it('tells all that is wrong at once, with places, as data', async (t) => {
    const bad =
      '{\n  "hostname": "a b",\n  "hostname": "two.labels",\n  "os": {\n    "sshKeys": ["x"]\n  },\n  "deviceTyp": 1\n}\n';
    const file = await fileWith(t, bad, 'fleet.json');
    const { code, problems, report } = await json(['config', 'validate', file], 2);
    assert.equal(code, 'invalid-config');
    assert.deepEqual(
      (problems as Record<string, unknown>[]).map(({ line, column, pointer }) => [line, column, pointer]),
      [
        [3, 3, '/hostname'],
        [3, 3, '/hostname'],
        [5, 17, '/os/sshKeys/0'],
      ],
    );
    assert.match(JSON.stringify(report), /deviceTyp is not a known key: did you mean deviceType/);
    const image = await makeImage(t, { config: bad });
    const ofImage = await json(['config', 'validate', image.path], 2);
    assert.equal((ofImage.problems as unknown[]).length, 3);
  });

  it('finds combinations that lock everybody out, and what does not fit an OS or a board', async (t) => {
    const file = await fileWith(
      t,
      '{"deviceType":"jetson-agx-orin-devkit","developmentMode":true,"os":{"sshKeys":[],"power":{"mode":"low"}}}',
    );
    assert.match(String((await json(['config', 'validate', file], 2)).message), /sshKeys must not be an empty list/);
    const good = await fileWith(
      t,
      '{"deviceType":"jetson-agx-orin-devkit","developmentMode":true,"os":{"power":{"mode":"low"}}}',
    );
    assert.deepEqual((await json(['config', 'validate', good])).warnings, []);
    const { warnings } = await json(['config', 'validate', good, '--os-version', '6.0.0']);
    assert.match(JSON.stringify(warnings), /power\/mode has no effect before balenaOS 6.1.24/);
    const { warnings: elsewhere } = await json([
      'config',
      'validate',
      await fileWith(t, '{"deviceType":"raspberrypi4-64","developmentMode":true,"os":{"power":{"mode":"low"}}}'),
    ]);
    assert.match(JSON.stringify(elsewhere), /only boards with a Jetson Orin read it/);
    const other = await json(['config', 'validate', good, '--device-type', 'generic-amd64'], 2);
    assert.match(String(other.message), /must be for the device type generic-amd64/);
  });

  for (const [what, text, place] of [
    ['a comma too many', '{"a": 1,\n}', ':2:1:'],
    ['a text that ends too early', '{"a": "x', ':1:9:'],
    ['a list', '[1]', ''],
    ['something else', 'hostname: kiosk\n', ':1:1:'],
    ['a byte-order mark', '\uFEFF{"a": 1}', ''],
    ['a number that loses digits', '{"a": 12345678901234567890}', ':1:2:'],
  ] as const) {
    it(`finds ${what}`, async (t) => {
      const file = await fileWith(t, text);
      const { message } = await json(['config', 'validate', file], 2);
      assert.ok(String(message).startsWith(`${file}${place}`), String(message));
    });
  }

  it('finds nothing wrong with a fresh image', async (t) => {
    const image = await makeImage(t);
    assert.equal((await json(['config', 'validate', image.path])).source, image.path);
  });
});

describe('config diff', () => {
  it('compares an image with a file, and hides secrets, but says that they differ', async (t) => {
    const image = await makeImage(t, { config: handWritten });
    const file = await fileWith(
      t,
      handWritten.replace('s3cret-one', 's3cret-new').replace('api.example.com",', 'api.other.com",'),
    );
    const { differences } = await json(['config', 'diff', image.path, file]);
    assert.deepEqual(differences, [
      { key: 'apiEndpoint', before: 'https://api.example.com', after: 'https://api.other.com', isHidden: false },
      { key: 'apiKey', before: '(hidden)', after: '(hidden)', isHidden: true },
    ]);
    const text = await done('config', 'diff', image.path, file);
    assert.match(text, /^~ apiKey: differs, but is not shown$/m);
    assert.doesNotMatch(text, /s3cret/);
  });

  it('ends with exit code 4 for a difference only when asked to', async (t) => {
    const [one, same, other] = [
      await fileWith(t, '{"a":1,"b":2}'),
      await fileWith(t, '{ "b": 2, "a": 1.0 }'),
      await fileWith(t, '{}'),
    ];
    assert.equal(await done('config', 'diff', one, same, '--check'), 'They say the same.\n');
    await done('config', 'diff', one, other);
    const { code, report } = await json(['config', 'diff', one, other, '--check'], 4);
    assert.equal(code, 'configs-differ');
    assert.ok(isRecord(report) && Array.isArray(report.differences) && report.differences.length === 2);
  });
});

describe('config schema', () => {
  it('prints the JSON Schema that the documents have', async () => {
    const printed = JSON.parse(await done('config', 'schema')) as unknown;
    assert.deepEqual(
      printed,
      JSON.parse(await readFile(new URL('../../docs/config.schema.json', import.meta.url), 'utf8')),
    );
  });

  it('explains a key, an item and a group', async () => {
    const text = await done('config', 'schema', 'hostname');
    for (const expected of [
      /2\.0\.0/,
      /63 at most/,
      /restarts balena, balena-hostname, dnsmasq/,
      /first seven digits/,
    ]) {
      assert.match(text, expected);
    }
    assert.match(await done('config', 'schema', 'os.sshKeys.0'), /an SSH public key/);
    assert.match(await done('config', 'schema', 'apiKey'), /secret: +yes/);
    const { keys } = await json(['config', 'schema', 'os.network']);
    assert.equal((keys as unknown[]).length, 4);
    const { code, hint } = await json(['config', 'schema', 'hostnam'], 3);
    assert.equal(code, 'config-key-not-found');
    assert.match(String(hint), /hostname/);
  });
});

describe('config generate', () => {
  it('makes an unmanaged configuration from flags alone', async () => {
    const words = ['--device-type', 'raspberrypi4-64', '--dev', '--hostname', 'kiosk', '--ssh-key', sshKey];
    const text = await done('config', 'generate', ...words, 'os.power.mode', 'low');
    assert.deepEqual(JSON.parse(text), {
      ...{ deviceType: 'raspberrypi4-64', developmentMode: true, hostname: 'kiosk' },
      os: { sshKeys: [sshKey], power: { mode: 'low' } },
    });
  });

  it('merges a file of a dashboard, a profile and flags, and writes what only its owner can read', async (t) => {
    const fleet = await fileWith(
      t,
      JSON.stringify({ deviceType: 'raspberrypi4-64', apiEndpoint: 'https://api.example.com', apiKey: 's3cret' }),
    );
    const profile = await fileWith(
      t,
      'hostname: of-profile\ncountry: DE\nnetworks: {lan: {type: ethernet}}\n',
      'p.yaml',
    );
    const output = `${fleet}.out`;
    const result = await json([
      'config',
      'generate',
      '--from',
      fleet,
      '--profile',
      profile,
      '--hostname',
      'of-flag',
      '--output',
      output,
    ]);
    assert.doesNotMatch(JSON.stringify(result), /s3cret/);
    assert.match(JSON.stringify(result.warnings), /networks of the profile are not in it/);
    assert.equal((await stat(output)).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(await readFile(output, 'utf8')), {
      ...{ deviceType: 'raspberrypi4-64', country: 'DE', apiEndpoint: 'https://api.example.com' },
      ...{ apiKey: 's3cret', hostname: 'of-flag' },
    });
    await done('config', 'validate', output);
    assert.equal((await json(['config', 'generate', '--from', fleet, '--output', output], 4)).code, 'output-exists');
    const image = await makeImage(t);
    await copyFile(image.path, `${image.path}.2`);
    await done('config', 'write', image.path, '--from', output);
    await done('config', 'diff', image.path, output);
  });

  it('needs a device type, and checks everything', async () => {
    assert.equal((await json(['config', 'generate', '--dev'], 2)).code, 'device-type-needed');
    const { code, problems } = await json(
      ['config', 'generate', '--device-type', 'x', 'listenPort', '0', 'country', 'de'],
      2,
    );
    assert.equal(code, 'invalid-config');
    assert.equal((problems as unknown[]).length, 2);
    const { warnings } = await json(['config', 'generate', '--device-type', 'x', '--dev', '--os-version', '2.50.0']);
    assert.match(JSON.stringify(warnings), /developmentMode has no effect before balenaOS 2.85.0/);
  });
});
