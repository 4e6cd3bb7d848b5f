import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ConfigEdit, valueFromText, withEdits } from '../../../src/lib/boot-config/config-edit.js';
import { parseConfigPath, pathText, valueAt } from '../../../src/lib/boot-config/config-path.js';
import { editWarnings, moveWarnings } from '../../../src/lib/boot-config/config-warnings.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import type { Json, JsonObject } from '../../../src/lib/platform/json.js';

const set = (word: string, value: Json): ConfigEdit => ({ path: parseConfigPath(word), value });
const remove = (word: string): ConfigEdit => ({ path: parseConfigPath(word), isRemoved: true });

describe('the path of a key', () => {
  const paths: readonly (readonly [string, readonly string[], string])[] = [
    ['hostname', ['hostname'], 'hostname'],
    ['os.sshKeys.0', ['os', 'sshKeys', '0'], 'os.sshKeys.0'],
    ['/os/sshKeys/0', ['os', 'sshKeys', '0'], 'os.sshKeys.0'],
    ['/os/sshKeys/-', ['os', 'sshKeys', '+'], 'os.sshKeys.+'],
    ['deviceApiKeys.api.example.com', ['deviceApiKeys', 'api.example.com'], 'deviceApiKeys.api.example.com'],
    ['os.udevRules.10.local', ['os', 'udevRules', '10.local'], 'os.udevRules.10.local'],
    ['/my.key/a~1b/~0', ['my.key', 'a/b', '~'], '/my.key/a~1b/~0'],
  ];
  for (const [word, path, text] of paths) {
    test(`is read from ${word}`, () => {
      assert.deepEqual(parseConfigPath(word), path);
      assert.equal(pathText(path), text);
      assert.deepEqual(parseConfigPath(text), path);
    });
  }

  for (const word of ['', '.', 'a..b', 'a.', '.a', '/', '/a//b', 'os.udevRules.']) {
    test(`is not ${JSON.stringify(word)}`, () => {
      assert.throws(() => parseConfigPath(word), { kind: 'usage', code: 'invalid-path' });
    });
  }
});

describe('the value that a word stands for', () => {
  const values: readonly (readonly [string, string, Json])[] = [
    ['developmentMode', 'true', true],
    ['developmentMode', '"true"', 'true'],
    ['developmentMode', 'yes', 'yes'],
    ['initialDeviceName', 'true', 'true'],
    ['initialDeviceName', '5', '5'],
    ['initialDeviceName', '"x"', '"x"'],
    ['hostname', 'null', 'null'],
    ['dnsServers', 'null', 'null'],
    ['listenPort', '48484', 48_484],
    ['listenPort', '0x10', '0x10'],
    ['os.power.mode', 'low', 'low'],
    ['os.network.connectivity.interval', '0', '0'],
    ['os.sshKeys', '["a", "b"]', ['a', 'b']],
    ['os.sshKeys', 'ssh-ed25519 AAAA', 'ssh-ed25519 AAAA'],
    ['os.sshKeys.0', 'true', 'true'],
    ['os.udevRules', '{"64": "x"}', { '64': 'x' }],
    ['os.udevRules.64', '{"64": "x"}', '{"64": "x"}'],
    ['os.network', '{"wifi": {"randomMacAddressScan": false}}', { wifi: { randomMacAddressScan: false } }],
    ['mine', 'true', true],
    ['mine', '-1.5', -1.5],
    ['mine', '007', '007'],
    ['mine', 'two words', 'two words'],
    ['mine', '"5"', '5'],
    ['mine', '{"a": [1]}', { a: [1] }],
  ];
  for (const [word, text, value] of values) {
    test(`is ${JSON.stringify(value)} for ${word} ${text}`, () => {
      assert.deepEqual(valueFromText(parseConfigPath(word), text), value);
    });
  }

  for (const [word, text] of [
    ['mine', 'null'],
    ['developmentMode', 'null'],
    ['mine', '9007199254740993'],
    ['applicationId', '12345678901234567890'],
    ['mine', '1e400'],
  ] as const) {
    test(`is refused for ${word} ${text}`, () => {
      assert.throws(() => valueFromText(parseConfigPath(word), text), { kind: 'usage', code: 'invalid-config' });
    });
  }
});

