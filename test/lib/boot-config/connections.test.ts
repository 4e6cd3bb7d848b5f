import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { isNameIgnored, readConnectionFile } from '../../../src/lib/boot-config/connection-file.js';
import { connectionWarnings } from '../../../src/lib/boot-config/connection-warnings.js';
import { parseKeyfile } from '../../../src/lib/boot-config/keyfile.js';
import { hidden } from '../../../src/lib/boot-config/secret-names.js';
import { connectionWithoutSecrets } from '../../../src/lib/boot-config/secrets.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('a connection file of the user', () => {
  const working = '[connection]\nid=lan\ntype=ethernet\n\n[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\n';

  for (const name of ['lan', 'lan.nmconnection', 'a.config2', 'x.ign']) {
    test(`may be named ${name}`, async (t) => {
      const file = path.join(await temporaryFolder(t), name);
      await writeFile(file, working);
      assert.deepEqual(await readConnectionFile(file), { name, content: Buffer.from(working) });
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

  test('stays as it is, to the byte', async (t) => {
    const file = path.join(await temporaryFolder(t), 'lan');
    const text = `# mine\r\n${working.replaceAll('\n', '\r\n')}\n\n`;
    await writeFile(file, text);
    assert.equal(String((await readConnectionFile(file)).content), text);
  });

  const fileBeside = () => undefined;
  const doubtful: readonly (readonly [string, RegExp, string?])[] = [
    ['[connection]\ntype=bridge\ninterface-name=br0\n', /br0.*keeps NetworkManager away/],
    ['[connection]\ntype=team\n', /type team/],
    ['[connection]\ntype=wifi\n[wifi-security]\nkey-mgmt=sae\npsk=x\n', /6\.5\.50.*6\.1\.3/],
    ['[connection]\ntype=wifi\n[wifi-security]\nkey-mgmt=wpa-eap\n[802-1x]\neap=peap;\npassword=x\n', /no ca-cert/],
    ['[connection]\ntype=wifi\n[wifi-security]\nkey-mgmt=wpa-psk\n', /does not hold its psk/],
    [
      '[connection]\ntype=wifi\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=abcdefgh\npsk-flags=1\n',
      /does not hold its psk/,
    ],
    ['[connection]\ntype=ethernet\n[802-1x]\neap=peap;\nca-cert=/etc/ca\npassword-flags=2\n', /not hold its password/],
    ['[connection]\ntype=gsm\n[gsm]\npin-flags=1\n', /does not hold its pin/],
    ['[connection]\ntype=gsm\n[gsm]\nusername=x\n', /does not hold its password/],
    ['[connection]\ntype=wireguard\n[wireguard]\nprivate-key-flags=1\n', /does not hold its private-key/],
    [
      '[connection]\ntype=ethernet\n[802-1x]\neap=tls;\nca-cert=/mnt/boot/system-connections/ca.pem\n',
      /names ca\.pem, which is not in system-connections/,
    ],
  ];
  for (const [content, expected] of doubtful) {
    test(`is warned about: ${String(expected)}`, () => {
      const os = { kind: 'direct', osName: 'balenaOS', osVersion: '6.1.3' } as const;
      const [warning, ...more] = connectionWarnings({ name: 'lan', content: Buffer.from(content) }, { os, fileBeside });
      assert.match(warning ?? '', expected);
      assert.deepEqual(more, []);
    });
  }

  test('is not warned about without a reason', () => {
    const os = { kind: 'direct', osName: 'balenaOS', osVersion: '8.0.2' } as const;
    const sae = '[connection]\ntype=wifi\ninterface-name=wlan0\n[wifi-security]\nkey-mgmt=sae\npsk=x\n';
    assert.deepEqual(connectionWarnings({ name: 'lan', content: Buffer.from(working) }, { os, fileBeside }), []);
    assert.deepEqual(connectionWarnings({ name: 'lan', content: Buffer.from(sae) }, { os, fileBeside }), []);
    assert.deepEqual(
      connectionWarnings({ name: 'lan-ca.pem', content: Buffer.from('-----BEGIN') }, { os, fileBeside }),
      [],
    );
  });

  test('is warned about by the dates of its certificates, and not by those of today', async (t) => {
    const folder = await temporaryFolder(t);
    for (const name of ['one', 'other']) {
      await runChecked('making a certificate', 'openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '100'],
        ...[
          '-subj',
          '/CN=device',
          '-keyout',
          path.join(folder, `${name}.key`),
          '-out',
          path.join(folder, `${name}.pem`),
        ],
      ]);
    }
    const at = '/mnt/boot/system-connections';
    const warnings = (now: Date, key = 'one.key', ca = 'one.pem') =>
      connectionWarnings(
        {
          name: 'lan',
          content: Buffer.from(
            `[connection]\ntype=ethernet\n[802-1x]\neap=tls;\nca-cert=${at}/${ca}\nclient-cert=${at}/one.pem\nprivate-key=file://${at}/${key}\n`,
          ),
        },
        { os: { kind: 'direct' }, now, fileBeside: (name) => readFileSync(path.join(folder, name)) },
      );
    const after = (days: number) => new Date(Date.now() + days * 24 * 60 * 60 * 1000);
    assert.deepEqual(warnings(after(1)), []);
    assert.match(warnings(after(101)).join(), /^the certificate one\.pem expired on \d{4}-\d\d-\d\d$/);
    assert.match(warnings(after(90)).join(), /^the certificate one\.pem expires on /);
    assert.match(warnings(after(-2)).join(), /^the certificate one\.pem is not valid before /);
    assert.equal(warnings(after(101), 'one.key', 'other.pem').length, 2);
    assert.deepEqual(warnings(after(1), 'other.key'), ['other.key is not the private key of the certificate one.pem']);
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
    ['a byte-order mark, which GLib does not know', `\uFEFF${working}`],
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
