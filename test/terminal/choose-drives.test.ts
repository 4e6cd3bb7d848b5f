import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { bytesAt } from '../support/disk-content.js';
import { attachUsedCard, checked, type LoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal, type Terminal } from '../support/terminal.js';

const skip = loopDevicesMissing;

interface Setup {
  readonly image: OsImage;
  readonly terminal: Terminal;
  readonly attach: (name: string) => Promise<LoopDevice>;
  readonly exitCode: () => Promise<string>;
}

/** A terminal wide enough for one line for each drive, and cards to put in. */
async function setUp(t: TestContext, words: (image: OsImage) => readonly string[]): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const exit = path.join(folder, 'exit');
  const command = [...davitProgram, 'flash', image.path, ...words(image)].join(' ');
  const terminal = await openTerminal(`sleep 0.2; ${command}; echo $? >${exit}; echo ended; cat`);
  t.after(() => terminal.close());
  await terminal.resize(120, 50);
  return {
    image,
    terminal,
    attach: (name) => attachUsedCard(t, path.join(folder, name), image.size),
    exitCode: async () => {
      await terminal.until(/ended/);
      return (await readFile(exit, 'utf8')).trim();
    },
  };
}

/** Moves to a drive, whatever others this computer has, and chooses it. */
async function choose(terminal: Terminal, drive: string): Promise<void> {
  for (let step = 0; step < 30; step += 1) {
    const screen = await terminal.until(/> \[/);
    if (screen.includes(`> [ ] ${drive} `)) {
      await terminal.press('Space');
      await terminal.until(new RegExp(`> \\[x\\] ${drive} `));
      return;
    }
    await terminal.press('Down');
    await terminal.until(new RegExp(`^(?!${escaped(activeLine(screen))}$)> `, 'm'));
  }
  throw new Error(`${drive} is not in the list:\n${await terminal.screen()}`);
}

const activeLine = (screen: string) => screen.split('\n').find((line) => line.startsWith('> ')) ?? '';
const escaped = (text: string) => text.replaceAll(/[^\w /]/g, '\\$&');

test(
  'lists cards as they come and go, chooses none by itself, and writes those that were chosen',
  { skip },
  async (t) => {
    const { image, terminal, attach, exitCode } = await setUp(t, () => []);
    await terminal.until(/Which drives/);
    const [first, second, third] = [await attach('first'), await attach('second'), await attach('third')];
    const screen = await terminal.until(new RegExp(`\\[ \\] ${third.path} `));
    assert.doesNotMatch(screen, /\[x\]/);
    await terminal.press('Enter');
    await terminal.until(/Nothing is chosen/);
    await choose(terminal, second.path);
    await choose(terminal, third.path);
    await third.detach();
    await terminal.until(new RegExp(`^(?![^]*\\] ${third.path} )[^]*\\[x\\] ${second.path} `));
    await terminal.press('Enter');
    const question = await terminal.until(/Erase all data on/);
    assert.ok(question.includes(`Erase all data on ${second.path}?`), question);
    await terminal.type('y');
    await terminal.press('Enter');
    assert.equal(await exitCode(), '0');
    assert.ok((await bytesAt(second.file, 0, 4096)).equals(await bytesAt(image.path, 0, 4096)));
    assert.deepEqual(await bytesAt(first.file, 0, 4096), Buffer.alloc(4096, 0xaa));
  },
);

test('shows below why a drive is not offered, and writes nothing after Ctrl-C', { skip }, async (t) => {
  const { terminal, attach, exitCode } = await setUp(t, () => []);
  const card = await attach('card');
  await checked(['mkfs.ext4', '-q', '-F', '-L', 'Backup', card.path]);
  const before = await card.sectorsWritten();
  const screen = await terminal.until(new RegExp(`${card.path} looks like somebody's data: ext4 "Backup" \\(--force`));
  assert.ok(!screen.includes(`[ ] ${card.path} `), screen);
  await terminal.press('C-c');
  assert.equal(await exitCode(), '130');
  assert.equal(await card.sectorsWritten(), before);
});

for (const [typed, written] of [
  ['y', false],
  ['its name', true],
] as const) {
  test(
    `${written ? 'writes' : 'does not write'} a drive that is forced when ${typed} is typed`,
    { skip },
    async (t) => {
      const { image, terminal, attach, exitCode } = await setUp(t, () => ['--force-data']);
      const card = await attach('card');
      await checked(['mkfs.ext4', '-q', '-F', '-L', 'Backup', card.path]);
      await terminal.until(new RegExp(`\\[ \\] ${card.path} .*Backup`));
      await choose(terminal, card.path);
      await terminal.press('Enter');
      const name = path.basename(card.path);
      await terminal.until(new RegExp(`Type ${name} to do so`));
      await terminal.type(written ? name : 'y');
      await terminal.press('Enter');
      assert.equal(await exitCode(), written ? '0' : '130');
      const isWritten = (await bytesAt(card.path, 0, 4096)).equals(await bytesAt(image.path, 0, 4096));
      assert.equal(isWritten, written);
    },
  );
}

test('offers a mounted drive, says that it will be unmounted, and does so on yes', { skip }, async (t) => {
  const { terminal, attach, exitCode } = await setUp(t, () => []);
  const card = await attach('card');
  const mountPoint = `${card.file}-mounted`;
  await checked(['mkfs.ext4', '-q', '-F', card.path]);
  await mkdir(mountPoint);
  await checked(['mount', card.path, mountPoint]);
  try {
    await terminal.until(new RegExp(`\\[ \\] ${card.path} .*mounted at`));
    await choose(terminal, card.path);
    await terminal.press('Enter');
    await terminal.until(/Unmount \S+ and erase/);
    await terminal.type('y');
    await terminal.press('Enter');
    assert.equal(await exitCode(), '0');
    assert.ok(!(await checked(['cat', '/proc/self/mountinfo'])).includes(mountPoint));
  } finally {
    await checked(['sh', '-c', `! mountpoint -q '${mountPoint}' || umount '${mountPoint}'`]);
  }
});

test('fits into a small window, where what is refused gives way first', { skip }, async (t) => {
  const { terminal, attach } = await setUp(t, () => []);
  await terminal.until(/Which drives/);
  await terminal.resize(60, 8);
  const card = await attach('card');
  const others = await Promise.all(['a', 'b', 'c', 'd'].map(attach));
  for (const other of others) await checked(['mkfs.ext4', '-q', '-F', '-L', 'Backup', other.path]);
  await choose(terminal, card.path);
  const screen = await terminal.until(/space chooses/);
  assert.match(screen, /^Which drives are to be flashed\?$/m);
  assert.match(screen, new RegExp(`^> \\[x\\] ${card.path}`, 'm'));
});
