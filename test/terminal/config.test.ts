import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

async function start(t: TestContext, folder: string, ...words: readonly string[]) {
  const command = [...davitProgram, ...words].join(' ');
  const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
  t.after(() => terminal.close());
  return terminal;
}

describe('davit config on a terminal', () => {
  it('asks for the value of a secret, does not show it, and writes it', async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'));
    const terminal = await start(t, folder, 'config', 'write', image.path, 'hostname', 'kiosk', 'apiKey');
    await terminal.until(/Value of apiKey/);
    await terminal.type('s3cret');
    await terminal.until(/\*{6}/);
    await terminal.press('Enter');
    assert.doesNotMatch(await terminal.until(/ended with 0/), /s3cret/);
    const config = JSON.parse(String(await readBootFile(image, 'config.json', `${image.path}.read`))) as object;
    assert.deepEqual(config, {
      ...{ deviceType: 'raspberrypi4-64', persistentLogging: false },
      ...{ hostname: 'kiosk', apiKey: 's3cret' },
    });
  });

  it('asks nothing when something else is wrong', async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'));
    const before = await readFile(image.path);
    const terminal = await start(t, folder, 'config', 'write', image.path, 'listenPort', '0', 'apiKey');
    assert.doesNotMatch(await terminal.until(/ended with 2/), /Value of/);
    assert.ok(before.equals(await readFile(image.path)));
  });

  it('hides secrets of what it generates, as it does everywhere', async (t) => {
    const folder = await temporaryFolder(t);
    const fleet = path.join(folder, 'fleet.json');
    await writeFile(fleet, '{"deviceType": "x", "apiEndpoint": "https://a.example", "apiKey": "s3cret"}');
    const terminal = await start(t, folder, 'config', 'generate', '--from', fleet);
    const screen = await terminal.until(/ended with 0/);
    assert.match(screen, /"apiKey": "\(hidden\)"/);
    assert.doesNotMatch(screen, /s3cret/);
  });
});
