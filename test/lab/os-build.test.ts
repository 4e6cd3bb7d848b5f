import assert from 'node:assert/strict';
import { appendFile, cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { davit, projectRoot, runProgram } from '../support/davit.js';
import { checked } from '../support/loop-device.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { bootOffset, builtImage, virtualDeviceMissing } from '../support/virtual-device.js';

const names = ['resin-boot', 'resin-rootA', 'resin-rootB', 'resin-state', 'resin-data'];
const shipped = path.join(projectRoot, 'recipes', 'virtual-amd64');

interface SfdiskPartition {
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly name: string;
}

async function partitionsOf(image: string): Promise<SfdiskPartition[]> {
  const { partitiontable } = JSON.parse(await checked(['sfdisk', '--json', image])) as {
    partitiontable: { label: string; partitions: SfdiskPartition[] };
  };
  assert.equal(partitiontable.label, 'gpt');
  return partitiontable.partitions;
}

/** Copies one partition out of an image. */
async function extract(image: string, partition: SfdiskPartition, file: string): Promise<void> {
  const words = [`skip=${partition.start}`, `count=${partition.size}`, 'bs=512', 'conv=sparse', 'status=none'];
  await checked(['dd', `if=${image}`, `of=${file}`, ...words]);
}

describe('an image built by davit os build', { skip: virtualDeviceMissing, timeout: 600_000 }, () => {
  it('has the partitions of balenaOS: names, labels, types and alignment', async (t) => {
    const image = await builtImage();
    const partitions = await partitionsOf(image);
    assert.deepEqual(
      partitions.map(({ name }) => name),
      names,
    );
    const esp = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B';
    const linux = '0FC63DAF-8483-4772-8E79-3D69D8477DE4';
    assert.deepEqual(
      partitions.map(({ type }) => type),
      [esp, linux, linux, linux, linux],
    );
    for (const { start } of partitions) assert.equal(start % 8192, 0);
    assert.match(await checked(['sgdisk', '--verify', image]), /No problems found/);

    const file = path.join(await temporaryFolder(t), 'partition');
    for (const [index, partition] of partitions.entries()) {
      await extract(image, partition, file);
      assert.equal(await checked(['blkid', '-p', '-s', 'LABEL', '-o', 'value', file]), partition.name);
      assert.equal(await checked(['blkid', '-p', '-s', 'TYPE', '-o', 'value', file]), index === 0 ? 'vfat' : 'ext4');
      // fsck.fat warns of a label that it takes for lower-case letters, and still ends with 0.
      await checked(index === 0 ? ['fsck.fat', '-n', file] : ['e2fsck', '-fn', file]);
    }
  });

  it('takes little more of the disk than its files need', async () => {
    const { size, blocks } = await stat(await builtImage());
    assert.ok(blocks * 512 < size / 2, `${blocks * 512} of ${size} bytes`);
  });

  it('has the documented files in its boot partition', async () => {
    const drive = `${await builtImage()}@@${bootOffset}`;
    const listed = (await checked(['mdir', '-b', '-/', '-i', drive, '::']))
      .split('\n')
      .filter((line) => !line.endsWith('/'));
    assert.deepEqual(listed.sort(), [
      '::/EFI/BOOT/bootx64.efi',
      '::/EFI/BOOT/grub.cfg',
      '::/balena-image',
      '::/config.json',
      '::/device-type.json',
      '::/image-version-info',
      '::/os-release',
      '::/splash/balena-logo.png',
      '::/system-connections/README.ignore',
      '::/system-connections/balena-sample.ignore',
    ]);
    assert.equal(
      await checked(['mtype', '-i', drive, '::/config.json']),
      '{"deviceType":"virtual-amd64","persistentLogging":false}',
    );
    assert.match(await checked(['mtype', '-i', drive, '::/os-release']), /^PRETTY_NAME=".*not balenaOS.*"$/m);
  });

  it('is the same to the byte when it is built again', async (t) => {
    const again = path.join(await temporaryFolder(t), 'again.img');
    const built = await davit(['os', 'build', 'virtual-amd64', '--output', again, '--json']);
    assert.match(built.stdout, /"rootFileSystemKept": true/);
    assert.equal((await runProgram(['cmp', await builtImage(), again])).stdout, '');
  });

  it('is what davit os inspect understands', async () => {
    const { stdout } = await davit(['os', 'inspect', await builtImage(), '--json']);
    assert.match(stdout, /"slug": "virtual-amd64"/);
    assert.match(stdout, /"warnings": \[\]/);
  });

  it('has what a copied and changed recipe puts into it', async (t) => {
    const folder = await temporaryFolder(t);
    const recipe = path.join(folder, 'mine');
    await cp(shipped, recipe, { recursive: true });
    await writeFile(path.join(recipe, 'boot', 'hello.txt'), 'from the boot folder\n');
    await mkdir(path.join(recipe, 'rootfs', 'opt'), { recursive: true });
    await writeFile(path.join(recipe, 'rootfs', 'opt', 'hello.txt'), 'from the rootfs folder\n');
    await appendFile(path.join(recipe, 'packages.txt'), 'nano\n');

    const image = path.join(folder, 'mine.img');
    const cache = path.join(folder, 'cache');
    const built = await davit(['os', 'build', recipe, '--output', image], {
      environment: { DAVIT_CACHE_DIR: cache },
      timeoutMs: 600_000,
    });
    assert.equal(built.exitCode, 0, built.stderr);
    assert.equal(await checked(['mtype', '-i', `${image}@@${bootOffset}`, '::/hello.txt']), 'from the boot folder');
    const [, rootA] = await partitionsOf(image);
    assert.ok(rootA);
    const root = path.join(folder, 'root.ext4');
    await extract(image, rootA, root);
    assert.equal(await checked(['debugfs', '-R', 'cat /opt/hello.txt', root]), 'from the rootfs folder');
    const entries = await checked(['debugfs', '-R', 'ls -p /usr/bin', root]);
    const nano = entries.split('\n').find((line) => line.split('/')[5] === 'nano');
    const [, , mode, owner, group] = nano?.split('/') ?? [];
    assert.deepEqual([mode, owner, group], ['100755', '0', '0']);
    assert.match(await readFile(path.join(recipe, 'packages.txt'), 'utf8'), /nano/);
  });
});
