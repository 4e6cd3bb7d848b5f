import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davit, davitProgram } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

const key = 's3cret; "key" $HOME';
const ssid = `Bob's "café" $x; 1`;

async function start(t: TestContext, words: readonly string[] = []) {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, 'home', '.ssh'), { recursive: true });
  const sshKey = path.join(folder, 'home', '.ssh', 'id.pub');
  await runChecked('making a key', 'ssh-keygen', ['-q', '-N', '', '-C', 'me', '-f', sshKey.replace('.pub', '')]);
  const image = await makeOsImage(path.join(folder, 'device.img'));
  const command = [...davitProgram, 'os', 'configure', 'device.img', ...words].join(' ');
  const terminal = await openTerminal(`cd ${folder}; ${command}; echo "ended with $?"; exec sleep 60`, {
    HOME: path.join(folder, 'home'),
    LANG: 'de_DE.UTF-8',
    LC_ALL: '',
    SSH_AUTH_SOCK: '',
  });
  t.after(() => terminal.close());
  await terminal.resize(160, 60);
  const answer = async (question: RegExp, ...keys: readonly string[]) => {
    await terminal.until(question);
    for (const one of keys) {
      if (['Enter', 'Down', 'Up', 'Space'].includes(one)) await terminal.press(one);
      else await terminal.type(one);
    }
  };
  /** Runs the command line that davit showed, and gives the image that it makes. */
  const again = async (screen: string): Promise<Buffer> => {
    const [, shown = ''] = /without these questions:\n([^]*?)\n(It asks|ended)/.exec(screen) ?? [];
    const script = shown.trim().replace(/^davit /, `${davitProgram.join(' ')} `);
    assert.notEqual(script, shown.trim());
    const lines = script.split('\n');
    const own = [`${lines[0] ?? ''} --output again.img`, ...lines.slice(1)]
      .join('\n')
      .replace(/( <<'END') (.*)/, ' $2$1');
    await runChecked('doing it again', 'bash', ['-c', own], { cwd: folder, environment: { DAVIT_WIFI_KEY: key } });
    return readFile(path.join(folder, 'again.img'));
  };
  return { folder, image, sshKey, terminal, answer, again };
}

const mode = /Mode:/;
const sshKeys = /SSH keys that/;
const network = /Network:/;
const where = /Where does it go/;
const save = /Save the answers/;

