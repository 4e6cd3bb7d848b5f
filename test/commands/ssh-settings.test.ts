import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davit } from '../support/davit.js';
import { type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { userHome } from '../support/user-home.js';

describe("davit ssh and the user's configuration of OpenSSH", { skip: sshServerSkipReason() }, () => {
  let server: SshServer;
  before(async () => {
    server = await startSshServer();
  });
  after(() => server.close());

  /** The environment of a user with this ~/.ssh/config. */
  async function userWith(t: TestContext, lines: readonly string[], agent?: string) {
    const user = await userHome(t, agent);
    const folder = path.join(user.environment.HOME, '.ssh');
    await mkdir(folder, { mode: 0o700 });
    await writeFile(path.join(folder, 'config'), `${lines.join('\n')}\n`, { mode: 0o600 });
    return user;
  }

  const entry = (...lines: readonly string[]) => ['Host bench', 'HostName 127.0.0.1', `Port ${server.port}`, ...lines];

  async function agentWith(t: TestContext, ...keys: readonly string[]): Promise<string> {
    const socket = path.join(await temporaryFolder(t), 'agent');
    const started = await runChecked('starting an agent', 'ssh-agent', ['-a', socket]);
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
    t.after(() => process.kill(pid));
    for (const key of keys)
      await runChecked('adding a key', 'ssh-add', ['-q', key], { environment: { SSH_AUTH_SOCK: socket } });
    return socket;
  }

  it('goes where an entry says, with its port and key', async (t) => {
    const user = await userWith(t, entry(`IdentityFile ${server.identityFile}`));
    const result = await davit(['ssh', 'bench', '--json', '--', 'true'], user);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stdout, /"device": "bench",\s+"address": "127.0.0.1"/);
    const pins = await readFile(path.join(user.environment.DAVIT_DATA_DIR, 'known_hosts'), 'utf8');
    assert.ok(pins.startsWith(`[bench]:${server.port} `), pins);
  });

  it('lets flags come before it', async (t) => {
    const user = await userWith(t, entry('IdentityFile /nowhere/key', 'Port 1', 'User nobody'));
    const flags = ['--port', String(server.port), '--user', 'root', '--identity', server.identityFile];
    assert.equal((await davit(['ssh', 'bench', ...flags, '--', 'true'], user)).exitCode, 0);
  });

  it('takes a user that is said of the device, and not one that is said of all hosts', async (t) => {
    const key = `IdentityFile ${server.identityFile}`;
    const ofAll = await userWith(t, [...entry(key), 'Host *', 'User somebody', 'Port 1']);
    assert.equal((await davit(['ssh', 'bench', '--', 'true'], ofAll)).exitCode, 0);
    const ofDevice = await userWith(t, entry(key, 'User somebody'));
    const result = await davit(['ssh', 'bench', '--', 'true'], ofDevice);
    assert.equal(result.exitCode, 7);
    assert.match(result.stderr, /does not let somebody in/);
  });

  it('goes through a ProxyCommand, which gets host, port and user', async (t) => {
    const folder = await temporaryFolder(t);
    const relay = path.join(folder, 'relay.cjs');
    const script = `const to = require('net').connect(${server.port}, '127.0.0.1'); process.stdin.pipe(to).pipe(process.stdout);`;
    await writeFile(relay, script);
    const proxy = `sh -c 'echo %h %p %r > ${folder}/asked; exec ${process.execPath} ${relay}'`;
    const lines = ['Host bench', 'HostName far.away', `IdentityFile ${server.identityFile}`, `ProxyCommand ${proxy}`];
    const user = await userWith(t, lines);
    const result = await davit(['ssh', 'bench', '--', 'echo hello'], user);
    assert.deepEqual([result.exitCode, result.stdout], [0, 'hello\n'], result.stderr);
    assert.equal(await readFile(path.join(folder, 'asked'), 'utf8'), 'far.away 22222 root\n');
  });

  it('ends with 6 when the ProxyCommand fails', async (t) => {
    const result = await davit(['ssh', 'bench', '--', 'true'], await userWith(t, ['Host bench', 'ProxyCommand false']));
    assert.equal(result.exitCode, 6, result.stderr);
  });

  it('goes through one host after another with ProxyJump, and leaves none of them behind', async (t) => {
    const [first, second] = await Promise.all([startSshServer(), startSshServer()]);
    t.after(() => Promise.all([first.close(), second.close()]));
    const jump = (name: string, one: SshServer) => [
      `Host ${name}`,
      'HostName 127.0.0.1',
      'User root',
      `Port ${one.port}`,
      `IdentityFile ${one.identityFile}`,
    ];
    const lines = [
      ...entry(`IdentityFile ${server.identityFile}`, 'ProxyJump first,second'),
      ...jump('first', first),
      ...jump('second', second),
    ];
    const user = await userWith(t, lines);
    const result = await davit(['ssh', 'bench', '--', 'exit 42'], user);
    assert.equal(result.exitCode, 42, result.stderr);
    for (const one of [first, second]) assert.match(one.log(), /Accepted publickey/);
    const pins = await readFile(path.join(user.environment.DAVIT_DATA_DIR, 'known_hosts'), 'utf8');
    assert.equal(pins.trim().split('\n').length, 3);

    await first.changeHostKey();
    const refused = await davit(['ssh', 'bench', '--', 'true'], user);
    assert.equal(refused.exitCode, 4, refused.stderr);
  });

  it('offers of the agent only the keys that are named, with IdentitiesOnly', async (t) => {
    const agent = await agentWith(t, server.wrongIdentityFile, server.identityFile);
    const publicKey = path.join(await temporaryFolder(t), 'key.pub');
    await writeFile(publicKey, await readFile(`${server.identityFile}.pub`));
    const before = server.log().length;
    const user = await userWith(t, entry(`IdentityFile ${publicKey}`, 'IdentitiesOnly yes'), agent);
    const result = await davit(['ssh', 'bench', '--', 'true'], user);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.doesNotMatch(server.log().slice(before), /Failed publickey/);
  });

  it('asks for no passphrase of a key that the agent has', async (t) => {
    const locked = path.join(await temporaryFolder(t), 'locked');
    await writeFile(locked, await readFile(server.identityFile), { mode: 0o600 });
    await runChecked('locking', 'ssh-keygen', ['-q', '-p', '-N', 'open sesame', '-f', locked]);
    const agent = await agentWith(t, server.identityFile);
    const user = await userWith(t, entry(), agent);
    const result = await davit(['ssh', 'bench', '--identity', locked, '--', 'true'], user);
    assert.equal(result.exitCode, 0, result.stderr);
  });

  it('says where to go with a certificate', async (t) => {
    const folder = await temporaryFolder(t);
    const make = (...words: readonly string[]) => runChecked('making a key', 'ssh-keygen', ['-q', ...words]);
    await make('-t', 'ed25519', '-N', '', '-f', path.join(folder, 'authority'));
    await make('-t', 'ed25519', '-N', '', '-f', path.join(folder, 'key'));
    await make('-s', path.join(folder, 'authority'), '-I', 'me', '-n', 'root', path.join(folder, 'key.pub'));
    const trusting = await startSshServer({
      configuration: [`TrustedUserCAKeys ${path.join(folder, 'authority.pub')}`],
    });
    t.after(() => trusting.close());
    const words = ['ssh', '127.0.0.1', '--port', String(trusting.port), '--identity', path.join(folder, 'key')];
    const result = await davit([...words, '--', 'true'], await userWith(t, []));
    assert.equal(result.exitCode, 7);
    assert.match(result.stderr, /key-cert\.pub.*ssh-config/s);

    const agent = await agentWith(t, path.join(folder, 'key'));
    const held = await davit(
      ['ssh', '127.0.0.1', '--port', String(trusting.port), '--', 'true'],
      await userWith(t, [], agent),
    );
    assert.equal(held.exitCode, 7);
    assert.match(held.stderr, /ssh-ed25519-cert-v01@openssh\.com .* in the SSH agent.*ssh-config/s);
  });

  it('says where to go with a key on a security token, and passes over it where it is one of several', async (t) => {
    const file = path.join(await temporaryFolder(t), 'token');
    await writeFile(file, tokenKey(), { mode: 0o600 });
    const login = ['ssh', '127.0.0.1', '--port', String(server.port), '--identity', file, '--', 'true'];
    const alone = await davit(login, await userWith(t, []));
    assert.equal(alone.exitCode, 2);
    assert.match(alone.stderr, /security token.*ssh-config/s);

    const one = await userWith(t, entry(`IdentityFile ${file}`));
    const refused = await davit(['ssh', 'bench', '--', 'true'], one);
    assert.equal(refused.exitCode, 7);
    assert.ok(refused.stderr.includes(file), refused.stderr);
    const several = await userWith(t, entry(`IdentityFile ${file}`, `IdentityFile ${server.identityFile}`));
    assert.equal((await davit(['ssh', 'bench', '--', 'true'], several)).exitCode, 0);
  });

  it('says that it does not check certificates of hosts, where an authority is known for one', async (t) => {
    const user = await userWith(t, entry(`IdentityFile ${server.identityFile}`));
    const known = path.join(user.environment.HOME, '.ssh', 'known_hosts');
    await writeFile(known, `@cert-authority *.example,bench ${await server.hostKey()}\n`);
    const result = await davit(['ssh', 'bench', '--', 'true'], user);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.ok(result.stderr.includes(`does not check certificates, as ${known}:1 asks for`), result.stderr);
  });
});

/** What ssh-keygen -t ed25519-sk writes with a token, with numbers that no token has (openssh/PROTOCOL.key, PROTOCOL.u2f). */
function tokenKey(): string {
  const string = (content: string | Uint8Array) => {
    const bytes = Buffer.from(content);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const publicKey = [string('sk-ssh-ed25519@openssh.com'), string(Buffer.alloc(32, 7)), string('ssh:')];
  const handle = [Buffer.from([1]), string(Buffer.alloc(64, 9)), string(''), string('me')];
  const secret = Buffer.concat([Buffer.alloc(8, 1), ...publicKey, ...handle]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const key = Buffer.concat([
    ...[Buffer.from('openssh-key-v1\0'), string('none'), string('none'), string(''), Buffer.from([0, 0, 0, 1])],
    ...[string(Buffer.concat(publicKey)), string(Buffer.concat([secret, padding]))],
  ]);
  const lines = key.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}
