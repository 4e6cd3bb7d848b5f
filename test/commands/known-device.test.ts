import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davit, type DavitOptions } from '../support/davit.js';
import {
  createNetwork,
  type NetworkedDevice,
  networkSkipReason,
  type TestNetwork,
} from '../support/network-namespace.js';
import { type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const uuids = ['aaaaaa14d6bb1ee1ed1eb7a8e05ce0d0', 'bbbbbb24d6bb1ee1ed1eb7a8e05ce0d0'] as const;

/** A user with a data folder of their own, whose default key all devices accept. */
async function userWith(t: TestContext, identityFile: string, wrapper: readonly string[] = []) {
  const HOME = await temporaryFolder(t);
  await mkdir(path.join(HOME, '.ssh'));
  await copyFile(identityFile, path.join(HOME, '.ssh', 'id_ed25519'));
  const environment = { HOME, DAVIT_DATA_DIR: path.join(HOME, 'data'), SSH_AUTH_SOCK: undefined };
  return { environment, wrapper };
}

const readConfig = ['--', 'cat /mnt/boot/config.json'];

describe('a virtual device behind a port of this computer', { skip: sshServerSkipReason() }, () => {
  let server: SshServer;
  before(async () => {
    server = await startSshServer({ configJson: { uuid: uuids[0] } });
  });
  after(() => server.close());

  it('is reached by its UUID, its beginning and an alias from the first meeting on', async (t) => {
    const user = await userWith(t, server.identityFile);
    const met = await davit(['ssh', `127.0.0.1:${server.port}`, '--', 'true'], user);
    assert.equal(met.exitCode, 0, met.stderr);
    assert.equal((await davit(['device', 'alias', uuids[0], 'virtual'], user)).exitCode, 0);
    for (const name of [uuids[0], uuids[0].slice(0, 5), 'virtual']) {
      const { exitCode, stdout, stderr } = await davit(['ssh', name, ...readConfig], user);
      assert.deepEqual([exitCode, stderr], [0, ''], name);
      assert.match(stdout, new RegExp(uuids[0]));
    }
  });

  it('is not thought to be there when it was switched off', async (t) => {
    const other = await startSshServer({ configJson: { uuid: uuids[1] } });
    const user = await userWith(t, other.identityFile);
    assert.equal((await davit(['ssh', '127.0.0.1', '--port', String(other.port), '--', 'true'], user)).exitCode, 0);
    await other.close();
    const { exitCode, stderr } = await davit(['ssh', uuids[1], '--', 'true'], user);
    assert.equal(exitCode, 3, stderr);
    assert.ok(stderr.includes(`nor does anything at 127.0.0.1 port ${other.port}, where it was last seen`), stderr);
  });

  for (const [what, mount] of [
    ['may not be written', 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'],
    ['has no room left', 'mount -t tmpfs -o size=4k tmpfs "$0" && head -c 4096 /dev/zero >"$0"/full'],
  ] as const) {
    it(`is reached where davit's data folder ${what}, which is told`, async (t) => {
      const user = await userWith(t, server.identityFile);
      const folder = user.environment.DAVIT_DATA_DIR;
      await mkdir(folder);
      const wrapper = ['unshare', '-m', 'sh', '-c', `${mount} && exec "$@"`, folder];
      const words = ['ssh', `127.0.0.1:${server.port}`, '--', 'echo hello'];
      const { exitCode, stdout, stderr } = await davit(words, { ...user, wrapper });
      assert.deepEqual([exitCode, stdout], [0, 'hello\n'], stderr);
      assert.match(stderr, /^warning: .*known_hosts: .*; the host key of 127\.0\.0\.1 is not remembered$/m);
      assert.match(stderr, /^warning: .*devices\.json: .*; known devices stay as they are$/m);
    });
  }

  it('takes the end of a tunnel for no place of a device that has one', async (t) => {
    const user = await userWith(t, server.identityFile);
    const known = { uuid: uuids[0], addresses: ['192.0.2.7'], hostKey: await server.hostFingerprint() };
    await mkdir(user.environment.DAVIT_DATA_DIR);
    const file = path.join(user.environment.DAVIT_DATA_DIR, 'devices.json');
    await writeFile(file, JSON.stringify({ version: 1, devices: [known] }));
    assert.equal((await davit(['ssh', `127.0.0.1:${server.port}`, '--', 'true'], user)).exitCode, 0);
    const { stdout } = await davit(['device', 'list', '--json'], user);
    const { devices } = JSON.parse(stdout) as { devices: { addresses: string[]; sshPort: number }[] };
    assert.deepEqual([devices.length, devices[0]?.addresses, devices[0]?.sshPort], [1, ['192.0.2.7'], 22222]);
  });
});

describe('a device that is not there', { skip: networkSkipReason() }, () => {
  let network: TestNetwork;
  let folder: string;
  before(async () => {
    network = await createNetwork([{ hostname: 'laptop', port: false }]);
    // Packets to these vanish without a word, as behind a firewall or with the plug pulled a moment ago.
    await network.run('ip', ['neigh', 'add', '10.77.0.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'lan0']);
    folder = await mkdtemp(path.join(tmpdir(), 'davit-known-device-'));
    await mkdir(path.join(folder, 'project'));
    await writeFile(path.join(folder, 'project', 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
    const devices = [
      { uuid: uuids[0], hostname: 'kiosk', addresses: ['10.77.0.9'], hostKey: `SHA256:${'A'.repeat(43)}` },
    ];
    await mkdir(path.join(folder, 'data'));
    await writeFile(path.join(folder, 'data', 'devices.json'), JSON.stringify({ version: 1, devices }));
  });
  after(async () => {
    await network.close();
    await rm(folder, { recursive: true });
  });

  it('makes every command fail in seconds', async () => {
    const targets = [
      ['a name that nobody has', 'nobody', 3],
      ['known and off', uuids[0], 3],
      ['an address that nobody has', '10.77.0.8', 6],
      ['an address that answers no packet', '10.77.0.9', 6],
    ] as const;
    const environment = { HOME: folder, DAVIT_DATA_DIR: path.join(folder, 'data') };
    // What does not give up by itself is killed, and has no exit code then.
    const options = { environment, wrapper: network.wrapper, timeoutMs: notMinutes };
    const failing = targets.flatMap(([what, name, expected]) =>
      [
        ['ssh', name, '--', 'true'],
        ['cp', '/etc/hostname', `${name}:/tmp/davit-test`],
        ['logs', name],
        ['push', name, '--source', path.join(folder, 'project')],
        ['tunnel', name, '0:80'],
      ].map(async (words) => {
        const { exitCode, stderr } = await davit(words, options);
        assert.equal(exitCode, expected, `${words.join(' ')}, ${what}: ${stderr}`);
      }),
    );
    await Promise.all(failing);
  });
});

/** What gives up after 5 s may take so many milliseconds where the machine is slow; what does not give up takes minutes. */
const notMinutes = 40_000;

describe('devices whose addresses change', { skip: networkSkipReason() || sshServerSkipReason() }, () => {
  let network: TestNetwork;
  let servers: SshServer[];
  before(async () => {
    network = await createNetwork([
      { hostname: 'aaaaaa1', segment: 'lan' },
      { hostname: 'bbbbbb2', segment: 'lan' },
    ]);
    servers = await Promise.all(
      network.devices.map(({ namespace }, index) =>
        startSshServer({
          port: 22222,
          wrapper: ['ip', 'netns', 'exec', namespace],
          configJson: { uuid: uuids[index] },
        }),
      ),
    );
    // Whoever is let in by the one must be let in by the other: only their host keys tell them apart.
    const [first, second] = servers;
    await second?.accept((await first?.publicKey()) ?? '');
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.close()));
    await network.close();
  });

  const device = (index: 0 | 1): NetworkedDevice => {
    const one = network.devices[index];
    if (one === undefined) throw new Error('no such device');
    return one;
  };

  const give = async (index: 0 | 1, address: string) => {
    const { namespace } = device(index);
    const ip = (...words: string[]) => runChecked('changing addresses', 'ip', ['-n', namespace, 'address', ...words]);
    await ip('flush', 'dev', 'eth0', 'scope', 'global');
    await ip('add', `${address}/24`, 'dev', 'eth0');
    await network.run('ip', ['neigh', 'flush', 'all']);
  };

  const user = async (t: TestContext): Promise<DavitOptions> =>
    userWith(t, servers[0]?.identityFile ?? '', network.wrapper);

  const whoIs = async (name: string, options: DavitOptions) => {
    const { exitCode, stdout, stderr } = await davit(['ssh', name, ...readConfig], options);
    return exitCode === 0 ? (JSON.parse(stdout) as { uuid: string }).uuid : stderr;
  };

  it('reaches each by all its names when they have swapped them', async (t) => {
    const options = await user(t);
    const [first, second] = ['10.77.0.2', '10.77.0.3'];
    for (const uuid of uuids) assert.equal(await whoIs(uuid, options), uuid);
    assert.equal((await davit(['device', 'alias', uuids[0], 'bench'], options)).exitCode, 0);
    try {
      await Promise.all([give(0, second), give(1, first)]);
      for (const name of [uuids[0], 'aaaaaa1', 'aaaaaa1.local', 'aaaa', 'bench']) {
        assert.equal(await whoIs(name, options), uuids[0], name);
      }
      assert.equal(await whoIs(uuids[1], options), uuids[1]);
    } finally {
      await Promise.all([give(0, first), give(1, second)]);
    }
  });

  it('lets nobody take the place of a device that is gone, who has its address now', async (t) => {
    const met = await user(t);
    const [first, second] = ['10.77.0.2', '10.77.0.3'];
    assert.equal(await whoIs(first, met), uuids[0]);
    // Announced once and never met, so that nothing is known that it could prove.
    const seen = await user(t);
    const folder = seen.environment?.DAVIT_DATA_DIR ?? '';
    await mkdir(folder);
    const devices = [{ hostname: 'aaaaaa1', aliases: ['bench'], addresses: [first] }];
    await writeFile(path.join(folder, 'devices.json'), JSON.stringify({ version: 1, devices }));
    await device(0).setConnected(false);
    try {
      await give(1, first);
      const logins = () => servers[1]?.log().split('Accepted').length;
      const before = logins();
      const asking = [met, seen].flatMap((options) =>
        [
          ['ssh', 'aaaaaa1', '--', 'true'],
          ['cp', '/etc/hostname', 'aaaaaa1:/tmp/davit-test'],
          ['logs', 'aaaaaa1'],
          ['tunnel', 'aaaaaa1', '0:80'],
          ['ssh', options === met ? uuids[0] : 'bench', '--', 'true'],
        ].map(async (words) => {
          const { exitCode, stderr } = await davit(words, options);
          assert.equal(exitCode, 3, `${words.join(' ')}: ${stderr}`);
          assert.match(
            stderr,
            /by its name, and at 10\.77\.0\.2, where it was last seen, is (?:another device|bbbbbb2)/,
          );
        }),
      );
      await Promise.all(asking);
      assert.equal(logins(), before);
    } finally {
      await device(0).setConnected(true);
      await Promise.all([give(0, first), give(1, second)]);
    }
  });
});
