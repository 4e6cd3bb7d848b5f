import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import { FatFileSystem } from '../../../src/lib/image/fat-file-system.js';
import { Overlay } from '../../../src/lib/image/overlay.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { rounds } from '../../support/campaign.js';
import { assertClean, asMtoolsReads, makeFatDisk, openFat } from '../../support/fat-disk.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('a FAT file system', () => {
  for (const bits of [12, 16, 32] as const) {
    test(`reads what mtools wrote, on FAT${bits}`, async (t) => {
      const disk = await makeFatDisk(t, { bits });
      const folder = await temporaryFolder(t);
      const names = ['short.txt', 'LOUD.TXT', 'device-type.json', 'Mixed.Txt', 'ünï-cödé.json', 'x'.repeat(120)];
      for (const name of names) await writeFile(path.join(folder, name), `content of ${name}`);
      const sources = names.map((name) => path.join(folder, name));
      await runChecked('copying in', 'mmd', ['-i', disk.path, '::/sub']);
      await runChecked('copying in', 'mcopy', ['-i', disk.path, ...sources, '::/sub']);
      const file = await openBlockFile(disk.path);
      t.after(() => file.close());
      const fat = await openFat(new Overlay(file));
      assert.equal(await fat.label(), 'TESTING');
      assert.deepEqual(
        (await fat.list('/'))?.map(({ name, isFolder }) => [name, isFolder]),
        [['sub', true]],
      );
      assert.deepEqual((await fat.list('sub'))?.map((one) => one.name).sort(), [...names].sort());
      for (const name of names) assert.equal(String(await fat.read(`/sub/${name}`)), `content of ${name}`);
    });
  }

  test('finds names whatever their case, and by their short alias', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change(async (fat) => {
      await fat.write('config.json', Buffer.from('{}'));
      assert.equal(String(await fat.read('CONFIG.JSON')), '{}');
      assert.equal(String(await fat.read('config~1.jso')), '{}');
      await fat.write('CONFIG.json', Buffer.from('{"a":1}'));
      assert.deepEqual(
        (await fat.list(''))?.map((one) => one.name),
        ['config.json'],
      );
    });
  });

  test('keeps names with letters beyond the basic plane, which mtools cannot', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change(async (fat) => {
      await fat.write('😀', Buffer.from('x'));
      assert.deepEqual(
        (await fat.list(''))?.map((one) => one.name),
        ['😀'],
      );
    });
    await assertClean(disk.path);
  });

  test('gives aliases as Windows does', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    const names = ['config.json', 'config.jsonp', 'device-type.json', 'home', 'READY.TXT', '.hidden', 'with space.txt'];
    await disk.change(async (fat) => {
      for (const name of names) await fat.write(name, Buffer.from('x'));
    });
    const listing = await runChecked('listing', 'mdir', ['-a', '-i', disk.path, '::/']);
    for (const alias of [
      'CONFIG~1 JSO',
      'CONFIG~2 JSO',
      'DEVICE~1 JSO',
      'HOME  ',
      'READY    TXT',
      'HIDDEN~1',
      'WITHSP~1 TXT',
    ]) {
      assert.ok(listing.toUpperCase().includes(alias), `${alias} in\n${listing}`);
    }
  });

  test('writes into the file that a short alias names, and makes no second one', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change(async (fat) => {
      await fat.write('config.json', Buffer.from('{}'));
      await fat.write('CONFIG~1.JSO', Buffer.from('{"a":1}'));
      await fat.write('config.jsonp', Buffer.from('other'));
    });
    await assertClean(disk.path);
    assert.equal(await runChecked('reading', 'mtype', ['-i', disk.path, '::/config.json']), '{"a":1}');
    assert.equal(
      await runChecked('listing', 'mdir', ['-b', '-i', disk.path, '::/']),
      '::/config.json\n::/config.jsonp\n',
    );
  });

  test('knows the letters of short names, which mtools writes in capitals where that says all', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    const source = path.join(await temporaryFolder(t), 'source');
    const names = ['BÜRO', 'ÄÖ.ÉÑ', 'ØRE', 'ÕÔ'];
    for (const name of names) {
      await writeFile(source, name);
      await runChecked('copying in', 'mcopy', ['-i', disk.path, source, `::/${name}`]);
    }
    await disk.change(async (fat) => {
      assert.deepEqual((await fat.list(''))?.map((one) => one.name).sort(), [...names].sort());
      await fat.write('büro', Buffer.from('of davit'));
      assert.equal((await fat.list(''))?.length, names.length);
    });
    await assertClean(disk.path);
    assert.equal(await runChecked('reading', 'mtype', ['-i', disk.path, '::/BÜRO']), 'of davit');
  });

  test('leaves a file that it writes hidden, of the system and write-protected', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change((fat) => fat.write('io.sys', Buffer.from('old')));
    await runChecked('marking', 'mattrib', ['+h', '+s', '+r', '-i', disk.path, '::/io.sys']);
    await disk.change((fat) => fat.write('io.sys', Buffer.from('new')));
    assert.match(await runChecked('looking', 'mattrib', ['-i', disk.path, '::/io.sys']), /^ +A +SHR /);
  });

  for (const bits of [12, 16] as const) {
    test(`passes over what OS/2 keeps in the entries of FAT${bits}`, async (t) => {
      const disk = await makeFatDisk(t, { bits });
      await disk.change(async (fat) => {
        await fat.write('FOLDER/INNER', Buffer.alloc(5000, 1));
        await fat.write('FILE', Buffer.alloc(5000, 2));
        await fat.write('EMPTY', Buffer.alloc(0));
      });
      const bytes = await readFile(disk.path);
      for (const name of ['FOLDER     ', 'FILE       ', 'EMPTY      ', 'INNER      ']) {
        bytes.writeUInt16LE(0x1234, bytes.indexOf(name) + 20);
      }
      await writeFile(disk.path, bytes);
      await disk.change(async (fat) => {
        assert.deepEqual(await fat.read('FOLDER/INNER'), Buffer.alloc(5000, 1));
        assert.deepEqual(await fat.read('FILE'), Buffer.alloc(5000, 2));
        assert.deepEqual(await fat.read('EMPTY'), Buffer.alloc(0));
        assert.equal(await fat.remove('EMPTY'), true);
        await fat.write('FILE', Buffer.alloc(9000, 3));
        await fat.write('FOLDER/more', Buffer.alloc(10));
        assert.deepEqual(await fat.read('FILE'), Buffer.alloc(9000, 3));
      });
      await assertClean(disk.path);
    });
  }

  test('fills what many small gaps are left of, to the last cluster', async (t) => {
    for (const placement of ['over', 'beside'] as const) {
      const disk = await makeFatDisk(t, { bits: 12, size: 700 * 1024, clusterSectors: 1 });
      await disk.change(async (fat) => {
        for (let number = 0; fat.freeBytes > 2048; number += 1) {
          await fat.write(`gaps/${number}`, Buffer.alloc(512, number));
        }
        for (let number = 0; await fat.remove(`gaps/${number}`); number += 2);
      });
      const content = seededRandom(1).bytes(700 * 1024);
      let size = 0;
      await disk.change(async (fat) => {
        size = fat.freeBytes;
        await fat.write('BIG', content.subarray(0, size));
        assert.equal(fat.freeBytes, 0);
        await assert.rejects(fat.write('MORE', Buffer.alloc(1)), Failure);
      }, placement);
      await assertClean(disk.path);
      const out = await asMtoolsReads(disk.path, path.join(await temporaryFolder(t), 'out'));
      assert.ok(out.get('BIG')?.equals(content.subarray(0, size)));
      assert.equal(out.get('gaps/1')?.at(0), 1);
    }
  });

  test('lets a folder have 65536 entries and no more', async (t) => {
    const disk = await makeFatDisk(t, { bits: 32 });
    // The entries of a folder are put together here, in the place of a file: one after the other would take minutes.
    await disk.change(async (fat) => {
      await fat.write('MANY/FIRST', Buffer.alloc(0));
      await fat.write('ENTRIES', Buffer.alloc(65_534 * 32));
    });
    const bytes = await readFile(disk.path);
    const slot = bytes.indexOf('ENTRIES    ');
    const dataAt = bytes.readUInt16LE(14) * 512 + bytes.readUInt8(16) * bytes.readUInt32LE(36) * 512;
    const cluster = (bytes.readUInt16LE(slot + 20) << 16) | bytes.readUInt16LE(slot + 26);
    const at = dataAt + (cluster - 2) * 512 * bytes.readUInt8(13);
    bytes.fill('.          ', at, at + 11).fill('..         ', at + 32, at + 43);
    for (const dot of [at, at + 32]) bytes.writeUInt8(0x10, dot + 11);
    bytes.writeUInt16LE(cluster & 0xffff, at + 26);
    bytes.writeUInt16LE(cluster >> 16, at + 20);
    for (let index = 2; index < 65_534; index += 1) {
      bytes.write(`F${index}`.padEnd(11), at + index * 32, 'latin1');
      bytes.writeUInt8(0x20, at + index * 32 + 11);
    }
    bytes.writeUInt8(0x10, slot + 11);
    bytes.writeUInt32LE(0, slot + 28);
    await writeFile(disk.path, bytes);
    await disk.change(async (fat) => {
      await fat.write('ENTRIES/LAST', Buffer.from('1'));
      await assert.rejects(fat.write('ENTRIES/long name', Buffer.from('2')), Failure);
      await fat.write('ENTRIES/LAST2', Buffer.from('3'));
      await assert.rejects(fat.write('ENTRIES/LAST3', Buffer.from('4')), Failure);
      await fat.write('ENTRIES/F2', Buffer.from('5'));
    });
    const count = await runChecked('listing', 'mdir', ['-b', '-i', disk.path, '::/ENTRIES']);
    assert.equal(count.trim().split('\n').length, 65_534);
    for (const [name, content] of [
      ['LAST', '1'],
      ['LAST2', '3'],
      ['F2', '5'],
    ] as const) {
      assert.equal(await runChecked('reading', 'mtype', ['-i', disk.path, `::/ENTRIES/${name}`]), content);
    }
  });

  test('refuses what does not fit, says how many bytes are missing, and changes nothing', async (t) => {
    const disk = await makeFatDisk(t, { bits: 12, size: 256 * 1024, clusterSectors: 1 });
    const before = await readFile(disk.path);
    await assert.rejects(
      disk.change(async (fat) => {
        const free = fat.freeBytes;
        await fat.write('big', Buffer.alloc(free + 1));
      }),
      (error: unknown) =>
        error instanceof Failure && error.code === 'boot-partition-full' && error.message.includes('512 bytes'),
    );
    assert.ok(before.equals(await readFile(disk.path)));
    await disk.change(async (fat) => {
      await fat.write('big', Buffer.alloc(fat.freeBytes, 7));
      assert.equal(fat.freeBytes, 0);
      await assert.rejects(fat.write('small', Buffer.from('x')), Failure);
      await fat.write('empty', Buffer.alloc(0));
      assert.equal(await fat.missingBytes([{ path: 'big', content: Buffer.alloc(10) }]), 0);
      assert.equal(await fat.missingBytes([{ path: 'new', content: Buffer.alloc(513) }]), 1024);
    });
    await assertClean(disk.path);
  });

  test('refuses more names than the fixed root folder of FAT16 has room for', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change(async (fat) => {
      const fill = async () => {
        for (let number = 0; ; number += 1) await fat.write(`FILE${number}`, Buffer.alloc(0));
      };
      await assert.rejects(fill(), (error: unknown) => error instanceof Failure && error.kind === 'refused');
      assert.equal((await fat.list(''))?.length, 511);
    });
    await assertClean(disk.path);
  });

  test('lets a folder grow beyond one cluster', async (t) => {
    const disk = await makeFatDisk(t, { bits: 32, clusterSectors: 1 });
    await disk.change(async (fat) => {
      for (let number = 0; number < 60; number += 1) {
        await fat.write(`many/a rather long file name, number ${number}`, Buffer.from(String(number)));
      }
    });
    await assertClean(disk.path);
    const seen = await asMtoolsReads(disk.path, path.join(await temporaryFolder(t), 'out'));
    assert.equal(seen.size, 60);
  });

  test('removes files and empty folders, but no folder that holds something', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change(async (fat) => {
      const free = fat.freeBytes;
      await fat.write('folder/file', Buffer.alloc(5000));
      await assert.rejects(fat.remove('folder'), Failure);
      assert.equal(await fat.remove('folder/file'), true);
      assert.equal(await fat.remove('folder'), true);
      assert.equal(await fat.remove('folder'), false);
      assert.equal(fat.freeBytes, free);
    });
    await assertClean(disk.path);
  });

  for (const name of ['a:b', 'what?', 'tail.', 'tail ', 'tab\there', '..', 'n'.repeat(256), '\u0000']) {
    test(`refuses the file name ${JSON.stringify(name.slice(0, 20))}`, async (t) => {
      const disk = await makeFatDisk(t, { bits: 12 });
      await assert.rejects(
        disk.change((fat) => fat.write(name, Buffer.from('x'))),
        (error: unknown) => error instanceof Failure && error.kind === 'usage',
      );
    });
  }

  test('refuses to write a file where a folder is, and a folder where a file is', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    const hasCode = (code: string) => (error: unknown) => error instanceof Failure && error.code === code;
    await disk.change(async (fat) => {
      await fat.write('folder/file', Buffer.from('x'));
      await assert.rejects(fat.write('folder', Buffer.from('x')), hasCode('boot-path-taken'));
      await assert.rejects(fat.makeFolder('folder/file'), hasCode('boot-path-taken'));
      await assert.rejects(fat.write('folder/file/below', Buffer.from('x')), hasCode('boot-path-taken'));
      assert.equal(await fat.read('folder'), undefined);
      assert.equal(await fat.read('folder/file/below'), undefined);
      assert.equal(await fat.list('folder/file'), undefined);
    });
    await assertClean(disk.path);
  });

  test('gives the same bytes for the same writes', async (t) => {
    const disks = [await makeFatDisk(t, { bits: 16 }), await makeFatDisk(t, { bits: 16 })];
    const [first, second] = disks;
    assert.ok(first && second);
    await writeFile(second.path, await readFile(first.path));
    for (const disk of disks) {
      await disk.change(async (fat) => {
        await fat.write('system-connections/home', Buffer.from('a'));
        await fat.write('config.json', Buffer.alloc(3000, 'b'));
      });
    }
    assert.ok((await readFile(first.path)).equals(await readFile(second.path)));
  });

  test('changes nothing when a file is written with the content it has', async (t) => {
    const disk = await makeFatDisk(t, { bits: 32 });
    await disk.change((fat) => fat.write('config.json', Buffer.from('{}')));
    const file = await openBlockFile(disk.path);
    t.after(() => file.close());
    const overlay = new Overlay(file);
    await (await openFat(overlay)).write('config.json', Buffer.from('{}'));
    assert.deepEqual(await overlay.changes(), []);
  });

  test('is undefined where there is no FAT', async (t) => {
    const disk = path.join(await temporaryFolder(t), 'ext4.img');
    await runChecked('making a file', 'truncate', ['-s', '4M', disk]);
    await runChecked('making ext4', 'mke2fs', ['-q', '-t', 'ext4', disk]);
    const file = await openBlockFile(disk);
    t.after(() => file.close());
    assert.equal(await FatFileSystem.open(new Overlay(file)), undefined);
  });

  test('fails, and does not hang or crash, however it is damaged', async (t) => {
    const disk = await makeFatDisk(t, { bits: 12, size: 128 * 1024, clusterSectors: 1 });
    await disk.change(async (fat) => {
      await fat.write('config.json', Buffer.alloc(3000, 'c'));
      await fat.write('folder/one', Buffer.alloc(2000, 'd'));
    });
    const good = await readFile(disk.path);
    const random = seededRandom(7);
    let failures = 0;
    for (let round = 0; round < rounds(400, 20_000); round += 1) {
      const bad = Buffer.from(good);
      for (let hit = 0; hit < 4; hit += 1) {
        // The boot sector, tables and root folder are where damage matters.
        bad.writeUInt8(random.pick([0, 1, 2, 3, 0xff, 0xf8, random.below(256)]), random.below(6000));
      }
      const overlay = new Overlay({
        size: bad.length,
        read: (offset, length) => Promise.resolve(Buffer.from(bad.subarray(offset, offset + length))),
      });
      try {
        const fat = await FatFileSystem.open(overlay);
        await fat?.read('config.json');
        await fat?.write('folder/two', Buffer.alloc(700));
        await fat?.write('config.json', Buffer.alloc(9000));
      } catch (error) {
        assert.ok(error instanceof Failure, String(error));
        failures += 1;
      }
    }
    assert.ok(failures > 5, `${failures} of 400 were noticed`);
  });

  test('fails on a chain of clusters that loops', async (t) => {
    const disk = await makeFatDisk(t, { bits: 16 });
    await disk.change((fat) => fat.write('config.json', Buffer.alloc(20_000)));
    const file = await openBlockFile(disk.path, { writable: true });
    t.after(() => file.close());
    const boot = await file.read(0, 512);
    const table = boot.readUInt16LE(14) * 512;
    await file.write(table + 6, Buffer.from([2, 0]));
    await assert.rejects(
      (await openFat(new Overlay(file))).read('config.json'),
      (error: unknown) => error instanceof Failure && error.code === 'file-system-damaged',
    );
  });
});
