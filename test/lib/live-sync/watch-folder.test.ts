import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFile, chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type FolderWatch, watchFolder, type WatchOptions } from '../../../src/lib/live-sync/watch-folder.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';
import { projectRoot } from '../../support/davit.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

async function watched(
  t: TestContext,
  skips: WatchOptions['skips'] = () => false,
  prepare?: (folder: string) => Promise<void>,
) {
  const folder = await temporaryFolder(t);
  await prepare?.(folder);
  const watch = await watchFolder({ folder, skips, signal: t.signal });
  t.after(() => {
    watch.close();
  });
  return { folder, watch, at: (name: string) => path.join(folder, name) };
}

/** Waits until each of the paths has been told, alone or with others. */
async function told(watch: FolderWatch, ...wanted: readonly string[]): Promise<ReadonlySet<string>> {
  const all = new Set<string>();
  while (!wanted.every((one) => all.has(one))) for (const one of await watch.next()) all.add(one);
  return all;
}

describe('a watched folder', { timeout: 60_000 }, () => {
  it('tells files that are made, changed, renamed, given other modes and removed', async (t) => {
    const { watch, at } = await watched(
      t,
      () => false,
      async (folder) => {
        await writeFile(path.join(folder, 'old'), 'x');
      },
    );
    await writeFile(at('new'), 'x');
    await told(watch, 'new');
    await appendFile(at('old'), 'y');
    await told(watch, 'old');
    await rename(at('old'), at('older'));
    await told(watch, 'old', 'older');
    await chmod(at('older'), 0o755);
    await told(watch, 'older');
    await symlink('older', at('link'));
    await told(watch, 'link');
    await rm(at('older'));
    await told(watch, 'older');
  });

  it('tells what happens in folders that are made, moved in and replaced later', async (t) => {
    const { folder, watch, at } = await watched(t);
    const outside = await temporaryFolder(t);
    await mkdir(path.join(outside, 'tree/deep'), { recursive: true });
    await rename(path.join(outside, 'tree'), path.join(folder, 'tree'));
    await told(watch, 'tree');
    await writeFile(at('tree/deep/file'), 'x');
    await told(watch, 'tree/deep/file');
    await rename(at('tree'), at('moved'));
    await told(watch, 'tree', 'moved');
    await writeFile(at('moved/deep/file'), 'y');
    await told(watch, 'moved/deep/file');
    await rm(at('moved'), { recursive: true });
    await mkdir(at('moved/deep'), { recursive: true });
    await told(watch, 'moved');
    await writeFile(at('moved/deep/again'), 'z');
    await told(watch, 'moved/deep/again');
  });

  it('tells a folder as a whole when files may have come into it before it was watched', async (t) => {
    const { watch, at } = await watched(t);
    for (let round = 0; round < 20; round++) {
      await mkdir(at(`made-${round}/a/b`), { recursive: true });
      await writeFile(at(`made-${round}/a/b/file`), 'x');
      const isTold = (all: ReadonlySet<string>) =>
        ['', '/a', '/a/b', '/a/b/file'].some((end) => all.has(`made-${round}${end}`));
      while (!isTold(await watch.next()));
    }
  });

  it('tells nothing of what a link leads to', async (t) => {
    const { folder, watch, at } = await watched(t);
    const outside = await temporaryFolder(t);
    await symlink(outside, at('link'));
    await told(watch, 'link');
    await mkdir(path.join(outside, 'deep'));
    await writeFile(path.join(outside, 'file'), 'x');
    await writeFile(path.join(folder, 'after'), 'x');
    assert.deepEqual([...(await told(watch, 'after'))], ['after']);
  });

  it('goes on when it is removed and comes back', async (t) => {
    const folder = path.join(await temporaryFolder(t), 'project');
    await mkdir(path.join(folder, 'old'), { recursive: true });
    const notices: string[] = [];
    const progress = (event: ProgressEvent) => {
      if (event.type === 'notice') notices.push(event.text);
    };
    const watch = await watchFolder({ folder, skips: () => false, signal: t.signal, progress });
    t.after(() => {
      watch.close();
    });
    await rm(folder, { recursive: true });
    await told(watch, '');
    await mkdir(path.join(folder, 'new'), { recursive: true });
    await told(watch, 'new');
    await writeFile(path.join(folder, 'new/file'), 'x');
    await told(watch, 'new/file');
    assert.equal(notices.length, 1);
    assert.match(notices[0] ?? '', /as it was removed or replaced$/);
  });

  it('tells nothing of what is skipped', async (t) => {
    const { watch, at } = await watched(
      t,
      (name) => name === 'node_modules',
      async (folder) => {
        await mkdir(path.join(folder, 'node_modules/a'), { recursive: true });
      },
    );
    await writeFile(at('node_modules/a/file'), 'x');
    await mkdir(at('node_modules/b'));
    await writeFile(at('seen'), 'x');
    const all = await told(watch, 'seen');
    assert.deepEqual(
      [...all].filter((name) => name.startsWith('node_modules/')),
      [],
    );
  });

  it('tells many changes in few calls', async (t) => {
    const { watch, at } = await watched(t);
    const names = Array.from({ length: 300 }, (_, index) => `file-${index}`);
    await Promise.all(names.map((name) => writeFile(at(name), name)));
    let calls = 0;
    const all = new Set<string>();
    while (!names.every((name) => all.has(name))) {
      calls++;
      for (const one of await watch.next()) all.add(one);
    }
    assert.ok(calls <= 20, `${calls} calls`);
  });

  it('ends without a change when it is aborted', async (t) => {
    const folder = await temporaryFolder(t);
    const ended = new AbortController();
    const watch = await watchFolder({ folder, skips: () => false, signal: ended.signal });
    const next = watch.next();
    ended.abort();
    assert.equal((await next).size, 0);
    watch.close();
  });

  for (const [name, watches, expected] of [
    ['needs no watches for 20,000 folders that are skipped', 60, 0],
    ['looks again and again where the system watches no more, and says so once', 20, 1],
  ] as const) {
    it(name, { skip: process.platform === 'linux' ? false : 'inotify is a part of Linux' }, async (t) => {
      const folder = await temporaryFolder(t);
      for (let outer = 0; outer < 200; outer++)
        await Promise.all(
          Array.from({ length: 100 }, (_, inner) =>
            mkdir(path.join(folder, `node_modules/${outer}/${inner}`), { recursive: true }),
          ),
        );
      for (let index = 0; index < 30; index++) await mkdir(path.join(folder, `src/${index}`), { recursive: true });
      const said = await inLimits(watches, folder);
      assert.deepEqual(said, { notices: expected, told: ['file', 'src/7/file'] });
    });
  }
});