describe('edits of a configuration', () => {
  const before: JsonObject = { z: 1, os: { sshKeys: ['a', 'b'], network: null }, hostname: 'x', list: [[1], { k: 2 }] };
  const cases: readonly (readonly [string, readonly ConfigEdit[], JsonObject])[] = [
    ['change a value where it stands', [set('z', 2)], { ...before, z: 2 }],
    ['add a key at the end', [set('developmentMode', true)], { ...before, developmentMode: true }],
    ['replace an item', [set('os.sshKeys.1', 'c')], { ...before, os: { sshKeys: ['a', 'c'], network: null } }],
    ['add an item', [set('os.sshKeys.+', 'c')], { ...before, os: { sshKeys: ['a', 'b', 'c'], network: null } }],
    [
      'add an item by its index',
      [set('os.sshKeys.2', 'c')],
      { ...before, os: { sshKeys: ['a', 'b', 'c'], network: null } },
    ],
    [
      'make objects on the way, also in place of null',
      [set('os.network.wifi.randomMacAddressScan', true)],
      { ...before, os: { sshKeys: ['a', 'b'], network: { wifi: { randomMacAddressScan: true } } } },
    ],
    ['reach into lists', [set('list.1.k', 3), set('list.0.+', 2)], { ...before, list: [[1, 2], { k: 3 }] }],
    ['remove a key', [remove('hostname')], { z: 1, os: before.os ?? null, list: before.list ?? null }],
    ['remove an item', [remove('os.sshKeys.0')], { ...before, os: { sshKeys: ['b'], network: null } }],
    ['remove within items', [remove('list.1.k')], { ...before, list: [[1], {}] }],
    [
      'remove nothing where nothing is',
      [remove('os.fan.profile'), remove('z.y'), remove('list.7'), remove('list.x')],
      before,
    ],
    [
      'come one after the other',
      [remove('os'), set('os.sshKeys.0', 'n')],
      { z: 1, hostname: 'x', list: before.list ?? null, os: { sshKeys: ['n'] } },
    ],
  ];
  for (const [obligation, edits, after] of cases) {
    test(obligation, () => {
      assert.equal(JSON.stringify(withEdits(before, edits)), JSON.stringify(after));
    });
  }

  test('make lists where a list belongs, and objects where names do', () => {
    const edits = [
      set('os.sshKeys.0', 'a'),
      set('os.udevRules.0', 'r'),
      set('mine.0', 1),
      set('yours.a', 1),
      set('/more/+', 2),
    ];
    assert.deepEqual(withEdits({}, edits), {
      os: { sshKeys: ['a'], udevRules: { '0': 'r' } },
      ...{ mine: [1], yours: { a: 1 }, more: [2] },
    });
  });

  test('treat __proto__ as any other key', () => {
    const after = withEdits({}, [set('/__proto__/polluted', true)]);
    assert.ok(Object.hasOwn(after, '__proto__'));
    assert.equal(Reflect.get({}, 'polluted'), undefined);
    assert.equal(valueAt(after, ['__proto__', 'polluted']), true);
    assert.equal(valueAt({}, ['constructor', 'name']), undefined);
  });

  for (const word of [
    'os.sshKeys.3',
    'os.sshKeys.x',
    'os.sshKeys.-1',
    'os.sshKeys.01',
    'z.y',
    'os.sshKeys.0.x',
    '/os/+',
  ]) {
    test(`are refused where there is no place: ${word}`, () => {
      assert.throws(
        () => withEdits(before, [set(word, 'v')]),
        (error: unknown) => error instanceof Failure && error.code === 'invalid-path' && (error.hint ?? '').length > 10,
      );
    });
  }

  test('are warned about where they name what nothing reads, or remove what is not there', () => {
    const edits = [
      set('developementMode', true),
      set('os.sshkeys.+', 'a'),
      set('os.sshKeys.+', 'a'),
      remove('hostnam'),
      remove('hostname'),
    ];
    assert.deepEqual(editWarnings(edits, before), [
      '/developementMode is not a known key: did you mean developmentMode?',
      '/os/sshkeys is not a known key: did you mean sshKeys?',
      'hostnam is not there, so there is nothing to remove: did you mean hostname?',
    ]);
  });
});

describe('moving a device to another cloud', () => {
  test('is warned about as long as it keeps what the old one gave it', () => {
    const before = { apiEndpoint: 'https://a.example', deviceApiKey: 'x', deviceId: 5, uuid: 'u' };
    const [warning, ...more] = moveWarnings(before, { ...before, apiEndpoint: 'https://b.example' });
    assert.match(warning ?? '', /--delete deviceApiKey --delete deviceId$/);
    assert.doesNotMatch(warning ?? '', /uuid|registered_at/);
    assert.deepEqual(more, []);
    assert.deepEqual(moveWarnings(before, before), []);
    assert.deepEqual(
      moveWarnings(before, { ...before, apiEndpoint: 'https://b.example', deviceApiKey: 'y', deviceId: 6 }),
      [],
    );
    assert.deepEqual(moveWarnings({}, before), []);
  });
});
