import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { partitionContent } from '../support/disk-content.js';
import { davit, davitJson } from '../support/davit.js';
import { makeOsImage, type OsImage, type OsImageOptions, readBootFile } from '../support/os-image.js';
import { makePng } from '../support/png.js';
import { temporaryFolder } from '../support/temporary-folder.js';

interface TestImage extends OsImage {
  readonly folder: string;
  readonly configure: (...words: string[]) => Promise<Record<string, unknown>>;
  /** SHA-256 of the files of the boot partition, whose file system has to be clean. */
  readonly files: () => Promise<Readonly<Record<string, string>>>;
  readonly config: () => Promise<string>;
}

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<TestImage> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'device.img'), { fingerprint: true, ...options });
  return {
    ...image,
    folder,
    configure: async (...words) => {
      const { exitCode, document, stderr } = await davitJson(['os', 'configure', image.path, '--in-place', ...words]);
      assert.equal(exitCode, 0, stderr + JSON.stringify(document));
      assert.ok(isRecord(document));
      return document;
    },
    files: async () => {
      const { problems, files } = await partitionContent(image.path, image.boot);
      assert.equal(problems, 0, 'fsck finds nothing');
      return files;
    },
    config: async () => String(await readBootFile(image, 'config.json', path.join(folder, 'read'))),
  };
}

/** A profile that touches everything that can be brought back. */
async function writeProfile(folder: string): Promise<string> {
  await writeFile(path.join(folder, 'hook'), '#!/bin/bash\n');
  const profile = {
    ...{ mode: 'development', hostname: 'kiosk', dns: 'none', country: 'DE' },
    networks: {
      office: { type: 'wifi', ssid: 'Office', key: 'abcdefgh' },
      lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1'] },
    },
    proxy: { type: 'socks5', host: '10.0.0.1', port: 1080, noProxy: ['10.0.0.0/8'] },
    dispatcherScripts: ['hook'],
    bootFiles: { 'mine/deep/notes.txt': 'hook' },
    config: { uuid: 'a'.repeat(32), apiEndpoint: 'https://api.example.com', apiKey: 'b'.repeat(32) },
  };
  const file = path.join(folder, 'profile.yaml');
  await writeFile(file, JSON.stringify(profile), { mode: 0o600 });
  return file;
}

