import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { davitProgram } from '../support/davit.js';
import { createNetwork, networkSkipReason, type TestNetwork } from '../support/network-namespace.js';
import { openTerminal } from '../support/terminal.js';

describe('davit scan --watch on a terminal', { skip: networkSkipReason() }, () => {
  let network: TestNetwork;
  before(async () => {
    network = await createNetwork([{ hostname: 'aaaaaa1' }, { hostname: 'bbbbbb2' }]);
  });
  after(() => network.close());

  it('keeps one table in which devices come and go', async (t) => {
    const command = [...network.wrapper, ...davitProgram, 'scan', '--watch'].join(' ');
    const terminal = await openTerminal(`${command}; echo exit=$?; cat`, {
      DAVIT_DATA_DIR: process.env.DAVIT_DATA_DIR ?? '',
    });
    t.after(() => terminal.close());
    const both = await terminal.until(/aaaaaa1\.local[^]*bbbbbb2\.local|bbbbbb2\.local[^]*aaaaaa1\.local/);
    assert.equal(both.match(/^NAME/gm)?.length, 1);
    await network.devices[0]?.setConnected(false);
    const one = await terminal.until(/^NAME[^\n]*\nbbbbbb2\.local[^\n]*\n\s*$/);
    assert.ok(!one.includes('aaaaaa1'));
    await terminal.press('C-c');
    assert.match(await terminal.until(/exit=/), /^NAME[^\n]*\nbbbbbb2\.local[^]*exit=130/);
  });
});
