import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { isNameIgnored, readConnectionFile } from '../../../src/lib/boot-config/connection-file.js';
import { escapeKeyfileValue, parseKeyfile, unescapeKeyfileValue } from '../../../src/lib/boot-config/keyfile.js';
import { connectionWithoutSecrets, hidden } from '../../../src/lib/boot-config/secrets.js';
import {
  isWifiKey,
  readSsidValue,
  ssidValue,
  wifiConnectionFile,
} from '../../../src/lib/boot-config/wifi-connection.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('a Wi-Fi connection file', () => {
  test('is what NetworkManager reads', () => {
    const text = wifiConnectionFile({ ssid: 'Office', key: ' p;a#s=s\\word', isHidden: true });
    assert.equal(
      text,
      [
        '[connection]\nid=resin-wifi\ntype=wifi\n',
        '[wifi]\nhidden=true\nmode=infrastructure\nssid=Office\n',
        '[wifi-security]\nauth-alg=open\nkey-mgmt=wpa-psk\npsk=\\sp;a#s=s\\\\word\n',
        '[ipv4]\nmethod=auto\n',
        '[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\n',
      ].join('\n'),
    );
  });

  test('has no security section for an open network', () => {
    assert.doesNotMatch(wifiConnectionFile({ ssid: 'Guests', key: undefined, isHidden: false }), /security|hidden/);
  });

  // What nmcli 1.42 wrote for the same SSIDs.
  const spellings: readonly (readonly [string, string])[] = [
    ['a\\b c', 'a\\\\b c'],
    [' lead', '\\slead'],
    ['$HOME `x` "q"', '$HOME `x` "q"'],
    ['[x]', '[x]'],
    ['#x', '#x'],
    ['Zürich', '90;195;188;114;105;99;104;'],
    ['\ttab', '9;116;97;98;'],
    ['72;105;', '55;50;59;49;48;53;59;'],
    ['12', '49;50;'],
  ];
  for (const [ssid, value] of spellings) {
    test(`spells the SSID ${JSON.stringify(ssid)} so that NetworkManager reads it back`, () => {
      assert.equal(ssidValue(ssid), value);
      assert.equal(readSsidValue(value), ssid);
    });
  }

  test('gives back any SSID and any key', () => {
    const random = seededRandom(3);
    const letters = Array.from(' \t\\;=#[]"\'$`asntr0123ü日😀');
    for (let round = 0; round < 2000; round += 1) {
      const value = Array.from({ length: 1 + random.below(8) }, () => random.pick(letters)).join('');
      assert.equal(readSsidValue(ssidValue(value)), value);
      assert.equal(unescapeKeyfileValue(escapeKeyfileValue(value)), value);
      const keyfile = parseKeyfile(`[s]\nk=${escapeKeyfileValue(value)}\n`, 'x');
      assert.equal(unescapeKeyfileValue(keyfile.get('s')?.get('k') ?? ''), value);
    }
  });

  test('takes keys of 8 to 63 printable characters or 64 hexadecimal digits, and no others', () => {
    for (const good of ['12345678', 'x'.repeat(63), 'aF'.repeat(32), '    ~~~~']) assert.ok(isWifiKey(good), good);
    for (const bad of ['', '1234567', 'x'.repeat(64), 'pässword', 'tab\tinside', 'aG'.repeat(32), 'line\nbreak']) {
      assert.ok(!isWifiKey(bad), bad);
      assert.throws(
        () => wifiConnectionFile({ ssid: 'x', key: bad, isHidden: false }),
        (error: unknown) => error instanceof Failure && (bad === '' || !error.message.includes(bad)),
      );
    }
  });

  test('takes SSIDs of 1 to 32 bytes, counted in UTF-8', () => {
    for (const good of ['x', 'x'.repeat(32), 'é'.repeat(16)]) {
      assert.ok(wifiConnectionFile({ ssid: good, key: undefined, isHidden: false }));
    }
    for (const bad of ['', 'x'.repeat(33), 'é'.repeat(17)]) {
      assert.throws(() => wifiConnectionFile({ ssid: bad, key: undefined, isHidden: false }), Failure);
    }
  });
});

