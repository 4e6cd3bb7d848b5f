import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { asNobody, davit, davitJson } from '../support/davit.js';
import { makeOsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const oldKey = 'the old passphrase';
const newKey = 'the new passphrase';

async function makeImage(t: TestContext) {
  const folder = await temporaryFolder(t);
  const office = `[connection]\nid=resin-wifi\ntype=wifi\n\n[wifi]\nssid=Old\n\n[wifi-security]\npsk=${oldKey}\n`;
  const bootFiles = { 'system-connections/resin-wifi': office };
  return { folder, image: await makeOsImage(path.join(folder, 'device.img'), { bootFiles }) };
}

const asked = ['--dev', '--hostname', 'kiosk', '--wifi-ssid', 'Office'];
const environment = { DAVIT_WIFI_KEY: newKey };

describe('os configure --diff', () => {
  it('shows what would change in each file without a secret, and writes nothing', async (t) => {
    const { folder, image } = await makeImage(t);
    const before = await readFile(image.path);
    const { exitCode, stdout, stderr } = await davit(['os', 'configure', image.path, ...asked, '--diff'], {
      environment,
    });
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^config\.json \(changed\)$/m);
    assert.match(stdout, /^ {2}\+hostname: "kiosk"$/m);
    assert.match(stdout, /^ {2}-ssid=Old\n {2}\+mode=infrastructure\n {2}\+ssid=Office$/m);
    assert.match(stdout, /^ {2}-psk=\(hidden\)$[^]*^ {2}\+psk=\(hidden\)$/m);
    const { document } = await davitJson(['os', 'configure', image.path, ...asked, '--diff'], { environment });
    assert.ok(isRecord(document) && document.isChanged === true && document.isWritten === false);
    assert.ok(Array.isArray(document.differences) && document.differences.length === 2);
    for (const text of [stdout, stderr, JSON.stringify(document)]) {
      assert.ok(!text.includes(oldKey) && !text.includes(newKey), text);
    }
    assert.deepEqual(await readdir(folder), ['device.img']);
    assert.ok(before.equals(await readFile(image.path)));
  });

  it('needs no right to write, and does not mind an output that exists', async (t) => {
    const { folder, image } = await makeImage(t);
    await writeFile(path.join(folder, 'device.configured.img'), 'something');
    const wrapper = process.getuid?.() === 0 ? asNobody : [];
    for (const flag of ['--diff', '--dry-run --diff']) {
      const words = ['os', 'configure', image.path, '--dev', ...flag.split(' ')];
      const { exitCode, stdout } = await davit(words, { wrapper });
      assert.equal(exitCode, 0);
      assert.match(stdout, /\+developmentMode: true/);
    }
  });
});

describe('os configure --check', () => {
  it('ends with 4 while something would change and with 0 once it has', async (t) => {
    const { folder, image } = await makeImage(t);
    const words = ['os', 'configure', image.path, ...asked];
    const before = await readFile(image.path);
    const first = await davit([...words, '--check'], { environment });
    assert.equal(first.exitCode, 4);
    assert.match(first.stdout, /\+hostname: "kiosk"/);
    const { exitCode, document } = await davitJson([...words, '--check'], { environment });
    assert.equal(exitCode, 4);
    assert.ok(isRecord(document) && isRecord(document.error) && document.error.code === 'would-change');
    assert.ok(isRecord(document.error.report) && Array.isArray(document.error.report.differences));
    assert.ok(!JSON.stringify(document).includes(newKey));
    assert.ok(before.equals(await readFile(image.path)));
    assert.equal((await davit([...words, '--in-place'], { environment })).exitCode, 0);
    const then = await davit([...words, '--check'], { environment });
    assert.deepEqual([then.exitCode, then.stdout], [0, `Nothing would change in ${image.path}.\n`]);
    assert.deepEqual(await readdir(folder), ['device.img']);
  });
});

describe('os configure --quiet', () => {
  it('says nothing but warnings', async (t) => {
    const { image } = await makeImage(t);
    const { exitCode, stdout, stderr } = await davit(['os', 'configure', image.path, '--country', 'DE', '--quiet']);
    assert.deepEqual([exitCode, stdout], [0, '']);
    assert.match(stderr, /^warning: nobody will be able to log in[^\n]*\n$/);
  });

  it('is not needed for a clean result: progress and what to do next are on standard error', async (t) => {
    const { image } = await makeImage(t);
    const { stdout, stderr } = await davit(['os', 'configure', image.path, '--dev']);
    const output = image.path.replace('.img', '.configured.img');
    assert.equal(stdout.split('\n').at(-2), `Wrote ${output} (balenaOS 6.8.1, raspberrypi4-64)`);
    assert.ok(stderr.endsWith(`Put it on a card with: davit flash ${output}\n`), stderr);
    for (const line of stdout.replaceAll(output, 'device.configured.img').split('\n'))
      assert.ok(line.length <= 80, line);
  });
});
