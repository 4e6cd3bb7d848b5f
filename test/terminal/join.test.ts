import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { startCloud, startJoiningDevice } from '../support/joining-device.js';
import { sshServerSkipReason } from '../support/ssh-server.js';
import { openTerminal } from '../support/terminal.js';
import { userHome } from '../support/user-home.js';

describe('davit join on a terminal', { skip: sshServerSkipReason() }, () => {
  it('shows what it would do, asks, and takes no for no', async (t) => {
    const config = '{"deviceType":"raspberrypi2","hostname":"crane"}';
    const [device, cloud, home] = [await startJoiningDevice(t, { config }), await startCloud(t), await userHome(t)];
    const file = path.join(home.environment.HOME, 'fleet.json');
    await writeFile(file, JSON.stringify({ apiEndpoint: cloud.origin, applicationId: 17, apiKey: 'sesame-0123' }));
    const { port, identityFile } = device.server;
    const words = ['join', '127.0.0.1', '--port', String(port), '--identity', identityFile, '--engine-port', '1'];
    const command = [...davitProgram, ...words, '--config', file].join(' ');
    const { HOME, DAVIT_DATA_DIR } = home.environment;
    const terminal = await openTerminal(`${command}; echo exit=$?; cat`, { HOME, DAVIT_DATA_DIR });
    t.after(() => terminal.close());
    const asked = await terminal.until(/Join http:.* with 127\.0\.0\.1\? \(y\/N\)/);
    assert.match(asked, /\+ applicationId: 17[^]*\+ apiKey: "\(hidden\)"/);
    await terminal.type('n');
    await terminal.press('Enter');
    await terminal.until(/nothing was done[^]*exit=130/);
    assert.equal(await device.read('/mnt/boot/config.json'), config);
    assert.deepEqual(await device.unitCalls(), []);
  });
});
