import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { ConnectionFile } from '../../src/lib/boot-config/connection-file.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davitJson } from './davit.js';
import { bytesAt, partitionContent } from './disk-content.js';
import { makeOsImage, type OsImage, type OsImageOptions, readBootFile } from './os-image.js';
import { temporaryFolder } from './temporary-folder.js';

/** A test image whose networks are worked on. */
export interface NetworkImage extends OsImage {
  readonly folder: string;
  /** Writes a file beside the image and gives its path. */
  readonly file: (name: string, content: string | Buffer) => Promise<string>;
  /** Variables for the davit commands below. */
  readonly environment: Record<string, string>;
  /** Runs a davit command that has to work, and gives what it prints as JSON. */
  readonly davit: (...words: string[]) => Promise<Record<string, unknown>>;
  /** Runs a davit command that has to fail and to leave the image alone, and gives the error. */
  readonly refused: (...words: string[]) => Promise<Record<string, unknown>>;
  /** SHA-256 of the files of the boot partition, whose file system has to be clean. */
  readonly bootFiles: () => Promise<Readonly<Record<string, string>>>;
  /** Names of the files of `system-connections`. */
  readonly connections: () => Promise<string[]>;
  /** The content of some of them. */
  readonly contents: (names: readonly string[]) => Promise<ConnectionFile[]>;
}

/** Makes a test image in a folder of its own, with what tests of networks do to it. */
export async function makeNetworkImage(t: TestContext, options: OsImageOptions = {}): Promise<NetworkImage> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'device.img'), options);
  const environment: Record<string, string> = {};
  const run = async (words: readonly string[]) => {
    const { exitCode, document, stderr } = await davitJson(words, { environment });
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
    environment,
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
    contents: async (names) => {
      const files: ConnectionFile[] = [];
      for (const name of names) {
        const content = await readBootFile(image, `system-connections/${name}`, path.join(folder, 'read'));
        files.push({ name, content });
      }
      return files;
    },
  };
}

/** Puts networks in as a profile with them does. */
export async function configureNetworks(image: NetworkImage, networks: object): Promise<void> {
  const profile = await image.file('profile.yaml', JSON.stringify({ networks }));
  await image.davit('os', 'configure', image.path, '--profile', profile, '--in-place');
}
