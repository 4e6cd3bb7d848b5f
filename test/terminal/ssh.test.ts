import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davitProgram } from '../support/davit.js';
import { type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

describe('davit ssh on a terminal', { skip: sshServerSkipReason() }, () => {
  let server: SshServer;
  before(async () => {
    server = await startSshServer();
  });
  after(() => server.close());

  /** A local shell on a terminal, in which `device` logs in to the server with a key. */
  async function shell(t: TestContext, identityFile = server.identityFile) {
    const home = await temporaryFolder(t);
    const login = [...davitProgram, 'ssh', '127.0.0.1', '--port', String(server.port), '--identity', identityFile];
    const startup = path.join(home, 'startup');
    await writeFile(startup, "PS1='local> '\n");
    const environment = { HOME: home, DAVIT_DATA_DIR: path.join(home, 'data') };
    const terminal = await openTerminal(`bash --rcfile ${startup}`, environment);
    t.after(() => terminal.close());
    await terminal.until(/local>/);
    const start = async (words = '') => {
      await terminal.type(`${login.join(' ')} ${words}; echo "ended with $?"`);
      await terminal.press('Enter');
    };
    return { terminal, start };
  }

  it('opens a shell, passes keys and Ctrl-C through, and ends with its exit code', async (t) => {
    const { terminal, start } = await shell(t);
    await start();
    await terminal.until(/remembering its host key[\s\S]*[#$]$/m);
    await terminal.type("PS1='remote''> '; tty");
    await terminal.press('Enter');
    await terminal.until(/\/dev\/pts\/\d+\n+remote>/);
    await terminal.type('sleep 1000; echo slept');
    await terminal.press('Enter');
    await terminal.until(/sleep 1000; echo slept\n/);
    await terminal.press('C-c');
    await terminal.until(/\^C\n+remote>/);
    await terminal.type('exit 7');
    await terminal.press('Enter');
    await terminal.until(/ended with 7\n+local>/);
  });

  it('tells the remote side the size of the window and every change of it', async (t) => {
    const { terminal, start } = await shell(t);
    await start();
    await terminal.until(/remembering its host key[\s\S]*[#$]$/m);
    await terminal.type('stty size');
    await terminal.press('Enter');
    await terminal.until(/^24 80$/m);
    await terminal.resize(100, 40);
    await terminal.type('clear; stty size');
    await terminal.press('Enter');
    await terminal.until(/^40 100$/m);
  });

  it('leaves the terminal as it was found', async (t) => {
    const { terminal, start } = await shell(t);
    await terminal.type('stty -a | md5sum');
    await terminal.press('Enter');
    const [before] = /[0-9a-f]{32}/.exec(await terminal.until(/[0-9a-f]{32} {2}-/)) ?? [];
    await start();
    await terminal.until(/remembering its host key[\s\S]*[#$]$/m);
    await terminal.type('kill -KILL $$');
    await terminal.press('Enter');
    await terminal.until(/ended with 137\n+local>/);
    await terminal.type('clear; stty -a | md5sum');
    await terminal.press('Enter');
    const [, later] = /^([0-9a-f]{32}) {2}-\n+local>/m.exec(await terminal.until(/^[0-9a-f]{32} {2}-\n+local>/m)) ?? [];
    assert.ok(before);
    assert.equal(later, before);
  });

  it('runs a full-screen program with --tty and takes Ctrl-C to the command without', async (t) => {
    const { terminal, start } = await shell(t);
    await start("--tty -- 'printf ready; read -r line; echo got $line'");
    await terminal.until(/ready/);
    await terminal.type('it');
    await terminal.press('Enter');
    await terminal.until(/got it[\s\S]*ended with 0/);
    await start("-- 'echo going; sleep 1000'");
    await terminal.until(/^going$/m);
    await terminal.press('C-c');
    await terminal.until(/interrupted\n+ended with 130/);
  });

  it('asks for the passphrase of a key', async (t) => {
    const locked = path.join(await temporaryFolder(t), 'locked');
    await runChecked('copying a key', 'cp', [server.identityFile, locked]);
    await runChecked('locking a key', 'ssh-keygen', ['-q', '-p', '-P', '', '-N', 'open sesame', '-f', locked]);
    const { terminal, start } = await shell(t, locked);
    await start('-- echo arrived');
    await terminal.until(/Passphrase of/);
    await terminal.type('open sesame');
    await terminal.press('Enter');
    const screen = await terminal.until(/^arrived$[\s\S]*ended with 0/m);
    assert.ok(!screen.includes('open sesame'));
  });
});
