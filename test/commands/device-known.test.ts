import assert from 'node:assert/strict';
import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const first = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
const second = '63ec99914d6bb1ee1ed1eb7a8e05ce0d';

/** An environment in which davit knows two devices whose UUIDs begin alike. */
async function knowing(t: TestContext): Promise<{ environment: Record<string, string> }> {
  const folder = await temporaryFolder(t);
  await mkdir(folder, { recursive: true });
  const devices = [
    { uuid: first, hostname: 'kiosk', addresses: ['10.0.0.2'], seenAt: '2026-01-02T00:00:00.000Z' },
    { uuid: second, hostname: '63ec999', addresses: ['10.0.0.3'] },
  ];
  await writeFile(path.join(folder, 'devices.json'), JSON.stringify({ version: 1, devices }));
  return { environment: { DAVIT_DATA_DIR: folder } };
}

describe('davit device list, alias and forget', () => {
  it('list what is known', async (t) => {
    const options = await knowing(t);
    const { exitCode, document } = await davitJson(['device', 'list'], options);
    assert.equal(exitCode, 0);
    assert.match(JSON.stringify(document), /"version":1.*"hostname":"kiosk".*"hostname":"63ec999"/);
    const { stdout } = await davit(['device', 'list'], options);
    assert.match(
      stdout,
      /^NAME +UUID +ADDRESS +TYPE +SEEN\nkiosk +63ec46c14d6bb1ee1ed1eb7a8e05ce0d +10\.0\.0\.2 +- +\d+ days ago$/m,
    );
  });

  it('say that nothing is known yet', async (t) => {
    const environment = { DAVIT_DATA_DIR: path.join(await temporaryFolder(t), 'none') };
    const { exitCode, stdout, stderr } = await davit(['device', 'list'], { environment });
    assert.deepEqual([exitCode, stdout], [0, '']);
    assert.match(stderr, /davit scan/);
  });

  it('give a device a name by which it is known afterwards, and take it back', async (t) => {
    const options = await knowing(t);
    assert.equal((await davit(['device', 'alias', '63ec46', 'Bench-3'], options)).exitCode, 0);
    const again = await davitJson(['device', 'alias', 'bench-3', 'lab'], options);
    assert.match(JSON.stringify(again.document), /"aliases":\["lab","Bench-3"\]/);
    assert.equal((await davit(['device', 'alias', 'lab', 'lab', '--remove'], options)).exitCode, 0);
    const gone = await davitJson(['device', 'alias', 'kiosk', 'lab', '--remove'], options);
    assert.deepEqual([gone.exitCode, codeOf(gone.document)], [3, 'alias-not-found']);
  });

  it('give no more names than davit keeps, rather than forget one', async (t) => {
    const options = await knowing(t);
    const names = Array.from({ length: 8 }, (_, index) => `bench-${index}`);
    for (const name of names) assert.equal((await davit(['device', 'alias', 'kiosk', name], options)).exitCode, 0);
    const refused = await davitJson(['device', 'alias', 'kiosk', 'bench-8'], options);
    assert.deepEqual([refused.exitCode, codeOf(refused.document)], [4, 'too-many-aliases']);
    assert.equal((await davit(['device', 'alias', 'bench-0', 'BENCH-0'], options)).exitCode, 0);
  });

  it('list the candidates of a beginning that is not enough', async (t) => {
    const { exitCode, document } = await davitJson(['device', 'alias', '63ec', 'bench'], await knowing(t));
    assert.deepEqual([exitCode, codeOf(document)], [2, 'device-ambiguous']);
    for (const part of [first, second, '10.0.0.2', '10.0.0.3']) assert.ok(JSON.stringify(document).includes(part));
  });

  it('refuse a name that is taken or could be taken for something else', async (t) => {
    const options = await knowing(t);
    const taken = await davitJson(['device', 'alias', '63ec999', 'KIOSK'], options);
    assert.deepEqual([taken.exitCode, codeOf(taken.document)], [4, 'alias-taken']);
    for (const bad of ['10.0.0.9', '63ec46c', 'a b', 'x.local', 'deadbeefcafe']) {
      const { exitCode, document } = await davitJson(['device', 'alias', 'kiosk', bad], options);
      assert.deepEqual([exitCode, codeOf(document)], [2, 'invalid-alias'], bad);
    }
  });

  it('forget a device, once', async (t) => {
    const options = await knowing(t);
    assert.equal((await davit(['device', 'forget', '10.0.0.2'], options)).exitCode, 0);
    const { exitCode, document } = await davitJson(['device', 'forget', 'kiosk'], options);
    assert.deepEqual([exitCode, codeOf(document)], [3, 'device-unknown']);
    assert.equal((document as { error: { message: string } }).error.message, 'davit knows no device called kiosk');
  });
});

describe('the list of known devices', () => {
  const uuids = Array.from({ length: 20 }, (_, index) => index.toString(16).padStart(32, '0'));
  const skip = process.getuid?.() === 0 ? false : 'needs root';

  it('loses nothing when twenty davits change it at once', async (t) => {
    const folder = await temporaryFolder(t);
    const devices = uuids.map((uuid) => ({ uuid }));
    await writeFile(path.join(folder, 'devices.json'), JSON.stringify({ version: 1, devices }));
    const environment = { DAVIT_DATA_DIR: folder };
    const naming = uuids.map((uuid, index) => davit(['device', 'alias', uuid, `bench-${index}`], { environment }));
    for (const { exitCode, stderr } of await Promise.all(naming)) assert.equal(exitCode, 0, stderr);
    const { document } = await davitJson(['device', 'list'], { environment });
    const { devices: known } = document as { devices: { uuid: string; aliases: string[] }[] };
    assert.deepEqual(
      known.map(({ uuid, aliases }) => [uuid, aliases]),
      uuids.map((uuid, index) => [uuid, [`bench-${index}`]]),
    );
    assert.deepEqual(await readdir(folder), ['devices.json']);
  });

  it('is that of the user who runs davit through sudo, and belongs to them', { skip }, async (t) => {
    const folder = await temporaryFolder(t);
    const [home, own] = [path.join(folder, 'home'), path.join(folder, 'root')];
    for (const one of [home, own]) await mkdir(one);
    await chown(home, 65534, 65534);
    // In place of an entry in the list of users.
    await writeFile(path.join(folder, 'getent'), `#!/bin/sh\necho "somebody:x:$2:$2::${home}:/bin/sh"\n`, {
      mode: 0o755,
    });
    const environment = {
      DAVIT_DATA_DIR: undefined,
      HOME: own,
      SUDO_UID: '65534',
      PATH: `${folder}:${process.env.PATH ?? ''}`,
    };
    const file = path.join(home, '.local', 'share', 'davit', 'devices.json');
    const noted = await davit(['device', 'alias', first, 'bench'], { environment });
    assert.equal(noted.exitCode, 3, 'nothing is known yet');
    await mkdir(path.dirname(file), { recursive: true });
    for (const one of ['.local', '.local/share', '.local/share/davit']) await chown(path.join(home, one), 65534, 65534);
    await writeFile(file, JSON.stringify({ version: 1, devices: [{ uuid: first }] }));
    await chown(file, 65534, 65534);
    assert.equal((await davit(['device', 'alias', first, 'bench'], { environment })).exitCode, 0);
    assert.match(await readFile(file, 'utf8'), /bench/);
    assert.equal((await stat(file)).uid, 65534);
    assert.deepEqual(await readdir(own), []);
  });
});

function codeOf(document: unknown): unknown {
  return (document as { error?: { code?: unknown } }).error?.code;
}
