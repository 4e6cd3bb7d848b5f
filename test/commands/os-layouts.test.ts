import assert from 'node:assert/strict';
import { copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openBlockFile } from '../../src/lib/image/block-file.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import {
  type DiskPartition,
  type DiskVolume,
  fatComplaints,
  makeBareFat,
  makeDiskImage,
} from '../support/disk-image.js';
import { checked } from '../support/loop-device.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const withoutRoot = process.getuid?.() === 0 ? false : 'a loop device needs root';
const release = 'NAME="balenaOS"\nVERSION="6.8.1"\n';

/** What an image's boot partition holds. */
function bootFiles(options: { readonly partition?: unknown; readonly isFlasher?: boolean } = {}) {
  const { partition = 1, isFlasher = false } = options;
  return {
    'config.json': '{"deviceType":"intel-nuc","persistentLogging":false}',
    'device-type.json': JSON.stringify({
      ...{ slug: 'intel-nuc', name: 'Intel NUC', arch: 'amd64' },
      yocto: { image: isFlasher ? 'balena-image-flasher' : 'balena-image' },
      configuration: { config: { partition, path: '/config.json' } },
    }),
    ...(isFlasher ? { 'balena-image-flasher': 'x' } : { 'balena-image': 'x', 'os-release': release }),
    'system-connections/a-sample-with-a-long-name.ignore': '[connection]\ntype=wifi\n',
  };
}

function without(name: string, files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([one]) => one !== name));
}

/** A FAT16 needs more than 4084 clusters. */
const small = { bits: 16, sectorsPerCluster: 2 } as const;

function boot(volume: DiskVolume = {}, more: Partial<DiskPartition> = {}): DiskPartition {
  return { mebibytes: 6, fat: { ...small, files: bootFiles(), ...volume }, ...more };
}

function root(label: string, name?: string): DiskPartition {
  return { mebibytes: 2, ext4: { label }, ...(name === undefined ? {} : { name }) };
}

const rest = [root('resin-rootB'), { mebibytes: 0, type: 'f' }, root('resin-state'), root('resin-data')];

function guidRest(): DiskPartition[] {
  return ['resin-rootA', 'resin-rootB', 'resin-state', 'resin-data'].map((name) => root(name, name));
}

/** Partitions of a board support package in front of the boot partition. */
function jetson(number: number): DiskPartition[] {
  const blobs = Array.from({ length: number - 1 }, (_, index) => ({ mebibytes: 1, name: `blob-${index + 1}` }));
  return [...blobs, boot({ files: bootFiles({ partition: number }) }, { name: 'resin-boot' }), ...guidRest()];
}

interface Layout {
  readonly make: (file: string) => Promise<unknown>;
  readonly number: number;
  readonly foundBy: string;
  readonly kind?: 'flasher';
  /** Said by `os configure` about the image. */
  readonly warning?: RegExp;
  /** Whether nothing but config.json has a place. */
  readonly isConfigOnly?: boolean;
  readonly needsRoot?: boolean;
  /** Whether a packed image of this layout is refused. */
  readonly packedRefusal?: string;
}

const mbr = (partitions: readonly DiskPartition[]) => (file: string) => makeDiskImage(file, 'dos', partitions);
const gpt = (partitions: readonly DiskPartition[]) => (file: string) => makeDiskImage(file, 'gpt', partitions);

async function damage(file: string, offset: number): Promise<void> {
  const opened = await openBlockFile(file, { writable: true });
  await opened.write(offset < 0 ? opened.size + offset : offset, Buffer.alloc(64, 0xaa));
  await opened.close();
}

