import assert from 'node:assert/strict';
import { accessSync } from 'node:fs';
import { mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { davit, projectRoot } from '../support/davit.js';
import { checked } from '../support/loop-device.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const missing = missingTools();

interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string; readonly exitCode: number };
}

async function failing(
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<ErrorDocument['error']> {
  const { stdout, exitCode } = await davit(['os', 'run', ...words, '--json'], { environment });
  const { error } = JSON.parse(stdout) as ErrorDocument;
  assert.equal(exitCode, error.exitCode);
  return error;
}

/** A disk with a boot partition and nothing to start. */
async function diskWithoutSystem(folder: string, arch: string): Promise<string> {
  const image = path.join(folder, 'empty.img');
  await writeFile(image, '');
  await truncate(image, 48 * 1024 * 1024);
  await checked(['sgdisk', '--new=1:8192:+32M', '--typecode=1:EF00', '--change-name=1:resin-boot', image]);
  await checked(['mkfs.vfat', '-n', 'resin-boot', '--offset', '8192', image, '32768']);
  const config = path.join(folder, 'config.json');
  await writeFile(config, '{"deviceType":"mine"}');
  const deviceType = path.join(folder, 'device-type.json');
  await writeFile(deviceType, JSON.stringify({ slug: 'mine', name: 'Mine', arch }));
  await checked(['mcopy', '-i', `${image}@@4M`, config, deviceType, '::/']);
  return image;
}

describe('davit os run', () => {
  it('names the Debian package of QEMU when it is missing', { skip: missing }, async (t) => {
    const folder = await temporaryFolder(t);
    const programs = path.join(folder, 'programs');
    await mkdir(programs);
    await symlink(process.execPath, path.join(programs, 'node'));
    const error = await failing([path.join(folder, 'device.img')], { PATH: programs });
    assert.deepEqual([error.code, error.exitCode], ['program-not-found', 3]);
    assert.match(error.hint, /apt-get install qemu-system-x86$/);
  });

  it('says that an image does not exist or is none', { skip: missing }, async (t) => {
    const folder = await temporaryFolder(t);
    assert.equal((await failing([path.join(folder, 'device.img')])).exitCode, 3);
    const error = await failing([path.join(projectRoot, 'package.json')]);
    assert.equal(error.code, 'not-an-image');
  });

  it('refuses an image for computers of another kind', { skip: missing }, async (t) => {
    const error = await failing([await diskWithoutSystem(await temporaryFolder(t), 'aarch64')]);
    assert.deepEqual([error.code, error.exitCode], ['wrong-architecture', 4]);
  });

  it('fails when the device is not ready in time, and leaves nothing behind', { skip: missing }, async (t) => {
    const folder = await temporaryFolder(t);
    const temporary = path.join(folder, 'temporary');
    await mkdir(temporary);
    const image = await diskWithoutSystem(folder, 'amd64');
    const readyFile = path.join(folder, 'ready.json');
    const error = await failing([image, '--timeout', '1', '--memory', '256', '--ready-file', readyFile], {
      TMPDIR: temporary,
    });
    assert.deepEqual([error.code, error.exitCode], ['device-not-ready', 6]);
    assert.deepEqual(await readdir(temporary), []);
    await assert.rejects(checked(['pgrep', '--full', `file=${image}`]));
  });

  it('ends as interrupted by Ctrl-C before the device is ready, with no QEMU left', { skip: missing }, async (t) => {
    const image = await diskWithoutSystem(await temporaryFolder(t), 'amd64');
    const { exitCode, stdout } = await davit(['os', 'run', image, '--memory', '256', '--json'], {
      kill: { signal: 'SIGINT', when: (seen) => seen.includes('boot empty.img') },
    });
    assert.equal(exitCode, 130);
    assert.match(stdout, /"interrupted"/);
    await assert.rejects(checked(['pgrep', '--full', `file=${image}`]));
  });
});

function missingTools(): string | false {
  for (const file of ['/usr/bin/qemu-system-x86_64', '/usr/share/OVMF', '/usr/bin/mcopy']) {
    try {
      accessSync(file);
    } catch {
      return `${file} is not installed`;
    }
  }
  return false;
}
