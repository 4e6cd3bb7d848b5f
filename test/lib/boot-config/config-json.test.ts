import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { configChanges, configValue, mergePatch } from '../../../src/lib/boot-config/config-json.js';
import { hidden } from '../../../src/lib/boot-config/secret-names.js';
import { withoutSecrets } from '../../../src/lib/boot-config/secrets.js';

describe('changing config.json', () => {
  test('keeps unknown keys and the order of keys', () => {
    const config = { z: 1, deviceType: 'x', os: { b: 1, a: { deep: true } }, custom: [1] };
    const merged = mergePatch(config, { hostname: 'kiosk', os: { sshKeys: [] }, z: 2 });
    assert.equal(
      JSON.stringify(merged),
      '{"z":2,"deviceType":"x","os":{"b":1,"a":{"deep":true},"sshKeys":[]},"custom":[1],"hostname":"kiosk"}',
    );
  });

  test('removes what is null in the patch, and replaces lists', () => {
    assert.deepEqual(mergePatch({ a: 1, b: { c: 2, d: [1, 2] } }, { a: null, b: { c: null, d: [3] } }), {
      b: { d: [3] },
    });
  });

  test('treats keys such as __proto__ and constructor as any other', () => {
    const patch: unknown = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1}');
    assert.ok(typeof patch === 'object' && patch !== null);
    const merged = mergePatch({}, { ...patch });
    assert.equal(Object.hasOwn(merged, '__proto__'), true);
    assert.equal(Reflect.get({}, 'polluted'), undefined);
    assert.deepEqual(
      configChanges({}, { constructor: 1 }).map((change) => change.before),
      [undefined],
    );
    assert.equal(configValue({}, 'constructor.name'), undefined);
  });

  test('lists what differs, leaf by leaf', () => {
    const changes = configChanges({ a: 1, b: { c: 1, d: 2 } }, { b: { c: 1, d: 3 }, e: [] });
    assert.deepEqual(changes, [
      { key: 'a', before: 1, after: undefined },
      { key: 'b.d', before: 2, after: 3 },
      { key: 'e', before: undefined, after: [] },
    ]);
  });
});

describe('hiding secrets of config.json', () => {
  test('hides keys, passwords and the network files of OS 1.x, and nothing else', () => {
    const config = {
      apiKey: 'A',
      deviceApiKey: 'B',
      deviceApiKeys: { 'api.balena-cloud.com': 'C' },
      wifiSsid: 'home',
      wifiKey: 'D',
      mixpanelToken: 'E',
      proxy: { login: 'me', password: 'F' },
      tunnel: { privateKey: 'I', publicKey: 'public', tokens: ['J'] },
      files: { 'network/network.config': 'Passphrase = G' },
      os: { sshKeys: ['ssh-ed25519 public'] },
      list: [{ psk: 'H' }],
    };
    assert.deepEqual(withoutSecrets(config), {
      apiKey: hidden,
      deviceApiKey: hidden,
      deviceApiKeys: { 'api.balena-cloud.com': hidden },
      wifiSsid: 'home',
      wifiKey: hidden,
      mixpanelToken: hidden,
      proxy: { login: 'me', password: hidden },
      tunnel: { privateKey: hidden, publicKey: 'public', tokens: hidden },
      files: { 'network/network.config': hidden },
      os: { sshKeys: ['ssh-ed25519 public'] },
      list: [{ psk: hidden }],
    });
  });
});
