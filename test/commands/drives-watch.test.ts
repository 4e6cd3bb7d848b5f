import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { davitProgram, startDavit } from '../support/davit.js';
import { attachUsedCard, checked, loopDevicesMissing } from '../support/loop-device.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

const skip = loopDevicesMissing;
const mebibyte = 1024 * 1024;

interface Change {
  readonly type: string;
  readonly drive: { readonly path: string; readonly flashable: boolean; readonly size: number };
}

test(
  'tells in JSON lines how a card comes, is mounted, and goes, until Ctrl-C',
  { skip, timeout: 60_000 },
  async (t) => {
    const folder = await temporaryFolder(t);
    const davit = startDavit(['drives', '--watch', '--json']);
    const ended = once(davit, 'exit');
    t.after(() => davit.kill('SIGKILL'));
    assert.ok(davit.stdout);
    const lines = createInterface({ input: davit.stdout })[Symbol.asyncIterator]();
    const until = async (wanted: (change: Change) => boolean): Promise<Change> => {
      for (;;) {
        const { value } = (await lines.next()) as { value: string };
        const change = JSON.parse(value) as Change;
        if (wanted(change)) return change;
      }
    };
    const card = await attachUsedCard(t, path.join(folder, 'card'), 16 * mebibyte);
    const isOurs = ({ drive }: Change) => drive.path === card.path && drive.size === 16 * mebibyte;
    const added = await until((change) => isOurs(change) && change.type !== 'removed');
    assert.equal(added.drive.flashable, true);
    const mountPoint = path.join(folder, 'mounted');
    await mkdir(mountPoint);
    await checked(['mkfs.ext4', '-q', '-F', card.path]);
    await checked(['mount', card.path, mountPoint]);
    try {
      await until((change) => isOurs(change) && change.type === 'changed' && !change.drive.flashable);
    } finally {
      await checked(['umount', mountPoint]);
    }
    await until((change) => isOurs(change) && change.type === 'changed' && change.drive.flashable);
    await card.detach();
    await until((change) => isOurs(change) && change.type === 'removed');
    davit.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
  },
);

test('shows a table that follows what is plugged in, on a terminal', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const terminal = await openTerminal(`${davitProgram.join(' ')} drives --watch; echo ended $?; cat`);
  t.after(() => terminal.close());
  await terminal.resize(80, 50);
  await terminal.until(/SLOT|No drive/);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 16 * mebibyte);
  await terminal.until(new RegExp(`^${card.path} +16\\.8 MB`, 'm'));
  await card.detach();
  const screen = await terminal.until(new RegExp(`^(?![^]*${card.path} +16\\.8 MB)`));
  assert.ok((screen.match(/^PATH/gm)?.length ?? 0) <= 1, screen);
  await terminal.press('C-c');
  await terminal.until(/ended 130/);
});
