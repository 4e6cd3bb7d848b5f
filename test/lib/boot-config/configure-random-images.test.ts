import assert from 'node:assert/strict';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { BootConfigurationRequest } from '../../../src/lib/boot-config/boot-configuration-request.js';
import { configureImage, type ConfigureTarget } from '../../../src/lib/boot-config/configure-image.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import type { ChangedRanges } from '../../../src/lib/image/overlay.js';
import { run } from '../../../src/lib/platform/child-process.js';
import { rounds } from '../../support/campaign.js';
import { davitProgram, runProgram } from '../../support/davit.js';
import { assertUntouched, clustersByMtools, volumeFacts } from '../../support/fat-clusters.js';
import { asMtoolsReads } from '../../support/fat-disk.js';
import { checked } from '../../support/loop-device.js';
import { makePng } from '../../support/png.js';
import { makeRandomImage, type RandomPartition } from '../../support/random-image.js';
import { type SeededRandom, seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Image {
  readonly path: string;
  readonly boot: RandomPartition;
  /** The boot partition as mtools wants it. */
  readonly address: string;
}

/** A random image, one partition of which is made the boot partition: by its label, or by what is in it. */
async function makeBootImage(file: string, seed: number, random: SeededRandom): Promise<Image> {
  const { partitions } = await makeRandomImage(file, seed, 'fat');
  const [boot] = partitions;
  assert.ok(boot);
  const address = `${file}@@${boot.start}`;
  const put = async (name: string, content: string | Buffer) => {
    await writeFile(`${file}.put`, content);
    await run('mcopy', ['-o', '-i', address, `${file}.put`, `::/${name}`]);
  };
  await checked(['mlabel', '-i', address, random.pick(['::resin-boot', '::flash-boot', '::OTHER'])]);
  const config = { deviceType: 'raspberrypi4-64', persistentLogging: false, kept: random.bytes(6).toString('hex') };
  await put('config.json', JSON.stringify(config));
  await put('device-type.json', JSON.stringify({ slug: 'raspberrypi4-64', name: 'x', arch: 'aarch64' }));
  await checked(['mmd', '-i', address, '::/system-connections', '::/splash']);
  await put('splash/balena-logo.png', makePng(8, 8));
  await put('system-connections/resin-wifi', '[connection]\ntype=wifi\n');
  // Every third one is full, but for a little.
  if (random.below(3) === 0) {
    const { clusterSize } = await volumeFacts(file, boot.start);
    const listing = await checked(['mdir', '-i', address, '::']);
    const free = Number(/([\d ]+) bytes free/.exec(listing)?.[1]?.replaceAll(' ', '') ?? 0);
    await put('filler.bin', Buffer.alloc(Math.max(0, free - clusterSize * random.below(14)), 7));
  }
  await rm(`${file}.put`);
  return { path: file, boot, address };
}

function randomRequest(random: SeededRandom): BootConfigurationRequest {
  const maybe = <T>(value: T) => (random.below(2) === 0 ? [value] : []);
  const connections = [
    ...maybe({ name: 'resin-wifi', content: Buffer.from(`[connection]\ntype=wifi\nid=${random.below(1e6)}\n`) }),
    ...maybe({
      name: 'a wired network',
      content: Buffer.from(`[connection]\ntype=ethernet\n#${'x'.repeat(random.below(9000))}\n`),
    }),
  ];
  const files = [
    ...maybe({ path: 'system-proxy/no_proxy', content: Buffer.from('10.0.0.0/8\n') }),
    ...maybe({ path: 'a folder/of its own/Größe.bin', content: random.bytes(random.below(40_000)) }),
  ];
  return {
    hostname: `host-${random.below(1e6)}`,
    ...(random.below(2) === 0 ? {} : { developmentMode: true }),
    ...(random.below(2) === 0 ? {} : { splash: makePng(8 + random.below(100), 9) }),
    ...(connections.length === 0 ? {} : { connections }),
    ...(files.length === 0 ? {} : { files }),
  };
}

function configure(image: string, request: BootConfigurationRequest, target: ConfigureTarget) {
  const signal = new AbortController().signal;
  return configureImage({ image, target, request, isDryRun: false, signal, progress: () => undefined });
}

/** What is in a file system besides the content of its files: names, sizes and dates, but for those whose lines name something. */
async function listing(address: string, touched: readonly string[]): Promise<string[]> {
  const { stdout } = await run('mdir', ['-/', '-a', '-i', address, '::']);
  const isOther = (line: string) => !touched.some((name) => line.toLowerCase().includes(name.toLowerCase()));
  return stdout.split('\n').filter((line) => /\d\d:\d\d/.test(line) && isOther(line));
}

/** Where two images differ, in sectors. */
async function differences(before: string, after: string): Promise<ChangedRanges> {
  const [one, other] = [await readFile(before), await readFile(after)];
  assert.equal(one.length, other.length);
  const ranges = [];
  for (let offset = 0; offset < one.length; offset += 512) {
    const data = other.subarray(offset, offset + 512);
    if (!data.equals(one.subarray(offset, offset + 512))) ranges.push({ offset, data });
  }
  return ranges;
}

async function volumeOf({ path: file, boot }: Image): Promise<{ clean: number; said: string }> {
  const volume = `${file}.volume`;
  await checked([
    'dd',
    `if=${file}`,
    `of=${volume}`,
    `skip=${boot.start}`,
    `count=${boot.size}`,
    'iflag=skip_bytes,count_bytes',
    'bs=4M',
    'status=none',
  ]);
  const { exitCode, stdout } = await run('fsck.fat', ['-n', volume]);
  await rm(volume);
  return { clean: exitCode, said: stdout };
}

describe('any image that sfdisk, mkfs.vfat and mke2fs make', () => {
  for (let seed = 1; seed <= rounds(8, 100); seed += 1) {
    test(`is changed where it was asked for and nowhere else, the same each time: seed ${seed}`, async (t) => {
      const folder = await temporaryFolder(t);
      const random = seededRandom(9000 + seed);
      const image = await makeBootImage(path.join(folder, 'device.img'), 9000 + seed, random);
      const request = randomRequest(random);
      const before = await asMtoolsReads(image.address, path.join(folder, 'before'));
      const clusters = await clustersByMtools(image.address, [...before.keys()]);
      const original = path.join(folder, 'original.img');
      await copyFile(image.path, original);

      const output = path.join(folder, 'output.img');
      let written: readonly string[];
      try {
        const { files, partition } = await configure(image.path, request, {
          kind: 'new-file',
          path: output,
          mayOverwrite: false,
        });
        assert.equal(partition.start, image.boot.start);
        written = files.filter(({ action }) => action !== 'keep').map((file) => file.path);
      } catch (error) {
        assert.ok(error instanceof Failure && error.code === 'boot-partition-full', String(error));
        await assert.rejects(configure(image.path, request, { kind: 'in-place' }), { code: 'boot-partition-full' });
        assert.deepEqual(await differences(original, image.path), []);
        t.diagnostic('full');
        return;
      }
      assert.deepEqual(await differences(original, image.path), [], 'the image itself stays as it was');

      const changes = await differences(original, output);
      const { start, size } = image.boot;
      assert.ok(changes.length > 0 && changes.every(({ offset }) => offset >= start && offset < start + size));
      const isWritten = (name: string) => written.some((one) => one.toLowerCase() === name.toLowerCase());
      const inVolume = changes.map(({ offset, data }) => ({ offset: offset - start, data }));
      const stayed = new Map([...clusters].filter(([name]) => !isWritten(name)));
      assertUntouched(inVolume, stayed, await volumeFacts(output, start));

      const configured = { ...image, path: output, address: `${output}@@${start}` };
      const after = await asMtoolsReads(configured.address, path.join(folder, 'after'));
      for (const [name, content] of before) if (!isWritten(name)) assert.ok(after.get(name)?.equals(content), name);
      assert.deepEqual(
        [...after.keys()].filter((name) => !before.has(name) && !isWritten(name)),
        [],
      );
      for (const file of request.files ?? []) assert.ok(after.get(file.path)?.equals(file.content), file.path);
      for (const { name, content } of request.connections ?? [])
        assert.ok(after.get(`system-connections/${name}`)?.equals(content), name);
      const touched = written.flatMap((name) => name.split('/'));
      const [listedBefore, listedAfter] = [
        await listing(image.address, touched),
        await listing(configured.address, touched),
      ];
      assert.deepEqual(
        listedBefore.filter((line) => !listedAfter.includes(line)),
        [],
        'names, sizes and dates of the others',
      );
      const [checkedBefore, checkedAfter] = [await volumeOf(image), await volumeOf(configured)];
      assert.equal(checkedAfter.clean, checkedBefore.clean, checkedAfter.said);

      const again = path.join(folder, 'again.img');
      await configure(image.path, request, { kind: 'new-file', path: again, mayOverwrite: false });
      assert.deepEqual(await differences(output, again), [], 'the same bytes again');
      await configure(image.path, request, { kind: 'in-place' });
      assert.deepEqual(await differences(output, image.path), [], 'the same bytes in place');
      const { isChanged } = await configure(image.path, request, { kind: 'in-place' });
      assert.equal(isChanged, false, 'nothing to do the second time');
    });
  }

  test('comes out the same at another time in another place, through the command', async (t) => {
    const folder = await temporaryFolder(t);
    const random = seededRandom(1);
    const image = await makeBootImage(path.join(folder, 'device.img'), 9001, random);
    await rm(path.join(folder, 'filler.bin'), { force: true });
    const clock = (moment: string) => `
      const Real = Date;
      const now = Real.parse('${moment}');
      globalThis.Date = class extends Real {
        constructor(...words) { super(...(words.length > 0 ? words : [now])); }
        static now() { return now; }
      };`;
    const at = (moment: string) => `data:text/javascript,${encodeURIComponent(clock(moment))}`;
    const [program = '', ...words] = davitProgram;
    const outputs = [];
    for (const [index, [moment, TZ]] of [
      ['1999-12-31T23:59:59Z', 'Asia/Kathmandu'],
      ['2026-06-01T12:00:00Z', 'UTC'],
      ['2107-12-31T00:00:01Z', 'America/St_Johns'],
    ].entries()) {
      const output = path.join(folder, `output-${index}.img`);
      const command = [
        'os',
        'configure',
        image.path,
        '--dev',
        '--hostname',
        'same',
        '--wifi-ssid',
        'x',
        '--wifi-open',
        '--output',
        output,
      ];
      const { exitCode, stderr } = await runProgram([program, '--import', at(moment ?? ''), ...words, ...command], {
        environment: { TZ },
      });
      assert.equal(exitCode, 0, stderr);
      outputs.push(output);
    }
    for (const output of outputs.slice(1)) assert.deepEqual(await differences(outputs[0] ?? '', output), []);
  });
});