describe('davit os configure without a word about what', () => {
  it('asks, writes what was answered, and ends with a command that does the same', async (t) => {
    const { folder, image, terminal, answer, again } = await start(t);
    await answer(/Hostname/, 'kiosk', 'Enter');
    await answer(mode, 'Down', 'Enter');
    await answer(sshKeys, 'Space', 'Enter');
    await answer(network, 'Down', 'Enter');
    await answer(/SSID/, ssid, 'Enter');
    await answer(/Wi-Fi key/, key, 'Enter');
    await answer(/Country.*DE/, 'Enter');
    await answer(where, 'Enter');
    await answer(save, 'Enter');
    const screen = await terminal.until(/ended with 0/);
    assert.ok(!screen.includes(key) && screen.includes('It asks for the Wi-Fi key'), screen);
    const output = path.join(folder, 'device.configured.img');
    const bootAddress = `${output}@@${image.boot.start}`;
    const written = String(await readBootFile({ bootAddress }, 'system-connections/resin-wifi', `${output}.read`));
    assert.ok(written.includes(`psk=${key}\n`), written);
    const config = String(await readBootFile({ bootAddress }, 'config.json', `${output}.read`));
    assert.match(config, /"developmentMode":true.*"hostname":"kiosk".*"country":"DE".*"sshKeys":\["ssh-/);
    assert.deepEqual((await readdir(folder)).sort(), ['device.configured.img', 'device.img', 'home']);
    assert.ok((await again(screen)).equals(await readFile(output)));
  });

  it('saves a profile without the secret, which does the same', async (t) => {
    const { folder, terminal, answer } = await start(t);
    await answer(/Hostname/, 'kiosk', 'Enter');
    await answer(mode, 'Enter');
    await answer(sshKeys, 'Space', 'Enter');
    await answer(network, 'Down', 'Enter');
    await answer(/SSID/, ssid, 'Enter');
    await answer(/Wi-Fi key/, key, 'Enter');
    await answer(/Country.*DE/, 'Enter');
    await answer(where, 'Down', 'Enter');
    await answer(/Name:/, 'out.img', 'Enter');
    await answer(save, 'y', 'Enter');
    await answer(/Profile:/, 'Enter');
    assert.match(
      await terminal.until(/ended with 0/),
      /configure device\.img --profile=device\.yaml --output=out\.img/,
    );
    const profile = path.join(folder, 'device.yaml');
    assert.ok(!(await readFile(profile, 'utf8')).includes(key));
    const { exitCode, stdout } = await davit(['profile', 'check', profile], {
      environment: { HOME: path.join(folder, 'home') },
    });
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /Will be asked for: \/networks\/resin-wifi\/key/);
    const second = await openTerminal(
      `cd ${folder}; ${davitProgram.join(' ')} os configure device.img --profile device.yaml; echo "ended with $?"; exec sleep 60`,
    );
    t.after(() => second.close());
    await second.until(/Wi-Fi key of the network/);
    await second.type(key);
    await second.press('Enter');
    await second.until(/ended with 0/);
    const [first, then] = ['out.img', 'device.configured.img'].map((name) => readFile(path.join(folder, name)));
    assert.deepEqual(await first, await then);
  });

  it('gives a fixed address, also in place', async (t) => {
    const { folder, image, terminal, answer, again } = await start(t);
    await runChecked('keeping a copy', 'cp', [image.path, path.join(folder, 'copy.img')]);
    await answer(/Hostname/, 'Enter');
    await answer(mode, 'Enter');
    await answer(sshKeys, 'Enter');
    await answer(network, 'Up', 'Enter');
    await answer(/Address/, '10.0.0.5', 'Enter');
    await answer(/must have|must be/, '/24', 'Enter');
    await answer(/Gateway/, '10.0.0.1', 'Enter');
    await answer(/DNS.*10\.0\.0\.1/, 'Enter');
    await answer(where, 'Down', 'Down', 'Enter');
    await answer(save, 'n', 'Enter');
    const screen = await terminal.until(/ended with 0/);
    const changed = await readFile(image.path);
    const written = String(await readBootFile(image, 'system-connections/wired', `${image.path}.read`));
    assert.match(written, /address1=10\.0\.0\.5\/24,10\.0\.0\.1\ndns=10\.0\.0\.1;\nmethod=manual/);
    assert.match(screen, /--profile=\/dev\/stdin --in-place/);
    await runChecked('going back', 'mv', [path.join(folder, 'copy.img'), image.path]);
    assert.deepEqual(await again(screen.replace(' --in-place', '')), changed);
  });

  const questions: readonly (readonly [RegExp, ...string[]])[] = [
    [/Hostname/, 'kiosk', 'Enter'],
    [mode, 'Down', 'Enter'],
    [sshKeys, 'Space', 'Enter'],
    [network, 'Down', 'Enter'],
    [/SSID/, 'Office', 'Enter'],
    [/Wi-Fi key/, 'a long enough key', 'Enter'],
    [/Country.*DE/, 'Enter'],
    [where, 'Enter'],
    [save, 'y', 'Enter'],
    [/Profile:/, 'Enter'],
  ];
  for (const at of [0, 2, 5, 7, 9]) {
    it(`leaves nothing when Ctrl-C is pressed at question ${at + 1}`, async (t) => {
      const { folder, image, terminal, answer } = await start(t);
      const before = await readFile(image.path);
      for (const [question, ...keys] of questions.slice(0, at)) await answer(question, ...keys);
      await terminal.until(questions[at]?.[0] ?? /never/);
      await terminal.press('C-c');
      assert.doesNotMatch(await terminal.until(/ended with 130/), /a long enough key/);
      assert.deepEqual((await readdir(folder)).sort(), ['device.img', 'home']);
      assert.ok(before.equals(await readFile(image.path)));
    });
  }

  it('asks nothing about an image that cannot be configured', async (t) => {
    const folder = await temporaryFolder(t);
    await writeFile(path.join(folder, 'x.img'), Buffer.alloc(4096));
    const command = [...davitProgram, 'os', 'configure', path.join(folder, 'x.img')].join(' ');
    const terminal = await openTerminal(`${command}; echo "ended with $?"; exec sleep 60`);
    t.after(() => terminal.close());
    assert.doesNotMatch(await terminal.until(/ended with [34]/), /Hostname/);
  });

  it('lays the answers over what flags say, and shows only what would be done with --dry-run', async (t) => {
    const { folder, terminal, answer } = await start(t, [
      ...['--interactive', '--dry-run', '--hostname', 'from-flag', '--persistent-logging'],
    ]);
    await answer(/Hostname/, 'asked', 'Enter');
    await answer(mode, 'Enter');
    await answer(sshKeys, 'Enter');
    await answer(network, 'Enter');
    const screen = await terminal.until(/ended with 0/);
    assert.match(screen, /hostname: not set -> "asked"/);
    assert.match(screen, /persistentLogging: false -> true/);
    assert.match(screen, /configure device\.img --hostname from-flag --persistent-logging --hostname asked$/m);
    assert.deepEqual((await readdir(folder)).sort(), ['device.img', 'home']);
  });

  it('asks nothing off a terminal, and names the flags', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'device.img'));
    const plain = await davit(['os', 'configure', image.path]);
    assert.deepEqual([plain.exitCode, plain.stdout], [2, '']);
    assert.match(plain.stderr, /--profile, --dev, --hostname or --wifi-ssid/);
    const asked = await davit(['os', 'configure', image.path, '--interactive']);
    assert.deepEqual([asked.exitCode, asked.stdout], [2, '']);
    assert.match(asked.stderr, /without a terminal[^]*--hostname, --dev or --profile/);
  });
});
