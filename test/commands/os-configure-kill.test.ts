import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { encodeUndoJournal } from '../../src/lib/image/undo-journal.js';
import { ownProcess } from '../../src/lib/platform/process-identity.js';
import { rounds } from '../support/campaign.js';
import { asNobody, davit, startDavit } from '../support/davit.js';
import { bytesAt, partitionContent } from '../support/disk-content.js';
import { attachLoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { straceMissing } from '../support/programs.js';
import { type SeededRandom, seededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Longer than a change takes, and than davit takes to come to it. */
const longestChangeMs = 12;
const longestRunMs = 400;

/** A change of many files: two folders, old and new ones, and one so large that writing it takes a while. */
async function makeProfile(folder: string, unit: number): Promise<string> {
  const random = seededRandom(unit);
  const files = path.join(folder, `files-${unit}`);
  await mkdir(files);
  const lines = [`hostname: unit-${unit}`, 'mode: development', 'networks:'];
  for (let index = 0; index < 6; index += 1) {
    lines.push(
      `  network-${index}: { type: wifi, ssid: network-${index}, key: passphrase ${unit} of network ${index} }`,
    );
  }
  lines.push('bootFiles:');
  for (const name of ['notes.txt', 'overlays/one.dtbo', 'overlays/two.dtbo', 'new/deep.bin']) {
    const file = path.join(files, name.replaceAll('/', '-'));
    await writeFile(file, random.bytes(100 + random.below(60_000)));
    lines.push(`  ${name}: ${file}`);
  }
  const profile = path.join(folder, `profile-${unit}.yaml`);
  await writeFile(profile, `${lines.join('\n')}\n`);
  return profile;
}

/** Words that run a program and kill it when it begins to write to a file, or to flush it, for the n-th time. */
function killedAt(count: number, file: string, folder: string): string[] {
  const calls = 'pwrite64,fsync';
  const filter = ['-e', `trace=${calls}`, '-e', `inject=${calls}:signal=KILL:when=${count}`, '-P', file];
  return ['strace', '-f', '-o', path.join(folder, 'strace'), ...filter];
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

/** Starts davit and sends it a signal at a random moment: of its whole run, or of the time in which there is a journal. */
async function signalSometime(
  words: readonly string[],
  signal: NodeJS.Signals,
  random: SeededRandom,
  options: { readonly hasJournal: () => boolean; readonly environment: Readonly<Record<string, string>> },
): Promise<{ readonly exitCode: number | null; readonly wasAtWork: boolean }> {
  const child = startDavit(words, options);
  const exited = once(child, 'exit');
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  if (random.below(4) === 0) await Promise.race([wait(random.below(longestRunMs)), exited]);
  else {
    while (!isOver() && !options.hasJournal()) await turn();
    const end = performance.now() + (random.below(1000) / 1000) * longestChangeMs;
    while (!isOver() && performance.now() < end) await turn();
  }
  const wasAtWork = options.hasJournal();
  child.kill(signal);
  await exited;
  return { exitCode: child.exitCode, wasAtWork };
}

describe('os configure --in-place', () => {
  async function setUp(t: TestContext) {
    const folder = await temporaryFolder(t);
    const image = path.join(folder, 'device.img');
    await makeOsImage(image, { fat: 16, table: 'mbr' });
    const environment = { DAVIT_STATE_DIR: path.join(folder, 'state') };
    const words = async (unit: number, target: string) => {
      const profile = await makeProfile(folder, unit);
      return ['os', 'configure', target, '--profile', profile];
    };
    return { folder, image, environment, words };
  }

  for (const [signal, count] of [
    ['SIGKILL', rounds(10, 200)],
    ['SIGINT', rounds(2, 50)],
    ['SIGTERM', rounds(2, 50)],
  ] as const) {
    it(`leaves the old image or the new one to the next command after ${signal} at any moment`, async (t) => {
      const { folder, image, environment, words } = await setUp(t);
      const first = [...(await words(1, image)), '--in-place'];
      const made = await davit(first);
      assert.equal(made.exitCode, 0, made.stderr);
      const oldHash = await sha256(image);
      const kept = `${image}.old`;
      await copyFile(image, kept);
      const second = [...(await words(2, image)), '--in-place'];
      assert.equal((await davit(second)).exitCode, 0);
      const newHash = await sha256(image);
      assert.notEqual(oldHash, newHash);
      const beside = (await readdir(folder)).sort();

      const random = seededRandom(signal.length);
      const seen = { old: 0, new: 0, atWork: 0 };
      for (let round = 0; round < count; round += 1) {
        await copyFile(kept, image);
        const hasJournal = () => existsSync(`${image}.davit-undo`);
        const { exitCode, wasAtWork } = await signalSometime(second, signal, random, { hasJournal, environment });
        const next = random.pick([
          ['os', 'inspect', image],
          ['image', 'map', image],
        ]);
        const { exitCode: nextExitCode, stderr } = await davit(next);
        assert.equal(nextExitCode, 0, stderr);
        const hash = await sha256(image);
        assert.ok(hash === oldHash || hash === newHash, `round ${round}: a mix`);
        if (signal !== 'SIGKILL') assert.ok(exitCode !== 0 || hash === newHash, 'what has succeeded is there');
        if (exitCode === 130) assert.equal(hash, oldHash, 'what was interrupted is not there');
        if (wasAtWork) seen.atWork += 1;
        if (hash === oldHash) seen.old += 1;
        else seen.new += 1;
      }
      // A draft that was left behind is removed by the next davit that writes there.
      await copyFile(kept, image);
      assert.equal((await davit(second)).exitCode, 0);
      assert.equal(await sha256(image), newHash);
      assert.deepEqual((await readdir(folder)).sort(), beside);
      t.diagnostic(JSON.stringify(seen));
    });
  }

  const skip = loopDevicesMissing;
  it('is not read in the middle of a change by who may not put it back', { skip }, async (t) => {
    const { folder, image, environment, words } = await setUp(t);
    await chmod(folder, 0o755);
    const old = await readFile(image);
    const command = [...(await words(1, image)), '--in-place'];
    assert.equal((await davit(command, { environment })).exitCode, 0);
    const changed = await readFile(image);
    const offsets = Array.from({ length: old.length / 512 }, (_, index) => index * 512);
    const differing = offsets.filter((at) => !old.subarray(at, at + 512).equals(changed.subarray(at, at + 512)));
    const sectorsOf = (bytes: Buffer) =>
      differing.map((offset) => ({ offset, data: bytes.subarray(offset, offset + 512) }));
    const changes = { before: sectorsOf(old), stages: [sectorsOf(changed)] };
    const half = Buffer.from(old);
    for (const { offset, data } of sectorsOf(changed).slice(0, 9)) data.copy(half, offset);
    await writeFile(image, half);
    const owner = (await ownProcess()).replace(/^\d+\.\d*/, '4194303.1');
    const { ino: inode } = await stat(image);
    const journal = encodeUndoJournal({ owner, inode, accessedMs: 0, modifiedMs: 0, changes });
    await writeFile(`${image}.davit-undo`, journal);
    for (const reading of [
      ['os', 'inspect', image],
      ['image', 'map', image],
      ['os', 'configure', image, '--dev', '--output', path.join(folder, 'never.img')],
    ]) {
      const { exitCode, stderr } = await davit(reading, { wrapper: asNobody });
      assert.equal(exitCode, 7, stderr);
      assert.match(stderr, /whose change was not completed/);
      assert.ok(half.equals(await readFile(image)));
    }
    const { exitCode, stderr } = await davit(['os', 'inspect', image]);
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /was being changed when davit was ended/);
    assert.ok(old.equals(await readFile(image)));
  });

  it(
    'leaves the old image or the new one when it is killed at any of its writes',
    { skip: straceMissing },
    async (t) => {
      const { folder, image, environment, words } = await setUp(t);
      const old = await readFile(image);
      const kept = `${image}.old`;
      await copyFile(image, kept);
      const command = [...(await words(1, image)), '--in-place'];
      assert.equal((await davit(command, { environment })).exitCode, 0);
      const changed = await readFile(image);
      const seen = { old: 0, new: 0, half: 0 };
      // strace counts the calls of each thread.
      const oneThread = { ...environment, UV_THREADPOOL_SIZE: '1' };
      for (let at = 1; ; at += rounds(5, 1)) {
        await copyFile(kept, image);
        const { exitCode } = await davit(command, {
          environment: oneThread,
          wrapper: killedAt(at, image, folder),
        });
        const found = await readFile(image);
        if (!found.equals(old) && !found.equals(changed)) seen.half += 1;
        const next = await davit(['os', 'inspect', image]);
        assert.equal(next.exitCode, 0, next.stderr);
        const restored = await readFile(image);
        if (restored.equals(old)) seen.old += 1;
        else {
          assert.ok(restored.equals(changed), `a mix after ${at} writes`);
          seen.new += 1;
        }
        if (exitCode === 0) break;
      }
      assert.ok(seen.half > 2 && seen.new > 0, JSON.stringify(seen));
      t.diagnostic(JSON.stringify(seen));
    },
  );

  it(
    'leaves each file of a drive old or new after SIGKILL at any moment, and the next command a clean file system',
    { skip },
    async (t) => {
      const { folder, image, environment, words } = await setUp(t);
      const { boot } = await makeOsImage(image, { fat: 16, table: 'mbr' });
      const { path: drive } = await attachLoopDevice(t, image);
      const ways = [
        [...(await words(1, drive)), '--yes'],
        [...(await words(2, drive)), '--yes'],
      ] as const;
      const bootContent = () => partitionContent(drive, boot);
      const states: Readonly<Record<string, string>>[] = [];
      for (const way of [...ways].reverse()) {
        const { exitCode, stderr } = await davit(way, { environment });
        assert.equal(exitCode, 0, stderr);
        states.unshift((await bootContent()).files);
      }
      const random = seededRandom(5);
      const outside = async () => {
        const bytes = await bytesAt(drive, 0, 64 * 1024 * 1024);
        bytes.fill(0, boot.start, boot.start + boot.size);
        return createHash('sha256').update(bytes).digest('hex');
      };
      const outsideBefore = await outside();
      const journals = path.join(folder, 'state', 'configure');
      const hasJournal = () => readdirSync(journals).some((name) => name.endsWith('.undo'));
      let now = 0;
      let atWork = 0;
      const killAndLook = async (kill: (way: readonly string[]) => Promise<unknown>) => {
        const wanted = 1 - now;
        const way = ways[wanted] ?? [];
        await kill(way);
        if (hasJournal()) atWork += 1;
        const { files: found } = await bootContent();
        for (const name of new Set([found, ...states].flatMap((files) => Object.keys(files)))) {
          const allowed = states.map((state) => state[name]);
          assert.ok(allowed.includes(found[name]), `${name} is neither old nor new`);
        }
        const { exitCode, stderr } = await davit(way, { environment });
        assert.equal(exitCode, 0, stderr);
        assert.deepEqual(await bootContent(), { problems: 0, files: states[wanted] });
        assert.equal(await outside(), outsideBefore);
        now = wanted;
      };
      for (let round = 0; round < rounds(4, 200); round += 1) {
        await killAndLook((way) => signalSometime(way, 'SIGKILL', random, { hasJournal, environment }));
      }
      let exitCode: number | null = straceMissing === false ? null : 0;
      for (let at = 1; exitCode !== 0; at += rounds(3, 1)) {
        await killAndLook(async (way) => {
          const wrapper = killedAt(at, drive, folder);
          ({ exitCode } = await davit(way, { environment: { ...environment, UV_THREADPOOL_SIZE: '1' }, wrapper }));
        });
      }
      t.diagnostic(`${atWork} were killed at work`);
    },
  );
});