/** Watches a folder in a process that may have so many watches of the system, while two files are made in it. */
async function inLimits(watches: number, folder: string): Promise<unknown> {
  const script = `
    import { writeFile } from 'node:fs/promises';
    import { watchFolder } from '${projectRoot}/src/lib/live-sync/watch-folder.ts';
    let notices = 0;
    const signal = new AbortController().signal;
    const progress = (event) => { if (event.type === 'notice') notices++; };
    const watch = await watchFolder({ folder: ${JSON.stringify(folder)}, skips: (name) => name === 'node_modules', signal, progress });
    const all = new Set();
    const wanted = ['file', 'src/7/file'];
    const look = async () => { for (const one of await watch.next()) all.add(one); };
    if (notices > 0) await look();
    for (const name of wanted) await writeFile(${JSON.stringify(folder)} + '/' + name, 'x');
    while (!wanted.every((one) => all.has(one))) await look();
    watch.close();
    console.log(JSON.stringify({ notices, told: wanted.filter((one) => all.has(one)) }));
  `;
  // The limit of a user namespace holds for it alone.
  const line = `echo ${watches} > /proc/sys/user/max_inotify_watches && exec "$0" --import tsx --input-type=module -e "$1"`;
  const child = spawn('unshare', ['--user', '--map-root-user', 'sh', '-c', line, process.execPath, script], {
    cwd: projectRoot,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const chunk of child.stdout) output += String(chunk);
  return JSON.parse(output);
}
