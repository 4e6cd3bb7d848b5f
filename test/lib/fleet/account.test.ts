import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cloudAddresses, parseAccount } from '../../../src/lib/fleet/account.js';

describe('cloudAddresses', () => {
  for (const [api, addresses] of [
    [
      'https://api.balena-cloud.com/',
      {
        apiUrl: 'https://api.balena-cloud.com',
        tunnelUrl: 'https://tunnel.balena-cloud.com',
        sshProxy: { host: 'ssh.balena-devices.com', port: 22 },
      },
    ],
    [
      'api.openbalena.example.com:8443',
      {
        apiUrl: 'https://api.openbalena.example.com:8443',
        tunnelUrl: 'https://tunnel.openbalena.example.com',
        sshProxy: null,
      },
    ],
    ['https://[::1]:4711', { apiUrl: 'https://[::1]:4711', tunnelUrl: 'https://[::1]', sshProxy: null }],
    ['http://localhost:80', { apiUrl: 'http://localhost', tunnelUrl: 'https://tunnel.localhost', sshProxy: null }],
  ] as const) {
    it(`derives the services of ${api}`, () => {
      assert.deepEqual(cloudAddresses({ api }), addresses);
    });
  }

  it('takes what is said of the services', () => {
    const said = cloudAddresses({ api: 'api.example.com', tunnel: 'vpn.example.com:4443', sshProxy: '[fd00::1]:2222' });
    assert.equal(said.tunnelUrl, 'https://vpn.example.com:4443');
    assert.deepEqual(said.sshProxy, { host: 'fd00::1', port: 2222 });
  });

  for (const [said, code] of [
    [{ api: 'https://lea:secret@api.example.com' }, 'invalid-cloud-address'],
    [{ api: 'https://' }, 'invalid-cloud-address'],
    [{ api: 'ftp://api.example.com' }, 'cloud-insecure'],
    [{ api: 'api.example.com', tunnel: 'http://tunnel.example.com' }, 'cloud-insecure'],
    [{ api: 'http://127.0.0.1.example.com' }, 'cloud-insecure'],
    [{ api: 'api.example.com', sshProxy: 'lea@ssh.example.com' }, 'invalid-cloud-address'],
    [{ api: 'api.example.com', sshProxy: 'ssh.example.com:0' }, 'invalid-cloud-address'],
  ] as const) {
    it(`refuses ${JSON.stringify(said)}`, () => {
      assert.throws(
        () => cloudAddresses(said),
        (error: Error & { code?: string }) => error.code === code && !error.message.includes('secret'),
      );
    });
  }
});

describe('parseAccount', () => {
  const account = {
    name: 'work',
    apiUrl: 'https://api.example.com',
    tunnelUrl: 'https://tunnel.example.com',
    sshProxy: null,
    userName: 'lea',
    token: 'secret',
  };

  it('takes what was written', () => {
    assert.deepEqual(parseAccount(JSON.parse(JSON.stringify(account))), account);
  });

  it('takes no account whose token would pass in clear, whoever changed the file', () => {
    for (const change of [{ apiUrl: 'http://api.example.com' }, { tunnelUrl: 'http://10.0.0.1' }, { token: 7 }]) {
      assert.equal(parseAccount({ ...account, ...change }), undefined);
    }
  });
});
