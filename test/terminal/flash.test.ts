import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { bytesAt } from '../support/disk-content.js';
import { fillFile } from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal, type Terminal } from '../support/terminal.js';

const mebibyte = 1024 * 1024;

interface Setup {
  readonly image: string;
  readonly card: string;
  readonly terminal: Terminal;
  /** The exit code, once davit has ended. */
  readonly exitCode: () => Promise<string>;
}

/** davit flash on a terminal, with a file for a card that holds something. */
async function startFlash(t: TestContext): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const { path: image, size } = await makeOsImage(path.join(folder, 'image.img'));
  const card = path.join(folder, 'card.img');
  await fillFile(card, size, 0xaa);
  const exit = path.join(folder, 'exit');
  const words = davitProgram.map((word) => `'${word}'`).join(' ');
  const terminal = await openTerminal(`${words} flash ${image} --drive ${card}; echo $? >${exit}; echo ended; cat`);
  t.after(() => terminal.close());
  const exitCode = async () => {
    await terminal.until(/ended/);
    return (await readFile(exit, 'utf8')).trim();
  };
  return { image, card, terminal, exitCode };
}

test('shows the image and the drive, asks, and writes on yes', async (t) => {
  const { image, card, terminal, exitCode } = await startFlash(t);
  const question = await terminal.until(/Erase all data on/);
  assert.ok(question.includes('raw,'), question);
  assert.match(question, /drive {3}\S+card\.img/);
  await terminal.type('y');
  await terminal.press('Enter');
  assert.equal(await exitCode(), '0');
  assert.ok((await bytesAt(card, 0, mebibyte)).equals(await bytesAt(image, 0, mebibyte)));
});

for (const [name, key] of [
  ['just Enter', 'Enter'],
  ['Ctrl-C', 'C-c'],
] as const) {
  test(`writes nothing on ${name}`, async (t) => {
    const { card, terminal, exitCode } = await startFlash(t);
    await terminal.until(/Erase all data on/);
    await terminal.press(key);
    assert.equal(await exitCode(), '130');
    assert.deepEqual(await bytesAt(card, 0, mebibyte), Buffer.alloc(mebibyte, 0xaa));
  });
}