const layouts: Readonly<Record<string, Layout>> = {
  'MBR with FAT16 and logical partitions': {
    make: mbr([boot(), root('resin-rootA'), ...rest]),
    ...{ number: 1, foundBy: 'label' },
  },
  'MBR with FAT32, as on a Raspberry Pi': {
    make: mbr([boot({ bits: 32, sectorsPerCluster: 1 }, { mebibytes: 40 }), root('resin-rootA'), ...rest]),
    ...{ number: 1, foundBy: 'label' },
  },
  'MBR with FAT12': {
    make: mbr([boot({ bits: 12, sectorsPerCluster: 8 }), root('resin-rootA'), ...rest]),
    ...{ number: 1, foundBy: 'label' },
  },
  'MBR with balena-boot as a logical partition': {
    make: mbr([
      root('a'),
      root('b'),
      root('c'),
      { mebibytes: 0, type: 'f' },
      root('d'),
      boot({ label: 'balena-boot' }),
    ]),
    ...{ number: 6, foundBy: 'label' },
  },
  'GPT with names': {
    make: gpt([boot({ label: 'ANY' }, { name: 'resin-boot' }), ...guidRest()]),
    ...{ number: 1, foundBy: 'name' },
  },
  'GPT without names': { make: gpt([root('x'), boot(), root('y')]), number: 2, foundBy: 'label' },
  'GPT in sectors of 4096 bytes': {
    make: (file) =>
      makeDiskImage(
        file,
        'gpt',
        [
          boot({ bits: 32, sectorSize: 4096, sectorsPerCluster: 1 }, { mebibytes: 280, name: 'resin-boot' }),
          ...guidRest(),
        ],
        { sectorSize: 4096 },
      ),
    ...{ number: 1, foundBy: 'name', needsRoot: true },
  },
  'GPT with a damaged primary header': {
    make: async (file) => {
      await gpt([boot({}, { name: 'resin-boot' }), ...guidRest()])(file);
      await damage(file, 512);
    },
    ...{ number: 1, foundBy: 'name', warning: /primary GPT is damaged/, packedRefusal: 'partition-table-damaged' },
  },
  'GPT with damaged primary entries': {
    make: async (file) => {
      await gpt([boot({}, { name: 'resin-boot' }), ...guidRest()])(file);
      await damage(file, 1024);
    },
    ...{ number: 1, foundBy: 'name', warning: /primary GPT is damaged/, packedRefusal: 'partition-table-damaged' },
  },
  'GPT with a damaged backup': {
    make: async (file) => {
      await gpt([boot({}, { name: 'resin-boot' }), ...guidRest()])(file);
      await damage(file, -512);
    },
    ...{ number: 1, foundBy: 'name', warning: /backup GPT is damaged/ },
  },
  'a hybrid MBR': {
    make: async (file) => {
      await gpt([boot({}, { name: 'resin-boot' }), ...guidRest()])(file);
      await checked(['sgdisk', '--hybrid', '1:2', file]);
    },
    ...{ number: 1, foundBy: 'name' },
  },
  'a flasher': {
    make: gpt([
      boot({ label: 'flash-boot', files: bootFiles({ isFlasher: true }) }, { name: 'flash-boot' }),
      {
        ...{ mebibytes: 4, name: 'flash-rootA' },
        ext4: {
          label: 'flash-rootA',
          files: {
            'etc/os-release': release,
            'etc/resin-init-flasher.conf': 'INTERNAL_DEVICE_KERNEL="nvme0n1 mmcblk7"\n',
            'opt/balena-image-intel-nuc.balenaos-img': 'the inner image',
          },
        },
      },
    ]),
    ...{ number: 1, foundBy: 'name', kind: 'flasher', warning: /overwrites the internal disk.*mmcblk/ },
  },
  'a flasher with an old name': {
    make: mbr([
      boot({ label: 'flash-boot', files: { ...without('balena-image-flasher', bootFiles({ isFlasher: true })) } }),
      root('flash-rootA'),
    ]),
    ...{ number: 1, foundBy: 'label', kind: 'flasher', warning: /nvme0n1, sda, sdb/ },
  },
  'a bare FAT file system, as for an Edison': {
    make: (file) => makeBareFat(file, 8, { ...small, files: bootFiles() }),
    ...{ number: 0, foundBy: 'bare-file-system' },
  },
  'an OS before 2.0 with resin-conf': {
    make: mbr([
      boot({ files: without('config.json', bootFiles({ partition: { primary: 4, logical: 1 } })) }),
      root('resin-root'),
      root('resin-updt'),
      { mebibytes: 0, type: 'f' },
      { mebibytes: 6, fat: { ...small, label: 'resin-conf' } },
      root('resin-data'),
    ]),
    ...{ number: 5, foundBy: 'label', isConfigOnly: true },
  },
  'a flasher before 2.0 with flash-conf': {
    make: mbr([
      boot({ label: 'flash-boot', files: without('config.json', bootFiles({ isFlasher: true })) }),
      root('flash-root'),
      { mebibytes: 0, type: 'f' },
      { mebibytes: 6, fat: { ...small, label: 'flash-conf' } },
    ]),
    ...{ number: 5, foundBy: 'label', kind: 'flasher', isConfigOnly: true },
  },
  'a device-type.json under another label': {
    make: mbr([root('x'), boot({ label: 'OTHER' })]),
    ...{ number: 2, foundBy: 'device-type.json', warning: /partition 2 was taken because of its device-type/ },
  },
  'a device-type.json that names a partition by number': {
    make: gpt([
      boot({ label: 'OTHER', files: without('config.json', bootFiles({ partition: 3 })) }),
      root('x'),
      { mebibytes: 6, fat: { ...small, label: 'ANOTHER', files: { 'config.json': '{}' } } },
    ]),
    ...{ number: 3, foundBy: 'device-type.json-hint', isConfigOnly: true, warning: /device-type\.json says so/ },
  },
  'a device-type.json that names a primary partition': {
    make: mbr([
      boot({ label: 'OTHER', files: without('config.json', bootFiles({ partition: { primary: 2 } })) }),
      { mebibytes: 6, fat: { ...small, label: 'ANOTHER', files: { 'config.json': '{}' } } },
    ]),
    ...{ number: 2, foundBy: 'device-type.json-hint', isConfigOnly: true },
  },
  'a config.json on partition 1 alone': {
    make: mbr([boot({ label: 'OTHER', files: { 'config.json': '{}' } }), root('x')]),
    ...{ number: 1, foundBy: 'config.json', warning: /because of its config\.json/ },
  },
  ...Object.fromEntries(
    [6, 9, 12, 14, 24, 37].map((number) => [
      `a Jetson with its boot partition as number ${number}`,
      { make: gpt(jetson(number)), number, foundBy: 'name' },
    ]),
  ),
};

