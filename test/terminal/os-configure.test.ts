import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

describe('davit os configure on a terminal', () => {
  async function start(t: TestContext) {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'));
    const output = path.join(folder, 'out.img');
    const words = ['os', 'configure', image.path, '--output', output, '--dev', '--wifi-ssid', 'Office'];
    const command = [...davitProgram, ...words].join(' ');
    const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
    t.after(() => terminal.close());
    await terminal.until(/Wi-Fi key of the network Office/);
    return { folder, output: { path: output, bootAddress: `${output}@@${image.boot.start}` }, terminal };
  }

  it('asks for the Wi-Fi key and does not show it', async (t) => {
    const { output, terminal } = await start(t);
    await terminal.type('s3cret key');
    await terminal.until(/\*{10}/);
    await terminal.press('Enter');
    assert.doesNotMatch(await terminal.until(/ended with 0/), /s3cret/);
    const written = await readBootFile(output, 'system-connections/resin-wifi', `${output.path}.read`);
    assert.match(String(written), /^psk=s3cret key$/m);
  });

  it('ends with 130 and leaves nothing when Ctrl-C is pressed instead', async (t) => {
    const { folder, terminal } = await start(t);
    await terminal.type('s3cr');
    await terminal.press('C-c');
    await terminal.until(/ended with 130/);
    assert.deepEqual(await readdir(folder), ['device.img']);
  });

  it('asks for what a profile says to ask for', async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'));
    const [profile, output] = [path.join(folder, 'p.yaml'), path.join(folder, 'out.img')];
    const network = (ssid: string) => `{ type: wifi, ssid: ${ssid}, key: { prompt: Key of ${ssid} } }`;
    await writeFile(profile, `mode: development\nnetworks:\n  a: ${network('One')}\n  b: ${network('Two')}\n`);
    const words = ['os', 'configure', image.path, '--output', output, '--profile', profile];
    const command = [...davitProgram, ...words].join(' ');
    const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
    t.after(() => terminal.close());
    for (const ssid of ['One', 'Two']) {
      await terminal.until(new RegExp(`Key of ${ssid}`));
      await terminal.type(`s3cret key ${ssid}`);
      await terminal.press('Enter');
    }
    assert.doesNotMatch(await terminal.until(/ended with 0/), /s3cret/);
    const configured = { bootAddress: `${output}@@${image.boot.start}` };
    const written = await readBootFile(configured, 'system-connections/b', `${output}.read`);
    assert.match(String(written), /^psk=s3cret key Two$/m);
  });

  const mistakes: Readonly<Record<string, (folder: string) => Promise<readonly string[]>>> = {
    'the output exists': async (folder) => {
      await writeFile(path.join(folder, 'device.configured.img'), 'x');
      return [];
    },
    'a setting is wrong': () => Promise.resolve(['--hostname', '-x-']),
    'the boot partition is too full': async (folder) => {
      await writeFile(path.join(folder, 'big'), Buffer.alloc(20_000_000));
      await writeFile(path.join(folder, 'big.yaml'), 'bootFiles: { big: big }');
      return ['--profile', path.join(folder, 'big.yaml')];
    },
  };
  for (const [mistake, prepare] of Object.entries(mistakes)) {
    it(`asks nothing where ${mistake}`, async (t) => {
      const folder = await temporaryFolder(t);
      const image = await makeOsImage(path.join(folder, 'device.img'));
      const words = ['os', 'configure', image.path, '--wifi-ssid', 'Office', ...(await prepare(folder))];
      const command = [...davitProgram, ...words].join(' ');
      const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
      t.after(() => terminal.close());
      assert.doesNotMatch(await terminal.until(/ended with [24]/), /Key of/);
    });
  }
});

describe('davit flash on a terminal', () => {
  it('asks for the Wi-Fi key only where the image and the drive are good', async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'));
    await writeFile(path.join(folder, 'small.img'), 'x');
    for (const [drive, isAsked] of [
      ['small.img', false],
      ['card.img', true],
    ] as const) {
      const words = ['flash', image.path, '--drive', path.join(folder, drive), '--wifi-ssid', 'Office', '--yes'];
      const command = [...davitProgram, ...words].join(' ');
      const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`, { HOME: folder });
      t.after(() => terminal.close());
      if (!isAsked) {
        assert.doesNotMatch(await terminal.until(/ended with 4/), /Key of/);
        continue;
      }
      await terminal.until(/Wi-Fi key of the network Office/);
      await terminal.type('a long enough key');
      await terminal.press('Enter');
      await terminal.until(/ended with 0/);
      const card = { bootAddress: `${path.join(folder, drive)}@@${image.boot.start}` };
      const written = await readBootFile(card, 'system-connections/resin-wifi', path.join(folder, 'wifi.read'));
      assert.match(String(written), /^psk=a long enough key$/m);
    }
  });
});
