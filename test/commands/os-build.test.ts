import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { davit, projectRoot } from '../support/davit.js';
import { temporaryFolder } from '../support/temporary-folder.js';

interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string; readonly exitCode: number };
}

async function failing(
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<ErrorDocument['error']> {
  const { stdout, exitCode } = await davit([...words, '--json'], { environment });
  const { error } = JSON.parse(stdout) as ErrorDocument;
  assert.equal(exitCode, error.exitCode);
  return error;
}

const shipped = path.join(projectRoot, 'recipes', 'virtual-amd64');

describe('davit os build', () => {
  it('names the recipes there are when it is given another name', async (t) => {
    const folder = await temporaryFolder(t);
    const error = await failing(['os', 'build', 'virtual-arm64', '--output', path.join(folder, 'device.img')]);
    assert.deepEqual([error.code, error.exitCode], ['recipe-not-found', 3]);
    assert.match(error.hint, /virtual-amd64/);
  });

  it('names the file that a folder lacks to be a recipe', async (t) => {
    const folder = await temporaryFolder(t);
    const recipe = path.join(folder, 'mine');
    await cp(shipped, recipe, { recursive: true });
    await rm(path.join(recipe, 'setup.sh'));
    const error = await failing(['os', 'build', recipe, '--output', path.join(folder, 'device.img')]);
    assert.deepEqual([error.code, error.exitCode], ['recipe-incomplete', 3]);
    assert.match(error.message, /setup\.sh/);
  });

  it('refuses an output that is a drive or a folder', async (t) => {
    const folder = await temporaryFolder(t);
    const error = await failing(['os', 'build', 'virtual-amd64', '--output', folder]);
    assert.deepEqual([error.code, error.exitCode], ['output-not-a-file', 2]);
  });

  it('names the Debian packages of all missing programs at once', { skip: notLinux() }, async (t) => {
    const folder = await temporaryFolder(t);
    const error = await failing(['os', 'build', 'virtual-amd64', '--output', path.join(folder, 'device.img')], {
      PATH: await onlyNode(folder),
    });
    assert.deepEqual([error.code, error.exitCode], ['program-not-found', 3]);
    assert.match(error.hint, /apt-get install .*mmdebstrap.*mtools/);
  });

  it(
    'leaves nothing behind when it is interrupted or its packages cannot be installed',
    { skip: notLinux() },
    async (t) => {
      const folder = await temporaryFolder(t);
      // Stands for the real program, which would load hundreds of packages before the test can interrupt it.
      const programs = path.join(folder, 'programs');
      await mkdir(programs);
      const mmdebstrap = path.join(programs, 'mmdebstrap');
      const output = path.join(folder, 'output');
      const [temporary, cache] = [path.join(folder, 'temporary'), path.join(folder, 'cache')];
      await Promise.all([output, temporary].map((name) => mkdir(name)));
      const environment = {
        PATH: `${programs}:${process.env.PATH ?? ''}`,
        TMPDIR: temporary,
        DAVIT_CACHE_DIR: cache,
      };
      const words = ['os', 'build', 'virtual-amd64', '--output', path.join(output, 'device.img')];
      const leftovers = async () => [
        ...(await readdir(output)),
        ...(await readdir(temporary)).filter((name) => name.startsWith('davit')),
        ...(await readdir(path.join(cache, 'os-build')).catch(() => [])),
      ];

      await writeFile(mmdebstrap, '#!/bin/sh\necho "I: downloading packages with apt..."\nexec sleep 60\n');
      await chmod(mmdebstrap, 0o755);
      const interrupted = await davit(words, {
        environment,
        kill: { signal: 'SIGINT', when: (seen) => seen.includes('downloading') },
      });
      assert.equal(interrupted.exitCode, 130, interrupted.stderr);
      assert.deepEqual(await leftovers(), []);

      await writeFile(mmdebstrap, '#!/bin/sh\necho "E: no such package" >&2\nexit 1\n');
      const failed = await davit(words, { environment });
      assert.equal(failed.exitCode, 5);
      assert.match(failed.stderr, /no such package/);
      assert.deepEqual(await leftovers(), []);
    },
  );
});

/** A folder to use as PATH in which node is the only program. */
async function onlyNode(folder: string): Promise<string> {
  const programs = path.join(folder, 'only-node');
  await mkdir(programs);
  await symlink(process.execPath, path.join(programs, 'node'));
  return programs;
}

function notLinux(): string | false {
  return process.platform === 'linux' ? false : 'images are built on Linux';
}