async function failure(
  words: readonly string[],
): Promise<{ readonly exitCode: number | null; readonly code: unknown; text: string }> {
  const { exitCode, document, stderr } = await davitJson(words);
  assert.ok(isRecord(document) && isRecord(document.error), stderr);
  assert.ok(typeof document.error.hint === 'string' && document.error.hint.length > 10, 'a failure has a hint');
  return { exitCode, code: document.error.code, text: JSON.stringify(document.error) };
}

/** Asserts that two images are equal but for one range of bytes. */
async function assertEqualOutside(one: string, other: string, start: number, size: number): Promise<void> {
  const [a, b] = [await readFile(one), await readFile(other)];
  assert.equal(a.length, b.length);
  assert.ok(a.subarray(0, start).equals(b.subarray(0, start)), 'what lies before is as it was');
  assert.ok(a.subarray(start + size).equals(b.subarray(start + size)), 'what lies behind is as it was');
}

async function makeLayout(t: TestContext, make: Layout['make']): Promise<string> {
  const image = path.join(await temporaryFolder(t), 'image.img');
  await make(image);
  return image;
}

describe('os inspect and os configure with any layout', { concurrency: 3 }, () => {
  for (const [what, layout] of Object.entries(layouts)) {
    it(`take ${what}`, { skip: layout.needsRoot === true && withoutRoot }, async (t) => {
      const image = await makeLayout(t, layout.make);
      const inspected = await davitJson(['os', 'inspect', image]);
      assert.equal(inspected.exitCode, 0, inspected.stderr);
      assert.ok(isRecord(inspected.document) && isRecord(inspected.document.boot) && isRecord(inspected.document.os));
      assert.deepEqual(
        [inspected.document.boot.partition, inspected.document.boot.foundBy, inspected.document.os.kind],
        [layout.number, layout.foundBy, layout.kind ?? 'direct'],
      );

      const wifi = ['--wifi-ssid', 'Office', '--wifi-open'];
      const words = ['--hostname', 'kiosk', '--dev', ...(layout.isConfigOnly === true ? [] : wifi)];
      const output = `${image}.out`;
      const made = await davitJson(['os', 'configure', image, ...words, '--output', output]);
      assert.equal(made.exitCode, 0, made.stderr);
      assert.ok(isRecord(made.document) && isRecord(made.document.partition));
      const { start, size, number, foundBy } = made.document.partition;
      assert.deepEqual([number, foundBy], [layout.number, layout.foundBy]);
      assert.ok(typeof start === 'number' && typeof size === 'number');
      if (layout.warning !== undefined) assert.match(JSON.stringify(made.document.warnings), layout.warning);
      await assertEqualOutside(image, output, start, size);
      assert.equal(await fatComplaints(output, { start, size }), '');
      const config = await checked(['mtype', '-i', `${output}@@${start}`, '::/config.json']);
      assert.match(config, /"hostname": ?"kiosk"/);
      if (layout.isConfigOnly === true) {
        const refused = await failure(['os', 'configure', image, ...wifi, '--output', `${image}.no`]);
        assert.deepEqual([refused.exitCode, refused.code], [4, 'config-partition-only']);
      } else {
        assert.match(
          await checked(['mtype', '-i', `${output}@@${start}`, '::/system-connections/resin-wifi']),
          /Office/,
        );
      }

      await checked(['gzip', '-1', image]);
      const packed = ['os', 'configure', `${image}.gz`, ...words, '--output', `${output}.unpacked`];
      if (layout.packedRefusal !== undefined) {
        assert.equal((await failure(packed)).code, layout.packedRefusal);
        return;
      }
      assert.equal((await davit(packed)).exitCode, 0);
      await checked(['cmp', output, `${output}.unpacked`]);
      if (layout.number === 0) return;
      const streamed = await davitJson(['os', 'inspect', `${image}.gz`]);
      assert.ok(isRecord(streamed.document) && isRecord(streamed.document.boot), streamed.stderr);
      assert.equal(streamed.document.isPartial, true);
      const { free, config: shown, connections } = inspected.document.boot;
      assert.deepEqual(streamed.document.boot, { ...streamed.document.boot, free, config: shown, connections });
    });
  }

  const sizes: readonly (readonly [DiskVolume, number])[] = [
    ...[1, 2, 4, 8, 16, 32, 64].map(
      (sectorsPerCluster) => [{ bits: 16, sectorsPerCluster }, sectorsPerCluster * 2.5 + 4] as const,
    ),
    [{ bits: 12, sectorsPerCluster: 64 }, 20],
    [{ bits: 32, sectorsPerCluster: 1 }, 40],
    [{ bits: 32, sectorsPerCluster: 8 }, 280],
    ...[1024, 2048, 4096].map((sectorSize) => [{ bits: 16, sectorSize, sectorsPerCluster: 1 }, 40] as const),
  ];
  for (const [volume, mebibytes] of sizes) {
    it(`take a FAT of ${Object.entries(volume)
      .map(([name, value]) => `${name} ${String(value)}`)
      .join(', ')}`, async (t) => {
      const image = await makeLayout(t, mbr([boot(volume, { mebibytes: Math.ceil(mebibytes) })]));
      const before = `${image}.before`;
      await copyFile(image, before);
      const made = await davitJson([
        'os',
        'configure',
        image,
        '--hostname',
        'kiosk',
        '--wifi-ssid',
        'O',
        '--wifi-open',
        '--in-place',
      ]);
      assert.equal(made.exitCode, 0, made.stderr);
      assert.ok(isRecord(made.document) && isRecord(made.document.partition));
      const { start, size } = made.document.partition;
      assert.ok(typeof start === 'number' && typeof size === 'number');
      assert.equal(await fatComplaints(image, { start, size }), '');
      assert.match(await checked(['mtype', '-i', `${image}@@${start}`, '::/config.json']), /kiosk/);
      await assertEqualOutside(image, before, start, size);
    });
  }

  it('refuse to choose between two boot partitions, and take the one that is asked for', async (t) => {
    for (const make of [
      gpt([boot({}, { name: 'resin-boot' }), boot({}, { name: 'resin-boot' })]),
      mbr([boot(), root('x'), boot({ label: 'flash-boot' })]),
    ]) {
      const image = await makeLayout(t, make);
      const refused = await failure(['os', 'configure', image, '--dev']);
      assert.deepEqual([refused.exitCode, refused.code], [4, 'boot-partition-ambiguous']);
      assert.match(refused.text, /--partition/);
      const inspected = await davitJson(['os', 'inspect', image]);
      assert.ok(isRecord(inspected.document) && inspected.document.boot === null);
      assert.match(JSON.stringify(inspected.document.warnings), /boot partition/);
      for (const command of [
        ['os', 'inspect', image],
        ['os', 'configure', image, '--dev', '--dry-run'],
      ]) {
        const { exitCode, document, stderr } = await davitJson([...command, '--partition', '1']);
        assert.equal(exitCode, 0, stderr);
        assert.match(JSON.stringify(document), /"foundBy":"asked-for"/);
      }
    }
  });

  it('take a partition by number, name or label, and say what there is when there is none like it', async (t) => {
    const image = await makeLayout(
      t,
      gpt([boot({ label: 'FIRST' }, { name: 'one' }), root('x', 'two'), boot({ label: 'THIRD' }, { name: 'three' })]),
    );
    for (const [wanted, number] of [
      ['3', 3],
      ['three', 3],
      ['FIRST', 1],
    ] as const) {
      const { document } = await davitJson(['os', 'inspect', image, '--partition', wanted]);
      assert.ok(isRecord(document) && isRecord(document.boot));
      assert.equal(document.boot.partition, number);
    }
    const none = await failure(['os', 'configure', image, '--dev', '--partition', 'four']);
    assert.deepEqual([none.exitCode, none.code], [3, 'partition-not-found']);
    assert.match(none.text, /1 \(one\), 2 \(two\), 3 \(three\)/);
    const ext = await failure(['os', 'configure', image, '--dev', '--partition', '2']);
    assert.deepEqual([ext.exitCode, ext.code], [4, 'partition-not-fat']);
  });

  const damaged: Readonly<Record<string, readonly [(file: string) => Promise<unknown>, string]>> = {
    'a chain of logical partitions that leads back': [
      async (file) => {
        const { partitions } = await mbr([
          root('a'),
          boot({ label: 'X', files: {} }),
          { mebibytes: 0, type: 'f' },
          root('b'),
          root('c'),
        ])(file);
        const second = partitions.find(({ number }) => number === 6);
        const container = partitions.find(({ number }) => number === 3);
        const record = Buffer.alloc(16);
        record.writeUInt8(5, 4);
        record.writeUInt32LE(0, 8);
        record.writeUInt32LE(100, 12);
        const opened = await openBlockFile(file, { writable: true });
        await opened.write((second?.start ?? 0) - 1024 * 1024 + 462, record);
        await opened.close();
        assert.ok(container);
      },
      'partition-table-damaged',
    ],
    'a boot partition that overlaps another': [
      async (file) => {
        const { partitions } = await mbr([boot(), root('a')])(file);
        const opened = await openBlockFile(file, { writable: true });
        const sector = Buffer.alloc(4);
        sector.writeUInt32LE(((partitions[0]?.start ?? 0) + 1024 * 1024) / 512);
        await opened.write(446 + 16 + 8, sector);
        await opened.close();
      },
      'partition-table-damaged',
    ],
    'a partition beyond the end': [
      async (file) => {
        await mbr([boot(), root('a')])(file);
        const opened = await openBlockFile(file, { writable: true });
        await opened.write(446 + 16 + 8, Buffer.from([0, 0, 0, 0x7f]));
        await opened.close();
      },
      'image-truncated',
    ],
    'both copies of a GPT damaged': [
      async (file) => {
        await gpt([boot({}, { name: 'resin-boot' })])(file);
        await damage(file, 512);
        await damage(file, -512);
      },
      'partition-table-damaged',
    ],
    'a table that ends with the file': [
      async (file) => {
        await gpt([boot({}, { name: 'resin-boot' })])(file);
        await writeFile(file, (await readFile(file)).subarray(0, 700));
      },
      'partition-table-damaged',
    ],
    ...Object.fromEntries(
      (
        [
          ['no sectors in a cluster', 13, [0]],
          ['an allocation table of 4 GB', 22, [0, 0], 36, [0xff, 0xff, 0xff, 0x00]],
          ['sectors of 65535 bytes', 11, [0xff, 0xff]],
          ['more sectors than there are', 19, [0, 0], 32, [0xff, 0xff, 0xff, 0xff]],
          ['no reserved sectors', 14, [0, 0]],
          ['no allocation table', 16, [0]],
        ] as const
      ).map(([what, ...edits]) => [
        `a FAT with ${what}`,
        [
          async (file: string) => {
            const { partitions } = await mbr([boot(), root('a')])(file);
            const opened = await openBlockFile(file, { writable: true });
            for (let index = 0; index < edits.length; index += 2) {
              const [offset, bytes] = [edits[index], edits[index + 1]];
              if (typeof offset === 'number' && Array.isArray(bytes)) {
                await opened.write((partitions[0]?.start ?? 0) + offset, Buffer.from(bytes));
              }
            }
            await opened.close();
          },
          'boot-partition-not-found file-system-damaged',
        ] as const,
      ]),
    ),
  };
  for (const [what, [make, codes]] of Object.entries(damaged)) {
    it(`refuse ${what} and leave it as it is`, async (t) => {
      const image = await makeLayout(t, make);
      const before = `${image}.before`;
      await copyFile(image, before);
      const modified = (await stat(image)).mtimeMs;
      const { code, text } = await failure(['os', 'configure', image, '--dev', '--in-place']);
      assert.ok(codes.split(' ').includes(String(code)), text);
      await checked(['cmp', image, before]);
      assert.equal((await stat(image)).mtimeMs, modified);
      await rm(before);
      const packed = await davitJson(['os', 'inspect', image]);
      assert.notEqual(packed.exitCode, 1);
    });
  }

  it('take an image with 200 partitions', async (t) => {
    const image = await makeLayout(t, async (file) => {
      const blobs = Array.from(
        { length: 199 },
        (_, index) => `${file}${index + 1} : start=${2048 + index * 8}, size=8`,
      );
      await checked(['truncate', '-s', '16M', file]);
      const script = [
        'label: gpt',
        'table-length: 256',
        '',
        ...blobs,
        `${file}200 : start=8192, size=16384, name="resin-boot"`,
        '',
      ];
      await checked(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', file], script.join('\n'));
      const fat = `${file}.fat`;
      await makeBareFat(fat, 8, { ...small, files: bootFiles() });
      await checked(['dd', `if=${fat}`, `of=${file}`, 'bs=512', 'seek=8192', 'conv=notrunc', 'status=none']);
      await rm(fat);
    });
    const { exitCode, document, stderr } = await davitJson(['os', 'configure', image, '--dev', '--dry-run']);
    assert.equal(exitCode, 0, stderr);
    assert.ok(isRecord(document) && isRecord(document.partition));
    assert.equal(document.partition.number, 200);
  });
});
