import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Inventory } from '../../../src/lib/discovery/inventory.js';
import { noteSighting } from '../../../src/lib/discovery/note-sighting.js';
import { projectRoot } from '../../support/davit.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';

const at = '2026-01-01T00:00:00.000Z';
const uuidOf = (index: number) => index.toString(16).padStart(32, '0');

async function emptyInventory(t: TestContext): Promise<{ inventory: Inventory; told: string[] }> {
  const told: string[] = [];
  const progress = (event: ProgressEvent) => {
    if (event.type === 'notice') told.push(event.text);
  };
  return { inventory: new Inventory(progress, path.join(await temporaryFolder(t), 'data', 'devices.json')), told };
}

describe('Inventory', () => {
  it('keeps what many processes note at once, also when some of them are killed', async (t) => {
    const { inventory, told } = await emptyInventory(t);
    const script = `
      import { Inventory } from './src/lib/discovery/inventory.ts';
      import { noteSighting } from './src/lib/discovery/note-sighting.ts';
      const [file, first] = process.argv.slice(1);
      const inventory = new Inventory(() => {}, file);
      for (let index = Number(first); index < Number(first) + 10; index++) {
        const uuid = index.toString(16).padStart(32, '0');
        await inventory.change((devices) => noteSighting(devices, { uuid }, { at: '${at}' }));
      }
      console.log('done');
      setInterval(() => inventory.change((devices) => [...devices]), 0);
    `;
    const children = Array.from({ length: 12 }, (_, index) => {
      const words = ['--import', 'tsx', '--input-type=module', '--eval', script, inventory.file, String(index * 10)];
      return spawn(process.execPath, words, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] });
    });
    // They are killed while they change the file over and over, so that locks are left behind.
    await Promise.all(
      children.map(async (child) => {
        await once(child.stdout, 'data');
        child.kill('SIGKILL');
        await once(child, 'exit');
      }),
    );
    const uuids = (await inventory.change((devices) => [...devices])).map(({ uuid }) => uuid).sort();
    assert.deepEqual(
      uuids,
      Array.from({ length: 120 }, (_, index) => uuidOf(index)),
    );
    assert.deepEqual(told, []);
  });

  it('takes over a lock whose process is gone or that is old, and waits for one that is held', async (t) => {
    const { inventory } = await emptyInventory(t);
    const lock = `${inventory.file}.lock`;
    await mkdir(path.dirname(lock));
    const dead = spawn(process.execPath, ['--eval', '']);
    await once(dead, 'exit');
    await writeFile(lock, `${hostname()} ${String(dead.pid)} 1`);
    await inventory.change((devices) => [...devices]);
    await writeFile(lock, '');
    await utimes(lock, 1, 1);
    await inventory.change((devices) => [...devices]);
    await writeFile(lock, `${hostname()} ${process.pid} 1`);
    let isDone = false;
    const changing = inventory.change((devices) => [...devices]).then(() => (isDone = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(isDone, false);
    await writeFile(lock, `${hostname()} ${String(dead.pid)} 1`);
    await changing;
    assert.deepEqual(await readdir(path.dirname(lock)), ['devices.json']);
  });

  it('puts a damaged file aside, says so and goes on', async (t) => {
    for (const damage of ['', '{"version":1,"devi', '[]', '{"version":"1","devices":[]}', 'x'.repeat(2_000_001)]) {
      const { inventory, told } = await emptyInventory(t);
      await mkdir(path.dirname(inventory.file));
      await writeFile(inventory.file, damage);
      assert.deepEqual(await inventory.read(), []);
      const [aside = ''] = (await readdir(path.dirname(inventory.file))).filter((name) => name.includes('damaged'));
      assert.equal(await readFile(path.join(path.dirname(inventory.file), aside), 'utf8'), damage);
      assert.ok(told.length === 1 && told[0]?.includes(aside) === true, told.join());
      await inventory.change((devices) => noteSighting(devices, { hostname: 'a' }, { at }));
      assert.equal((await inventory.read()).length, 1);
    }
  });

  it('leaves out of a file what cannot be', async (t) => {
    const { inventory } = await emptyInventory(t);
    await mkdir(path.dirname(inventory.file));
    const devices = [
      7,
      {},
      { hostname: 'x\u001B[2J' },
      {
        hostname: 'good',
        addresses: ['10.0.0.1', '$(id)', 5],
        sshPort: 99_999,
        hostKey: 'no',
        deviceType: 'a\nb',
        seenAt: 'now',
      },
    ];
    await writeFile(inventory.file, JSON.stringify({ version: 1, devices }));
    const [device, ...others] = await inventory.read();
    assert.deepEqual([device?.hostname, device?.addresses, device?.sshPort, others], ['good', ['10.0.0.1'], 22222, []]);
    assert.deepEqual([device?.hostKey, device?.deviceType, device?.seenAt], [null, null, null]);
  });

  it('does not touch a file of a later version', async (t) => {
    const { inventory, told } = await emptyInventory(t);
    await mkdir(path.dirname(inventory.file));
    const text = '{"version":2,"devices":[]}';
    await writeFile(inventory.file, text);
    await assert.rejects(
      inventory.change(() => []),
      { kind: 'refused', code: 'inventory-newer' },
    );
    assert.deepEqual(await inventory.readIfPossible(), []);
    await inventory.changeIfPossible(() => []);
    assert.equal(told.length, 2);
    assert.equal(await readFile(inventory.file, 'utf8'), text);
  });

  it('forgets those not seen for longest beyond a thousand, but never one with an alias', async (t) => {
    const { inventory } = await emptyInventory(t);
    const times = (index: number) => new Date(Date.parse(at) + index * 60_000).toISOString();
    await inventory.change((devices) => {
      let all = devices;
      for (let index = 0; index < 1100; index++) all = noteSighting(all, { uuid: uuidOf(index) }, { at: times(index) });
      return all.map((one) => (one.uuid === uuidOf(0) ? { ...one, aliases: ['first'] } : one));
    });
    const left = (await inventory.read()).map(({ uuid }) => uuid);
    assert.equal(left.length, 1000);
    assert.ok(left.includes(uuidOf(0)) && left.includes(uuidOf(1099)) && !left.includes(uuidOf(1)));
    assert.equal((await stat(inventory.file)).mode & 0o777, 0o600);
  });
});
