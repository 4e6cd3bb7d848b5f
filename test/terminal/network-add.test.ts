import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { davit, davitProgram } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

describe('davit network add on a terminal', () => {
  async function setUp(t: TestContext) {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'));
    const start = async (...words: string[]) => {
      const command = [...davitProgram, 'network', 'add', image.path, ...words].join(' ');
      const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
      t.after(() => terminal.close());
      return terminal;
    };
    const read = async (name: string) =>
      String(await readBootFile(image, `system-connections/${name}`, path.join(folder, 'read')));
    return { folder, image, start, read };
  }

  it('asks for the key of a Wi-Fi network and does not show it', async (t) => {
    const { start, read } = await setUp(t);
    const terminal = await start('office', '--wifi-ssid', 'Office', '--hidden');
    await terminal.until(/Wi-Fi key of the network office/);
    await terminal.type('s3cret key');
    await terminal.press('Enter');
    assert.doesNotMatch(await terminal.until(/ended with 0/), /s3cret/);
    assert.match(await read('office'), /^psk=s3cret key$/m);
  });

  it('asks for the secrets of a network that show printed, and puts it in anew', async (t) => {
    const { folder, image, start, read } = await setUp(t);
    const modem = ['network', 'add', image.path, 'modem', '--apn', 'internet', '--user', 'me'];
    const environment = { DAVIT_NETWORK_PASSWORD: 's3cret', DAVIT_SIM_PIN: '1234' };
    assert.equal((await davit(modem, { environment })).exitCode, 0);
    const before = await read('modem');
    const shown = path.join(folder, 'modem.yaml');
    await writeFile(shown, (await davit(['network', 'show', image.path, 'modem'])).stdout);
    const terminal = await start('modem', '--from', shown, '--force');
    await terminal.until(/Password of modem/);
    await terminal.type('0ther');
    await terminal.press('Enter');
    await terminal.until(/PIN of modem/);
    await terminal.type('1234');
    await terminal.press('Enter');
    await terminal.until(/ended with 0/);
    assert.equal(await read('modem'), before.replace('s3cret', '0ther'));
  });

  it('asks nothing where there is a network of the name already', async (t) => {
    const { image, start } = await setUp(t);
    assert.equal((await davit(['network', 'add', image.path, 'office'])).exitCode, 0);
    const terminal = await start('office', '--wifi-ssid', 'Office');
    assert.doesNotMatch(await terminal.until(/ended with 4/), /Wi-Fi key of/);
  });
});
