import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { bytesAt, partitionContent } from '../support/disk-content.js';
import { davit, davitJson } from '../support/davit.js';
import { makeOsImage, type OsImage, type OsImageOptions } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

interface TestImage extends OsImage {
  readonly folder: string;
  /** Writes a file beside the image and gives its path. */
  readonly file: (name: string, content: string | Buffer) => Promise<string>;
  /** Runs a davit command that has to work, and gives what it prints as JSON. */
  readonly davit: (...words: string[]) => Promise<Record<string, unknown>>;
  /** Runs a davit command that has to fail and to leave the image alone, and gives the error. */
  readonly refused: (...words: string[]) => Promise<Record<string, unknown>>;
  /** SHA-256 of the files of the boot partition, whose file system has to be clean. */
  readonly bootFiles: () => Promise<Readonly<Record<string, string>>>;
  /** Names of the files of `system-connections`. */
  readonly connections: () => Promise<string[]>;
}

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<TestImage> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'device.img'), options);
  const run = async (words: readonly string[]) => {
    const { exitCode, document, stderr } = await davitJson(words);
    assert.ok(isRecord(document), stderr);
    return { exitCode, document };
  };
  const bootFiles = async () => {
    const { problems, files } = await partitionContent(image.path, image.boot);
    assert.equal(problems, 0, 'fsck finds nothing');
    return files;
  };
  return {
    ...image,
    folder,
    bootFiles,
    file: async (name, content) => {
      const file = path.join(folder, name);
      await writeFile(file, content, { mode: 0o600 });
      return file;
    },
    davit: async (...words) => {
      const { exitCode, document } = await run(words);
      assert.equal(exitCode, 0, JSON.stringify(document));
      return document;
    },
    refused: async (...words) => {
      const before = await bytesAt(image.path, image.boot.start, image.boot.size);
      const { exitCode, document } = await run(words);
      assert.ok(isRecord(document.error), JSON.stringify(document));
      assert.equal(exitCode, document.error.exitCode);
      assert.ok(before.equals(await bytesAt(image.path, image.boot.start, image.boot.size)), 'nothing was written');
      return document.error;
    },
    connections: async () =>
      Object.keys(await bootFiles())
        .filter((file) => file.startsWith('system-connections/'))
        .map((file) => path.basename(file))
        .sort(),
  };
}

/** The networks that a profile with them puts in. */
async function configure(image: TestImage, networks: object): Promise<void> {
  const profile = await image.file('profile.yaml', JSON.stringify({ networks }));
  await image.davit('os', 'configure', image.path, '--profile', profile, '--in-place');
}

describe('network remove', () => {
  it('takes a network out of the image itself, and leaves every other file as it was', async (t) => {
    const image = await makeImage(t);
    const before = await image.bootFiles();
    await configure(image, { office: { type: 'wifi', ssid: 'Office', key: 'abcdefgh' } });
    assert.ok((await image.connections()).includes('office'));
    const { files } = await image.davit('network', 'remove', image.path, 'Office');
    assert.deepEqual(files, [{ path: 'system-connections/office', action: 'remove', size: 245 }]);
    assert.deepEqual(await image.bootFiles(), before);
  });

  it('takes the ports of a bridge with it, and what else is named', async (t) => {
    const image = await makeImage(t, { table: 'mbr', fat: 32 });
    const before = await image.connections();
    await configure(image, {
      lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1', 'eth2'] },
      bond0: { type: 'bond', interface: 'bond0', ports: ['eth3'], mode: 'active-backup' },
      wired: { type: 'ethernet' },
    });
    await image.davit('network', 'remove', image.path, 'lan0', 'wired');
    assert.deepEqual(await image.connections(), [...before, 'bond0', 'bond0-port-eth3'].sort());
  });

  it('only shows what it would do with --dry-run, and writes another image with --output', async (t) => {
    const image = await makeImage(t);
    await configure(image, { office: { type: 'ethernet' } });
    const before = await image.bootFiles();
    const planned = await image.davit('network', 'remove', image.path, 'office', '--dry-run');
    assert.equal(planned.isWritten, false);
    const output = path.join(image.folder, 'other.img');
    await image.davit('network', 'remove', image.path, 'office', '--output', output);
    assert.deepEqual(await image.bootFiles(), before);
    const other = await partitionContent(output, image.boot);
    assert.equal(Object.keys(other.files).length, Object.keys(before).length - 1);
  });

  it('names the network that a mistyped name is like', async (t) => {
    const image = await makeImage(t);
    await configure(image, { office: { type: 'ethernet' }, phone: { type: 'ethernet' } });
    const error = await image.refused('network', 'remove', image.path, 'phone', 'ofice');
    assert.equal(error.code, 'network-not-found');
    assert.equal(error.hint, 'Did you mean office? It has office, phone');
    assert.equal((await davit(['network', 'remove', image.path])).exitCode, 2);
  });
});

describe('a network that takes the place of another', () => {
  it('takes that of its ports too', async (t) => {
    const image = await makeImage(t);
    await configure(image, { lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1', 'eth2'] } });
    await configure(image, { lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1'] } });
    assert.ok(!(await image.connections()).includes('lan0-port-eth2'));
    assert.ok((await image.connections()).includes('lan0-port-eth1'));
  });
});
