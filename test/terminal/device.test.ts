import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { startLiveDevice } from '../support/live-device.js';
import { sshServerSkipReason } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

const systemctl = '#!/bin/sh\necho "$*" >> /run/unit-calls\n';

describe('davit device shutdown on a terminal', { skip: sshServerSkipReason() }, () => {
  it('switches the device off when told so, and leaves it alone otherwise', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': '{}' }, programs: { systemctl } });
    const home = await temporaryFolder(t);
    const environment = { HOME: home, DAVIT_DATA_DIR: path.join(home, 'data') };
    const login = ['--port', String(live.server.port), '--identity', live.server.identityFile, '--no-wait'];
    const words = [...davitProgram, 'device', 'shutdown', '127.0.0.1', ...login].join(' ');
    for (const [answer, exitCode, calls] of [
      ['n', 130, []],
      ['y', 0, ['poweroff --no-block']],
    ] as const) {
      const terminal = await openTerminal(`sh -c '${words}; echo "ended with $?"; sleep 60'`, environment);
      t.after(() => terminal.close());
      await terminal.until(/Switch off 127\.0\.0\.1\?/);
      await terminal.type(answer);
      await terminal.press('Enter');
      await terminal.until(new RegExp(`ended with ${exitCode}$`, 'm'));
      assert.deepEqual(await live.unitCalls(), calls);
    }
  });
});
