import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileDifferences } from '../../../src/lib/boot-config/file-difference.js';
import { lineDifference } from '../../../src/lib/boot-config/line-difference.js';
import { linesWithoutSecrets } from '../../../src/lib/boot-config/secret-text.js';
import { seededRandom } from '../../support/seeded-random.js';

const secret = 'Tr0ub4dor&3xyz';

function difference(path: string, before: string | Buffer | undefined, after: string | Buffer | undefined) {
  const bytes = (content: string | Buffer | undefined) => (content === undefined ? undefined : Buffer.from(content));
  const [only] = fileDifferences([{ path, before: bytes(before), after: bytes(after) }]);
  return only;
}

describe('the difference of a file', () => {
  test('is none where nothing changes', () => {
    assert.equal(difference('a', 'x', 'x'), undefined);
    assert.equal(difference('a', undefined, undefined), undefined);
  });

  test('shows the keys of config.json that change, and a list item by item', () => {
    const before = { hostname: 'old', os: { sshKeys: ['one', 'two'] }, apiKey: secret, gone: { a: 1 } };
    const after = { hostname: 'new', os: { sshKeys: ['one', 'two', 'three'] }, apiKey: `${secret}2` };
    assert.deepEqual(difference('config.json', JSON.stringify(before), JSON.stringify(after)), {
      path: 'config.json',
      action: 'replace',
      lines: [
        ...['-hostname: "old"', '+hostname: "new"', '+os.sshKeys.2: "three"'],
        ...['-apiKey: (hidden)', '+apiKey: (hidden)', '-gone.a: 1'],
      ],
    });
  });

  test('shows text line by line with what is around a change', () => {
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`);
    assert.deepEqual(
      difference('notes.txt', `${lines.join('\n')}\n`, `${lines.with(9, 'other').join('\n')}\n`)?.lines,
      ['@@ line 7 @@', ...[' line 7', ' line 8', ' line 9', '-line 10', '+other', ' line 11', ' line 12', ' line 13']],
    );
  });

  test('tells a last line with an end from one without', () => {
    assert.deepEqual(difference('notes.txt', 'one', 'one\n')?.lines, ['-one (no line end)', '+one']);
  });

  test('shows what is no text by size and hash', () => {
    const lines = difference('splash/balena-logo.png', undefined, Buffer.from([0x89, 0, 1, 2]))?.lines ?? [];
    assert.match(lines.join(), /^\+4 bytes, SHA-256 [0-9a-f]{12}$/);
  });

  test('shows a file that goes away', () => {
    assert.deepEqual(difference('a.txt', 'x\n', undefined), { path: 'a.txt', action: 'remove', lines: ['-x'] });
  });

  test('turns one text into the other, whatever they are', () => {
    const random = seededRandom(7);
    for (let round = 0; round < 300; round += 1) {
      const text = () => Array.from({ length: random.below(12) }, () => 'abc'[random.below(3)] ?? '');
      const [before, after] = [text(), text()];
      const lines = lineDifference(before, after);
      const of = (sign: '-' | '+') =>
        lines.flatMap((line) => {
          if (line.sign !== ' ' && line.sign !== sign) return [];
          return 'after' in line && sign === '+' ? [after[line.after]] : 'before' in line ? [before[line.before]] : [];
        });
      assert.deepEqual([of('-'), of('+')], [before, after]);
      for (const line of lines) if (line.sign === ' ') assert.equal(before[line.before], after[line.after]);
    }
  });

  test('does not look for the shortest way between huge texts', () => {
    const text = (word: string) => Array.from({ length: 3000 }, (_, index) => `${word} ${index}`);
    assert.equal(lineDifference(['a', ...text('x')], ['a', ...text('y')]).length, 6001);
  });
});

describe('the difference of a file hides', () => {
  const keyfile = (lines: string) => `[connection]\nid=a\ntype=wifi\n${lines}\n`;
  const pem = (line: string) => `-----BEGIN PRIVATE KEY-----\n${line}\n${line}\n-----END PRIVATE KEY-----\n`;
  const cases: readonly (readonly [string, string])[] = [
    ['system-connections/office', keyfile(`[wifi-security]\npsk=${secret}`)],
    ['system-connections/office', keyfile(`[wifi-security]\n  psk = ${secret}`)],
    ['system-connections/office', keyfile(`[wifi-security]\nwep-key0=${secret}\nleap-password=${secret}`)],
    [
      'system-connections/office',
      keyfile(`[802-1x]\npassword=${secret}\nprivate-key-password=${secret}\npin=${secret}`),
    ],
    ['system-connections/office', keyfile(`[802-1x]\nprivate-key=data:;base64,${secret}`)],
    ['system-connections/wg', keyfile(`[wireguard]\nprivate-key=/${secret}`)],
    ['system-connections/wg', keyfile(`[wireguard-peer.abc=]\npreshared-key=/${secret}`)],
    ['system-connections/vpn', keyfile(`[vpn-secrets]\nanything=${secret}`)],
    ['system-connections/proxy', keyfile(`[proxy]\npac-url=http://user:${secret}@proxy/`)],
    ['system-connections/old', `#psk=${secret}\n`],
    ['system-connections/office-key.pem', pem(secret)],
    ['system-connections/garbage', `password: ${secret}\n`],
    ['system-proxy/redsocks.conf', `redsocks {\n\tlogin = "device";\n\tpassword = "${secret}";\n}\n`],
    ['dispatcher.d/10-up', `#!/bin/sh\nexport API_TOKEN='${secret}'\n`],
    ['dispatcher.d/10-up', `#!/bin/sh\ncurl -H "Authorization: Bearer ${secret}" https://example.com\n`],
    ['dispatcher.d/10-up', `#!/bin/sh\ncurl -u device:${secret} https://example.com\n`],
    ['dispatcher.d/10-up', `#!/bin/sh\ncurl https://device:${secret}@example.com/\n`],
    ['dispatcher.d/10-up', `#!/bin/sh\nlogin --token ${secret}\nsshpass -p ${secret} ssh x\n`],
    ['wpa_supplicant.conf', `network={\n\tssid="a"\n\tpsk="${secret}"\n}\n`],
    ['settings.json', `{ "a": 1, "clientSecret": "${secret}" }`],
    ['settings.json', `{\n  "clientSecret":\n    "${secret}"\n}\n`],
    ['settings.yaml', `password: |\n  ${secret}\n  ${secret}\n`],
    ['.netrc', `machine example.com login device password ${secret}\n`],
    ['shadow', `root:$6$saltsalt$${secret}:1:2:3\n`.replace('&', '')],
    ['id.key', `${secret}\n`],
    ['wifi.psk', `psk=${secret}\n`],
    ['secrets/api-token', `${secret}\n`],
    ['config.json', JSON.stringify({ apiKey: secret, os: { wifiPassword: secret }, deviceApiKeys: { 'a.b': secret } })],
    ['config.json', JSON.stringify({ apiEndpoint: `https://user:${secret}@api.example.com`, other: pem(secret) })],
    ['config.json', JSON.stringify({ registries: [{ password: secret }, `https://${secret}@example.com`] })],
    ['config.json', JSON.stringify({ os: { udevRules: { a: `RUN+="/bin/x --password ${secret}"` } } })],
  ];
  for (const [path, content] of cases) {
    test(`the secret in ${path}: ${JSON.stringify(content.replaceAll(secret, '***')).slice(0, 90)}`, () => {
      const shown = JSON.stringify([
        difference(path, undefined, content),
        difference(path, path === 'config.json' ? '{}' : 'a=b\n', content),
        difference(path, content, content.replaceAll(secret, 'another')),
      ]);
      assert.ok(!shown.includes(secret.replace('&', '')) && !shown.includes(secret), shown);
      assert.ok(shown.includes('(hidden)') || shown.includes('SHA-256'), shown);
    });
  }

  test('and shows what is no secret', () => {
    const shown = [
      ...['id=office', 'key-mgmt=wpa-psk', 'psk-flags=0', 'ssid=My Network', 'private-key=/mnt/boot/x.pem'],
    ];
    const text = keyfile(`[802-1x]\n${shown.join('\n')}`);
    const lines = difference('system-connections/office', undefined, text)?.lines ?? [];
    for (const line of shown) assert.ok(lines.includes(`+${line}`), line);
    const plain = [
      '#!/bin/sh',
      'echo "$2 is up" >> /tmp/log',
      'ssh-ed25519 AAAAC3Nza x@y',
      'gpu_mem=64',
      'dtoverlay=a',
    ];
    assert.deepEqual(linesWithoutSecrets(plain), plain);
  });
});
