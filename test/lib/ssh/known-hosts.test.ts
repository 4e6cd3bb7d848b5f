import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run, runChecked } from '../../../src/lib/platform/child-process.js';
import { fingerprint, hostKeyOf, isAbout, parseKnownHost, parseKnownHosts } from '../../../src/lib/ssh/known-hosts.js';
import { hostKeyFrom } from '../../support/host-key.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const { type, key } = hostKeyFrom(1);

describe('parseKnownHosts', () => {
  it('reads markers, names and keys, and passes over what is no such line', () => {
    const text = `# comment\n\nnonsense\ncrane ssh-rsa ${key}\n@revoked * ${type} ${key} why\na,b ${type}\t${key}\r\n@other c ${type} ${key}`;
    assert.deepEqual(
      parseKnownHosts(text).map(({ marker, patterns, line }) => [marker, patterns.join(' '), line]),
      [
        ['revoked', '*', 5],
        [undefined, 'a b', 6],
      ],
    );
  });
});

describe('isAbout', () => {
  it('finds in a file what ssh-keygen -F finds in it', async (t) => {
    const file = path.join(await temporaryFolder(t), 'known_hosts');
    const lists = [
      'crane.local,192.168.1.20',
      '[crane.local]:22222',
      '*.example.org,!bad.example.org',
      '192.168.?.7',
      '[10.0.*]:22222',
      'fe80::1%eth0',
      'UPPER.example.com',
      'a.b+c(d)',
    ];
    const lines = lists.map((list, seed) => `${list} ${type} ${hostKeyFrom(seed).key}`);
    await writeFile(file, `${lines.join('\n')}\n`);
    const names = ['crane.local', 'crane', '192.168.1.20', '[crane.local]:22222', '[crane.local]:22', 'x.example.org'];
    names.push('bad.example.org', 'example.org', '192.168.4.7', '192.168.44.7', '[10.0.5.6]:22222', '[10.1.5.6]:22222');
    names.push('fe80::1%eth0', 'fe80::1', 'upper.example.com', 'a.b+c(d)', 'aXb+c(d)');
    for (const isHashed of [false, true]) {
      if (isHashed) await runChecked('hashing', 'ssh-keygen', ['-q', '-H', '-f', file]);
      const known = parseKnownHosts(await readFile(file, 'utf8'));
      assert.ok(known.length >= lists.length);
      for (const name of names) {
        const found = await run('ssh-keygen', ['-F', name, '-f', file]);
        const byOpenSsh = [...found.stdout.matchAll(/ssh-ed25519 (\S+)/g)].map(([, one]) => one);
        const byUs = known.filter((one) => isAbout(one, name)).map((one) => one.hostKey.key);
        assert.deepEqual(byUs, byOpenSsh, `${name}, hashed: ${String(isHashed)}`);
      }
    }
  });

  it('comes to an end with a hostile pattern', () => {
    const entry = parseKnownHost(`${'*a'.repeat(40)}b ${type} ${key}`, 1);
    assert.ok(entry !== undefined);
    // A regular expression made of it would take longer than anybody waits.
    assert.equal(isAbout(entry, 'a'.repeat(250)), false);
  });
});

describe('fingerprint', () => {
  it('is what OpenSSH prints', () => {
    const bytes = Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIBZfMAm9zHJSx9PyWZjWkDvwCKnZcvHwO2VIdRgz0MPv', 'base64');
    assert.equal(hostKeyOf(bytes).type, 'ssh-ed25519');
    // From ssh-keygen -l.
    assert.equal(fingerprint(hostKeyOf(bytes)), 'SHA256:5IUjz65C5ljcDO2nxiVq7EKmegFYnkRzwP8FJTu7lv0');
  });
});
