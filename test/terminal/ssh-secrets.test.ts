import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davitProgram } from '../support/davit.js';
import { seededRandom } from '../support/seeded-random.js';
import { sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

const passphrase = 'open-sesame-4711';

describe('a passphrase and the key that it opens', { skip: sshServerSkipReason() }, () => {
  it('are never seen in a list of processes, in an environment or in a file, here or on the device', async (t) => {
    const server = await startSshServer({ configuration: ['Subsystem sftp /usr/lib/openssh/sftp-server'] });
    t.after(() => server.close());
    const [home, temporary] = [await temporaryFolder(t), await temporaryFolder(t)];
    const locked = path.join(await temporaryFolder(t), 'locked');
    await runChecked('copying a key', 'cp', [server.identityFile, locked]);
    await runChecked('locking a key', 'ssh-keygen', ['-q', '-p', '-P', '', '-N', passphrase, '-f', locked]);
    const keyLines = (await readFile(server.identityFile, 'utf8')).split('\n').slice(1, -2);
    const secrets = [passphrase, ...keyLines.slice(2)];
    const look = (text: string, where: string) => {
      for (const secret of secrets) assert.ok(!text.includes(secret), `${where}: ${text.slice(0, 200)}`);
    };

    const source = path.join(home, 'source');
    await writeFile(source, seededRandom(1).bytes(40_000_000));
    const flags = ['--port', String(server.port), '--identity', locked].join(' ');
    const davit = davitProgram.join(' ');
    const ended = path.join(home, 'ended');
    const lines = [
      `${davit} ssh 127.0.0.1 ${flags} -- 'sleep 0.5; echo said'`,
      `${davit} cp ${flags} ${source} 127.0.0.1:${path.join(home, 'copy')}`,
      `timeout --foreground -s INT 8 ${davit} tunnel 127.0.0.1 0:${server.port} ${flags}`,
    ];
    for (const line of lines) {
      const environment = { HOME: home, DAVIT_DATA_DIR: path.join(home, 'data'), TMPDIR: temporary };
      const terminal = await openTerminal(`bash -c '${line.replaceAll("'", `'\\''`)}; echo $? > ${ended}; sleep 100'`, {
        ...environment,
      });
      try {
        await terminal.until(/Passphrase of/);
        await terminal.type(passphrase);
        await terminal.press('Enter');
        let looks = 0;
        while (!(await readdir(home)).includes('ended')) looks += await lookAtProcesses(look);
        assert.ok(looks > 1000, `${looks} looks`);
        // A tunnel is ended by the interruption.
        const exitCode = (await readFile(ended, 'utf8')).trim();
        assert.match(exitCode, line.includes('tunnel') ? /^(124|130)$/ : /^0$/, await terminal.screen());
        look(await terminal.screen(), 'the screen');
      } finally {
        await terminal.close();
      }
      await runChecked('removing', 'rm', [ended]);
    }
    look(server.log(), 'the log of the server');
    for (const folder of [home, temporary]) {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = path.join(entry.parentPath, entry.name);
        look(await readFile(file, 'latin1'), file);
      }
    }
  });
});

/** Shows the command line and the environment of every process but those that type for the user; returns how many were seen. */
async function lookAtProcesses(look: (text: string, where: string) => void): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  let looks = 0;
  for (const pid of pids) {
    const read = (what: string) => readFile(`/proc/${pid}/${what}`, 'latin1').catch(() => '');
    if ((await read('comm')).startsWith('tmux')) continue;
    for (const what of ['cmdline', 'environ']) {
      look(await read(what), `${what} of ${pid}`);
      looks++;
    }
  }
  return looks;
}
