import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BootConfigurationRequest, layersOf } from '../../../src/lib/boot-config/boot-configuration-request.js';
import { configOrigins } from '../../../src/lib/boot-config/config-origins.js';
import { pathText } from '../../../src/lib/boot-config/config-path.js';
import type { JsonObject } from '../../../src/lib/platform/json.js';

const keys = ['A', 'B', 'C'].map(
  (letter) => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2${letter} me`,
);
const [imageKey = '', profileKey = '', flagKey = ''] = keys;

function originsOf(before: JsonObject, request: BootConfigurationRequest): Record<string, string> {
  const set = configOrigins(before, layersOf(request)).filter(({ origin }) => origin !== 'default');
  return Object.fromEntries(set.map(({ path, origin }) => [pathText(path), origin]));
}

describe('where the values of a configuration come from', () => {
  test('is the highest place that says them, also where it says what was there', () => {
    const profile = {
      origin: 'profile',
      hostname: 'a',
      country: 'DE',
      config: { custom: { deep: 1, same: 2 }, removed: null },
    } as const;
    const environment = { origin: 'environment', under: profile, hostname: 'b', ntpServers: 'pool' } as const;
    assert.deepEqual(
      originsOf(
        { deviceType: 'x', country: 'DE', removed: 1, custom: { kept: 1, same: 2 } },
        { under: environment, hostname: 'c', edits: [{ path: ['custom', 'new'], value: 1 }] },
      ),
      {
        deviceType: 'image',
        country: 'profile',
        'custom.kept': 'image',
        'custom.same': 'profile',
        'custom.deep': 'profile',
        'custom.new': 'flag',
        hostname: 'flag',
        ntpServers: 'environment',
      },
    );
  });

  test('is told of each SSH key, as those of all places add up', () => {
    const before = { os: { sshKeys: [imageKey] } };
    const request = {
      under: { origin: 'profile', sshKeys: [imageKey, profileKey] },
      sshKeys: [flagKey],
    } as const;
    assert.deepEqual(originsOf(before, request), {
      'os.sshKeys.0': 'image',
      'os.sshKeys.1': 'profile',
      'os.sshKeys.2': 'flag',
    });
    const replaced = { origin: 'profile', config: { os: { sshKeys: [profileKey, imageKey] } } } as const;
    assert.deepEqual(originsOf(before, { under: replaced }), { 'os.sshKeys.0': 'profile', 'os.sshKeys.1': 'profile' });
    const removed = { edits: [{ path: ['os', 'sshKeys', '0'], isRemoved: true }] } as const;
    assert.deepEqual(originsOf({ os: { sshKeys: [imageKey, profileKey] } }, removed), { 'os.sshKeys.0': 'image' });
  });

  test('is the OS for keys that nobody set', () => {
    const defaults = configOrigins({ hostname: 'x' }, []).filter(({ origin }) => origin === 'default');
    const byKey = new Map(defaults.map(({ path, value, otherwise }) => [pathText(path), otherwise ?? value]));
    assert.equal(byKey.get('listenPort'), 48_484);
    assert.equal(byKey.get('persistentLogging'), false);
    assert.equal(byKey.get('os.network.connectivity.interval'), '3600');
    assert.equal(byKey.get('uuid'), 'made at the first start');
    assert.ok(!byKey.has('hostname') && !byKey.has('apiKey') && !byKey.has('wifiSsid'));
  });
});