describe('os configure --reset', () => {
  it('returns to what the image came with, to the byte of each file', async (t) => {
    for (const options of [{}, { table: 'mbr', fat: 32 }] as const) {
      const image = await makeImage(t, options);
      const before = await image.files();
      await image.configure('--profile', await writeProfile(image.folder));
      assert.equal(Object.keys(await image.files()).length, Object.keys(before).length + 7);
      const { warnings, config } = await image.configure('--reset');
      assert.deepEqual(await image.files(), before);
      assert.ok(Array.isArray(warnings) && Array.isArray(config));
      assert.equal(warnings.filter((text) => String(text).includes('cannot be brought back')).length, 0);
      assert.ok(config.some((change) => isRecord(change) && change.key === 'uuid' && change.after === null));
      assert.equal((await image.configure('--reset')).isWritten, false, 'there is nothing left to reset');
      const { stdout } = await davit(['os', 'inspect', image.path]);
      assert.ok(!stdout.includes('mine'));
    }
  });

  it('shows with --dry-run and --diff what would go, and writes nothing', async (t) => {
    const image = await makeImage(t);
    await image.configure('--profile', await writeProfile(image.folder));
    const before = await readFile(image.path);
    const { files } = await image.configure('--reset', '--dry-run');
    assert.ok(Array.isArray(files));
    assert.deepEqual(
      files
        .filter((file) => isRecord(file) && file.action === 'remove')
        .map((file: Record<string, unknown>) => file.path),
      [
        ...['dispatcher.d/hook', 'mine/deep/notes.txt'],
        ...['system-connections/lan0', 'system-connections/lan0-port-eth1', 'system-connections/office'],
        ...['system-proxy/no_proxy', 'system-proxy/redsocks.conf'],
      ],
    );
    const { stdout, exitCode } = await davit(['os', 'configure', image.path, '--reset', '--diff']);
    assert.equal(exitCode, 0);
    assert.match(stdout, /system-connections\/office \(removed\)/);
    assert.ok(!stdout.includes('abcdefgh') && !stdout.includes('b'.repeat(32)));
    assert.ok(before.equals(await readFile(image.path)));
  });

  it('applies everything else after it', async (t) => {
    const image = await makeImage(t);
    await image.configure('--profile', await writeProfile(image.folder));
    const before = Object.keys(await image.files());
    await image.configure('--reset', '--hostname', 'other', '--network', await office(image.folder));
    assert.deepEqual(JSON.parse(await image.config()), {
      ...{ deviceType: 'raspberrypi4-64', persistentLogging: false, hostname: 'other' },
    });
    const gone = before.filter((file) => !file.startsWith('system-connections/office'));
    const after = Object.keys(await image.files());
    assert.ok(after.includes('system-connections/office') && !after.includes('system-connections/lan0'));
    assert.ok(gone.length > after.length);
  });

  it('names what was changed and cannot be brought back', async (t) => {
    const configTxt = 'dtparam=audio=on\n';
    const image = await makeImage(t, { bootFiles: { 'config.txt': configTxt, 'cmdline.txt': 'quiet\n' } });
    await writeFile(path.join(image.folder, 'logo.png'), makePng());
    await writeFile(
      path.join(image.folder, 'more.yaml'),
      JSON.stringify({ splash: 'logo.png', configTxt: ['gpu_mem=64'] }),
    );
    await image.configure('--profile', path.join(image.folder, 'more.yaml'));
    const { warnings } = await image.configure('--reset');
    assert.ok(Array.isArray(warnings));
    const lost = warnings.map(String).filter((text) => text.includes('cannot be brought back'));
    assert.deepEqual(lost.map((text) => text.split(' ')[0]).sort(), ['config.txt', 'splash/balena-logo.png']);
  });

  it('is the way out of a config.json that is not JSON', async (t) => {
    const image = await makeImage(t, { config: '{"deviceType": "raspberrypi4-64", oops' });
    assert.equal((await davit(['os', 'configure', image.path, '--in-place', '--dev'])).exitCode, 5);
    await image.configure('--reset', '--dev');
    assert.deepEqual(JSON.parse(await image.config()), {
      ...{ deviceType: 'raspberrypi4-64', persistentLogging: false, developmentMode: true },
    });
  });

  it('keeps development mode only where the image says that it was built with it', async (t) => {
    const config = '{"developmentMode":true,"deviceType":"raspberrypi4-64","persistentLogging":false,"hostname":"x"}';
    const plain = await makeImage(t, { config });
    const { warnings } = await plain.configure('--reset');
    assert.equal(await plain.config(), '{"deviceType":"raspberrypi4-64","persistentLogging":false}');
    assert.ok(JSON.stringify(warnings).includes('development mode goes too'));
    const release = 'NAME="balenaOS"\nVERSION="2.80.3+rev1"\nVARIANT="Development"\nVARIANT_ID="dev"\n';
    const built = await makeImage(t, { config, bootFiles: { 'os-release': release } });
    await built.configure('--reset');
    assert.equal(
      await built.config(),
      '{"developmentMode":true,"deviceType":"raspberrypi4-64","persistentLogging":false}',
    );
  });

  it('removes only what davit knows how to write where the image has no list of its files', async (t) => {
    const image = await makeImage(t, { fingerprint: false, bootFiles: { 'dispatcher.d/README': 'x' } });
    const before = await image.files();
    await image.configure('--profile', await writeProfile(image.folder));
    const { warnings } = await image.configure('--reset');
    assert.ok(JSON.stringify(warnings).includes('it has no list of its own files'));
    const { 'mine/deep/notes.txt': notes, ...after } = await image.files();
    assert.ok(notes);
    assert.deepEqual(after, before);
  });

  it('leaves what boot loaders need, and all of the boot files of an OS that was updated', async (t) => {
    const image = await makeImage(t);
    const tools = path.join(image.folder, 'files.yaml');
    await writeFile(path.join(image.folder, 'x'), 'x');
    const bootFiles = { 'EFI/BOOT/grubenv': 'x', 'bootcount.env': 'x', 'overlays/mine.dtbo': 'x' };
    await writeFile(tools, JSON.stringify({ bootFiles }));
    await image.configure('--profile', tools);
    const { files } = await image.configure('--reset', '--dry-run');
    assert.deepEqual(files, [{ path: 'overlays/mine.dtbo', action: 'remove', size: 1 }]);
    await writeFile(tools, JSON.stringify({ bootFiles: { 'os-release': 'x' } }));
    await image.configure('--profile', tools);
    const updated = await image.configure('--reset', '--dry-run');
    assert.deepEqual(updated.files, []);
    assert.ok(JSON.stringify(updated.warnings).includes('its OS was updated since'));
  });

  it('says so when a network belongs to the image itself', async (t) => {
    const text = '[connection]\ntype=ethernet\n';
    const image = await makeImage(t, { bootFiles: { 'system-connections/factory': text } });
    const { warnings } = await image.configure('--reset');
    assert.ok(JSON.stringify(warnings).includes('system-connections/factory stays, as it belongs to the image'));
    assert.ok(Object.keys(await image.files()).includes('system-connections/factory'));
  });
});

async function office(folder: string): Promise<string> {
  const file = path.join(folder, 'office');
  await writeFile(file, '[connection]\ntype=ethernet\n');
  return file;
}