describe('a connection file of the user', () => {
  const working = '[connection]\nid=lan\ntype=ethernet\n\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\n';

  for (const name of ['lan', 'lan.nmconnection', 'a.config2', 'x.ign']) {
    test(`may be named ${name}`, async (t) => {
      const file = path.join(await temporaryFolder(t), name);
      await writeFile(file, working);
      assert.deepEqual(await readConnectionFile(file), { name, content: working });
    });
  }

  for (const name of [
    '.lan',
    'lan~',
    'lan.swp',
    'lan.swpx',
    'lan.pem',
    'home.config',
    'wifi.backup',
    'x.conn01',
    'x.ignore',
  ]) {
    test(`is refused as ${name}, which NetworkManager would ignore`, async (t) => {
      const file = path.join(await temporaryFolder(t), name);
      await writeFile(file, working);
      assert.ok(isNameIgnored(name));
      await assert.rejects(
        readConnectionFile(file),
        (error: unknown) =>
          error instanceof Failure && error.kind === 'refused' && error.hint?.includes('.nmconnection') === true,
      );
    });
  }

  test('gets the line ends of Unix', async (t) => {
    const file = path.join(await temporaryFolder(t), 'lan');
    await writeFile(file, working.replaceAll('\n', '\r\n'));
    assert.equal((await readConnectionFile(file)).content, working);
  });

  const broken: readonly (readonly [string, string])[] = [
    ['text that is no key file', 'hello\n'],
    ['a key before any section', 'id=lan\n'],
    ['no connection section', '[wifi]\nssid=x\n'],
    ['no type', '[connection]\nid=lan\n'],
    [
      'a psk that is too short',
      '[connection]\ntype=wifi\n[wifi]\nssid=x\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=s3cret\n',
    ],
    [
      'a bad psk under the long section name',
      '[connection]\ntype=wifi\n[802-11-wireless-security]\nkey-mgmt=wpa-psk\npsk=s3cret\n',
    ],
    ['an empty file', ''],
  ];
  for (const [what, content] of broken) {
    test(`is refused with ${what}, without showing it`, async (t) => {
      const file = path.join(await temporaryFolder(t), 'lan');
      await writeFile(file, content);
      await assert.rejects(
        readConnectionFile(file),
        (error: unknown) => error instanceof Failure && error.kind === 'usage' && !error.message.includes('s3cret'),
      );
    });
  }

  test('is shown with secrets hidden and nothing else', () => {
    const text = [
      '[connection]\nid=x\ntype=wifi\nautoconnect-priority=5',
      '[wifi]\nssid=Office',
      '[wifi-security]\nkey-mgmt=wpa-psk\npsk=SECRET\nwep-key0=SECRET\npsk-flags=0\nleap-password=SECRET',
      '[802-1x]\nidentity=me\npassword=SECRET\nprivate-key=/mnt/boot/x.pem\nprivate-key-password=SECRET\nclient-cert=/x',
      '[gsm]\napn=internet\npin=SECRET',
      '[wireguard]\nprivate-key=/SECRET=',
      '[vpn]\ncert-pass=SECRET\nproxy-pass=SECRET\nkey=/mnt/boot/vpn.key\nstatic-key=SECRET',
      '[user]\napi-key=SECRET\naccess.token=SECRET',
      '[wireguard-peer.abc]\npreshared-key=SECRET',
      '[vpn-secrets]\nanything=SECRET',
    ].join('\n');
    const shown = connectionWithoutSecrets(parseKeyfile(text, 'x'));
    assert.doesNotMatch(JSON.stringify(shown), /SECRET/);
    assert.equal(shown['wifi-security']?.psk, hidden);
    assert.equal(shown['wifi-security']['psk-flags'], '0');
    assert.equal(shown['802-1x']?.identity, 'me');
    assert.equal(shown['802-1x']['private-key'], '/mnt/boot/x.pem');
    assert.equal(shown.vpn?.key, '/mnt/boot/vpn.key');
    assert.equal(shown.gsm?.apn, 'internet');
  });
});
