import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { joinedConfig } from '../../../src/lib/join/joined-config.js';
import { secretMask } from '../../../src/lib/join/secret-mask.js';

const rules = { cloudKeys: ['apiEndpoint', 'apiKey', 'deviceApiKey', 'deviceId'], deviceType: 'intel-nuc', take: [] };

describe('joinedConfig', () => {
  it('fills what the device says nothing of, however deep, and replaces nothing that it says', () => {
    const own = { os: { sshKeys: ['mine'], network: { wifi: { randomMacAddressScan: false } } }, odd: null, serial: 1 };
    const given = {
      os: { sshKeys: ['theirs'], network: { connectivity: { uri: 'null' } } },
      odd: 2,
      serial: null,
      country: 'DE',
    };
    const { config, kept } = joinedConfig(own, given, rules);
    assert.deepEqual(config, {
      os: {
        sshKeys: ['mine'],
        network: { wifi: { randomMacAddressScan: false }, connectivity: { uri: 'null' } },
      },
      odd: null,
      serial: 1,
      country: 'DE',
      deviceType: 'intel-nuc',
    });
    assert.deepEqual(
      kept.map(({ key }) => key),
      ['os.sshKeys', 'odd'],
    );
  });

  it('takes from the configuration what it is told to, by the names under which it says what is kept', () => {
    const own = { os: { sshKeys: ['mine'], network: { wifi: { randomMacAddressScan: false } } }, serial: 1 };
    const given = { os: { sshKeys: ['theirs'], power: { mode: 'low' } }, serial: 2 };
    const [key = ''] = joinedConfig(own, given, rules).kept.map((change) => change.key);
    const { config, kept } = joinedConfig(own, given, { ...rules, take: [key] });
    assert.deepEqual(config.os, { ...own.os, sshKeys: ['theirs'], power: { mode: 'low' } });
    assert.deepEqual([config.serial, kept.map((change) => change.key)], [1, ['serial']]);
    const whole = joinedConfig(own, given, { ...rules, take: ['os'] });
    assert.deepEqual([whole.config.os, whole.kept.map((change) => change.key)], [given.os, ['serial']]);
  });

  it('never opens a device that is in production mode, unless it is told to', () => {
    const given = { developmentMode: true };
    const stays = joinedConfig({}, given, rules);
    assert.deepEqual([stays.config.developmentMode, stays.kept.length], [undefined, 1]);
    const opens = joinedConfig({}, given, { ...rules, take: ['developmentMode'] });
    assert.deepEqual([opens.config.developmentMode, opens.kept.length], [true, 0]);
    assert.equal(
      joinedConfig({ developmentMode: true }, { developmentMode: false }, rules).config.developmentMode,
      true,
    );
    assert.deepEqual(joinedConfig({}, { developmentMode: false }, rules).kept, []);
  });

  it('takes all of the former cloud away but the key that the device had there', () => {
    const own = { apiEndpoint: 'https://old.example', deviceApiKey: 'k', deviceId: 1, vpnEndpoint: 'v', uuid: 'u' };
    const { config } = joinedConfig(own, { apiEndpoint: 'https://new.example', apiKey: 'n' }, rules);
    assert.deepEqual(config, {
      uuid: 'u',
      apiEndpoint: 'https://new.example',
      apiKey: 'n',
      deviceType: 'intel-nuc',
      deviceApiKeys: { 'old.example': 'k' },
    });
  });

  it('leaves out what only installers and an OS before 2.0 read, and says so', () => {
    const { config, ignored } = joinedConfig({}, { wifiKey: 'x', installer: {}, network: null }, rules);
    assert.deepEqual([config, ignored], [{ deviceType: 'intel-nuc' }, ['wifiKey', 'installer']]);
  });
});

describe('secretMask', () => {
  it('hides the longer of two secrets as a whole, and no other words', () => {
    const mask = secretMask([{ apiKey: 'secret', deviceApiKeys: { a: 'secret-long' }, hostname: 'crane-17' }]);
    assert.equal(mask('secret-long on crane-17, secret'), '(hidden) on crane-17, (hidden)');
  });
});
