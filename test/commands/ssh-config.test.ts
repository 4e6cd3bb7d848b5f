import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { run } from '../../src/lib/platform/child-process.js';
import { davit } from '../support/davit.js';
import { hostKeyFrom } from '../support/host-key.js';
import { sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { userHome } from '../support/user-home.js';

describe('davit ssh-config', { skip: sshServerSkipReason() }, () => {
  it('prints entries by which OpenSSH reaches a device by its names, and refuses a changed key', async (t) => {
    const uuid = '63ec46c2b8e04a8e9e3b1d7a5f0c9e21';
    const server = await startSshServer({ configJson: { uuid } });
    t.after(() => server.close());
    const { environment } = await userHome(t);
    const { HOME, DAVIT_DATA_DIR } = environment;
    const words = ['ssh', '127.0.0.1', '--port', String(server.port), '--identity', server.identityFile];
    assert.equal((await davit(['ssh-config', 'localhost'], { environment })).exitCode, 3);
    assert.equal((await davit([...words, '--', 'true'], { environment })).exitCode, 0);

    const printed = await davit(['ssh-config', '127.0.0.1'], { environment });
    assert.equal(printed.exitCode, 0, printed.stderr);
    assert.equal((await davit(['ssh-config'], { environment })).stdout, printed.stdout);
    const file = path.join(environment.HOME, 'config');
    await writeFile(file, printed.stdout);
    const ssh = (host: string) => {
      const options = ['-F', file, '-i', server.identityFile, '-o', 'BatchMode=yes', host, 'exit 42'];
      return run('ssh', options, { environment: { HOME, DAVIT_DATA_DIR } });
    };
    const result = await ssh('127.0.0.1');
    assert.equal(result.exitCode, 42, result.stderr);
    assert.match(printed.stdout, new RegExp(`^Host 127\\.0\\.0\\.1 ${uuid} 63ec46c$[^]*HostKeyAlias ${uuid}$`, 'm'));
    await server.changeHostKey();
    const refused = await ssh('127.0.0.1');
    assert.equal(refused.exitCode, 255);
    assert.match(refused.stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED/);
  });

  it('prints none for the hosts that stand before devices, which are pinned too', async (t) => {
    const { environment } = await userHome(t);
    const pins = ['[ssh.example.com]:22', 'crane'].map((name, seed) => {
      const { type, key } = hostKeyFrom(seed + 1);
      return `${name} ${type} ${key}\n`;
    });
    await mkdir(environment.DAVIT_DATA_DIR, { recursive: true });
    await writeFile(path.join(environment.DAVIT_DATA_DIR, 'known_hosts'), pins.join(''));
    const { stdout } = await davit(['ssh-config'], { environment });
    assert.deepEqual(stdout.match(/^Host .*/gm), ['Host crane crane.local']);
  });

  it('leads davit itself nowhere but to the device', async (t) => {
    const server = await startSshServer();
    t.after(() => server.close());
    const { environment } = await userHome(t);
    const words = ['ssh', '127.0.0.1', '--port', String(server.port), '--identity', server.identityFile, '--', 'true'];
    assert.equal((await davit(words, { environment })).exitCode, 0);
    const { stdout } = await davit(['ssh-config'], { environment });
    await run('mkdir', ['-m', '700', path.join(environment.HOME, '.ssh')]);
    await writeFile(path.join(environment.HOME, '.ssh', 'config'), stdout, { mode: 0o600 });
    assert.equal((await davit(words, { environment })).exitCode, 0);
  });
});
