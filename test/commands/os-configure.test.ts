import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  statfs,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { asNobody, davit, davitJson, type DavitOptions, runProgram } from '../support/davit.js';
import { attachLoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage, type OsImageOptions, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const wifiKey = 'k3y;=#"\\ of the house';

async function makeImage(t: TestContext, options: OsImageOptions = {}): Promise<OsImage> {
  const folder = await temporaryFolder(t);
  await chmod(folder, 0o755);
  return makeOsImage(path.join(folder, 'device.img'), options);
}

/** A folder on an XFS of its own, whose files can share their blocks. */
async function mountCloningFileSystem(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'davit-test-'));
  const [disk, mountPoint] = [path.join(folder, 'disk'), path.join(folder, 'mounted')];
  t.after(async () => {
    await runProgram(['umount', mountPoint]);
    await rm(folder, { recursive: true });
  });
  await mkdir(mountPoint);
  await writeFile(disk, '');
  await truncate(disk, 512 * 1024 * 1024);
  await runChecked('making a file system', 'mkfs.xfs', ['-q', disk]);
  await runChecked('mounting', 'mount', ['-o', 'loop', disk, mountPoint]);
  return mountPoint;
}

async function sha256(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

/** A configured copy of an image, as mtools addresses its boot partition. */
function outputOf(image: OsImage, file = image.path.replace('device.img', 'device.configured.img')) {
  return { path: file, bootAddress: `${file}@@${image.boot.start}` };
}

async function configOf(image: { readonly path: string; readonly bootAddress: string }): Promise<unknown> {
  return JSON.parse(String(await readBootFile(image, 'config.json', `${image.path}.read`)));
}

/** Runs a command line that has to fail, and checks that it harmed nothing: no file is new and none has been written. */
async function assertRefused(
  image: OsImage,
  words: readonly string[],
  expected: { readonly exitCode: number; readonly code: string },
  options: DavitOptions = {},
): Promise<Record<string, unknown>> {
  const folder = path.dirname(image.path);
  const list = async () =>
    Promise.all(
      (await readdir(folder)).sort().map(async (name) => {
        const { ino, size, mtimeMs } = await stat(path.join(folder, name));
        return { name, ino, size, mtimeMs };
      }),
    );
  const before = await list();
  const { exitCode, document, stderr } = await davitJson(['os', 'configure', ...words], options);
  assert.ok(isRecord(document) && isRecord(document.error), stderr);
  assert.equal(document.error.code, expected.code, JSON.stringify(document));
  assert.equal(exitCode, expected.exitCode);
  assert.ok(typeof document.error.hint === 'string' && document.error.hint.length > 10, 'a failure has a hint');
  assert.deepEqual(await list(), before);
  return document.error;
}

describe('os configure', () => {
  it('writes a configured copy beside the image and leaves the image alone', async (t) => {
    const image = await makeImage(t);
    const untouched = await sha256(image.path);
    const { exitCode, stdout, stderr } = await davit(['os', 'configure', image.path, '--dev', '--hostname', 'kiosk']);
    assert.equal(exitCode, 0, stderr);
    const output = outputOf(image);
    assert.ok(stdout.includes(output.path));
    assert.deepEqual(await configOf(output), {
      deviceType: 'raspberrypi4-64',
      persistentLogging: false,
      developmentMode: true,
      hostname: 'kiosk',
    });
    assert.equal(await sha256(image.path), untouched);
    assert.deepEqual((await readdir(path.dirname(image.path))).sort(), ['device.configured.img', 'device.img']);
  });

  it('gives the same bytes for the same image and flags', async (t) => {
    const image = await makeImage(t, { table: 'mbr', fat: 32 });
    const words = [
      'os',
      'configure',
      image.path,
      '--no-dev',
      '--country',
      'DE',
      '--wifi-ssid',
      'Office',
      '--wifi-open',
    ];
    const [first, second] = [`${image.path}.1`, `${image.path}.2`];
    assert.equal((await davit([...words, '--output', first])).exitCode, 0);
    assert.equal((await davit([...words, '-o', second])).exitCode, 0);
    assert.equal(await sha256(first), await sha256(second));
    const dated = { environment: { SOURCE_DATE_EPOCH: '1700000000' } };
    assert.equal((await davit([...words, '-o', second, '--force'], dated)).exitCode, 0);
    const listing = await runChecked('listing', 'mdir', ['-i', `${second}@@${image.boot.start}`, '::/config.json']);
    assert.match(listing, /2023-11-14/);
  });

  it('keeps the holes of a sparse image', async (t) => {
    const image = await makeImage(t, { dataSize: 200 });
    assert.equal((await davit(['os', 'configure', image.path, '--dev'])).exitCode, 0);
    const [original, copy] = [await stat(image.path), await stat(outputOf(image).path)];
    assert.equal(copy.size, original.size);
    assert.ok(copy.blocks < original.blocks * 1.2 + 1000, `${copy.blocks} blocks against ${original.blocks}`);
  });

  it(
    'shares what it did not change with the image where the file system can',
    { skip: loopDevicesMissing },
    async (t) => {
      const folder = await mountCloningFileSystem(t);
      const image = await makeOsImage(path.join(folder, 'device.img'), { dataSize: 100 });
      const data = image.partitions.at(-1)?.start ?? 0;
      const file = await open(image.path, 'r+');
      await file.write(randomBytes(64 * 1024 * 1024), 0, undefined, data);
      await file.close();
      const free = async () => {
        await runChecked('flushing', 'sync', ['--file-system', folder]);
        const { bavail, bsize } = await statfs(folder);
        return bavail * bsize;
      };
      const before = await free();
      assert.equal((await davit(['os', 'configure', image.path, '--dev'])).exitCode, 0);
      assert.ok(before - (await free()) < 8 * 1024 * 1024, 'the copy takes hardly any room');
      assert.deepEqual(await configOf(outputOf(image)), { ...Object(await configOf(image)), developmentMode: true });
    },
  );

  it(
    'shares the blocks of an image that may not be written, also for who is not root',
    { skip: loopDevicesMissing },
    async (t) => {
      const folder = await mountCloningFileSystem(t);
      const image = await makeOsImage(path.join(folder, 'device.img'));
      await chmod(image.path, 0o444);
      await chmod(folder, 0o777);
      await chmod(path.dirname(folder), 0o755);
      const { exitCode, stderr } = await davit(['os', 'configure', image.path, '--dev'], { wrapper: asNobody });
      assert.equal(exitCode, 0, stderr);
      const output = outputOf(image);
      assert.deepEqual(await configOf(output), { ...Object(await configOf(image)), developmentMode: true });
      assert.equal((await stat(output.path)).mode & 0o777, 0o444);
    },
  );

  it('replaces the image with --in-place, keeping mode, owner and the link it was named by', async (t) => {
    const image = await makeImage(t);
    await chmod(image.path, 0o640);
    if (process.getuid?.() === 0) await chown(image.path, 1234, 2345);
    const before = await stat(image.path);
    const link = path.join(path.dirname(image.path), 'link.img');
    await symlink('device.img', link);
    const { exitCode, document } = await davitJson(['os', 'configure', link, '--dev', '--in-place']);
    assert.equal(exitCode, 0);
    assert.ok(isRecord(document) && document.isWritten === true);
    const after = await stat(image.path);
    assert.deepEqual(
      [after.mode, after.uid, after.gid, after.size],
      [before.mode, before.uid, before.gid, before.size],
    );
    assert.ok((await lstat(link)).isSymbolicLink());
    assert.deepEqual(await configOf(image), {
      deviceType: 'raspberrypi4-64',
      persistentLogging: false,
      developmentMode: true,
    });
    assert.deepEqual((await readdir(path.dirname(image.path))).sort(), ['device.img', 'link.img']);

    const again = await davitJson(['os', 'configure', link, '--dev', '--in-place']);
    assert.ok(isRecord(again.document) && again.document.isWritten === false, 'nothing is left to change');
    assert.equal((await stat(image.path)).ino, after.ino);
  });

  it('writes nothing with --dry-run, and shows what it would', async (t) => {
    const image = await makeImage(t, { config: '{"apiKey":"s3cret-api-key"}' });
    const untouched = await sha256(image.path);
    const patch = path.join(await temporaryFolder(t), 'patch.json');
    await writeFile(patch, '{"apiKey":"s3cret-new-key","applicationId":7}');
    const words = ['os', 'configure', image.path, '--config', patch, '--hostname', 'kiosk', '--in-place', '--dry-run'];
    const { exitCode, stdout, stderr } = await davit(words);
    assert.equal(exitCode, 0);
    assert.match(stdout, /hostname: not set -> "kiosk"/);
    assert.match(stdout, /apiKey: \(hidden\) -> \(hidden\)/);
    assert.doesNotMatch(stdout + stderr, /s3cret/);
    assert.equal(await sha256(image.path), untouched);
    assert.deepEqual(await readdir(path.dirname(image.path)), ['device.img']);
  });

  it('merges --config under the other flags and keeps what it does not name', async (t) => {
    const image = await makeImage(t, { config: '{\n  "b": {"x": 1},\n  "a": 2,\n  "gone": 3\n}\n' });
    const patch = path.join(await temporaryFolder(t), 'patch.json');
    await writeFile(patch, '\uFEFF{"gone": null, "b": {"y": 2}, "hostname": "from-file", "applicationId": 7}');
    const words = [
      '--config',
      patch,
      '--hostname',
      'from-flag',
      '--persistent-logging',
      '--dns',
      '1.1.1.1,9.9.9.9',
      '--dev',
    ];
    assert.equal((await davit(['os', 'configure', image.path, ...words])).exitCode, 0);
    const text = String(await readBootFile(outputOf(image), 'config.json', `${image.path}.read`));
    assert.deepEqual(Object.entries(JSON.parse(text) as object), [
      ['b', { x: 1, y: 2 }],
      ['a', 2],
      ['hostname', 'from-flag'],
      ['applicationId', 7],
      ['developmentMode', true],
      ['persistentLogging', true],
      ['dnsServers', '1.1.1.1 9.9.9.9'],
    ]);
    assert.ok(text.endsWith('}\n') && text.startsWith('{\n  "b"'), 'the layout of the text is kept');
    const none = await davit(['os', 'configure', image.path, '--dns', 'none', '--force', '--dry-run', '--json']);
    const { config } = JSON.parse(none.stdout) as { config: readonly unknown[] };
    assert.deepEqual(config, [{ key: 'dnsServers', before: null, after: 'null' }]);
  });

  it('puts connection files and several SSH keys in', async (t) => {
    const image = await makeImage(t);
    const folder = await temporaryFolder(t);
    const [lan, key] = [path.join(folder, 'lan.nmconnection'), path.join(folder, 'id')];
    await writeFile(lan, '[connection]\r\nid=lan\r\ntype=ethernet\r\n');
    await runChecked('making a key', 'ssh-keygen', ['-q', '-N', '', '-t', 'ed25519', '-f', key]);
    const [one, two] = [
      (await readFile(`${key}.pub`, 'utf8')).trim(),
      'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S x',
    ];
    // A repeated flag must not swallow the image that follows it.
    const words = ['os', 'configure', '--network', lan, '--ssh-key', `${key}.pub`, '--ssh-key', two, image.path];
    const { exitCode, stderr } = await davit(words);
    assert.equal(exitCode, 0, stderr);
    const output = outputOf(image);
    const written = await readBootFile(output, 'system-connections/lan.nmconnection', `${image.path}.read`);
    assert.equal(String(written), '[connection]\r\nid=lan\r\ntype=ethernet\r\n');
    const config = await configOf(output);
    assert.ok(isRecord(config));
    assert.deepEqual(config.os, { sshKeys: [one, two] });
  });

  for (const source of ['a file', 'standard input'] as const) {
    it(`takes the Wi-Fi key from ${source} and shows it nowhere`, async (t) => {
      const image = await makeImage(t);
      const keyFile = path.join(await temporaryFolder(t), 'key');
      await writeFile(keyFile, `${wifiKey}\r\n`);
      const from = source === 'a file' ? keyFile : '-';
      const words = [
        'os',
        'configure',
        image.path,
        '--wifi-ssid',
        'Büro; 1',
        '--wifi-key-file',
        from,
        '--wifi-hidden',
        '--force',
      ];
      const options = source === 'a file' ? {} : { input: `${wifiKey}\n` };
      for (const extra of [
        ['--progress', 'json'],
        ['--json', '--dry-run'],
      ]) {
        const { exitCode, stdout, stderr } = await davit([...words, ...extra], options);
        assert.equal(exitCode, 0, stderr);
        assert.ok(!(stdout + stderr).includes('of the house'));
      }
      const written = await readBootFile(outputOf(image), 'system-connections/resin-wifi', `${image.path}.read`);
      assert.match(String(written), /^psk=k3y;=#"\\\\ of the house$/m);
      assert.match(String(written), /^ssid=66;195;188;114;111;59;32;49;$/m);
      assert.match(String(written), /^hidden=true$/m);
    });
  }

  describe('refuses, with an exit code and a hint and nothing harmed,', () => {
    async function scratch(t: TestContext) {
      const image = await makeImage(t);
      const folder = path.dirname(image.path);
      const beside = (name: string) => path.join(folder, name);
      const file = async (name: string, content: string | Buffer) => {
        await writeFile(beside(name), content);
        return beside(name);
      };
      return { image, folder, beside, file };
    }

    it('an image that is not there', async (t) => {
      const { image, beside } = await scratch(t);
      await assertRefused(image, [beside('absent.img'), '--dev'], { exitCode: 3, code: 'enoent' });
    });

    it('what is not an image', async (t) => {
      const { image, folder, file } = await scratch(t);
      const text = await file('notes.txt', 'not an image at all '.repeat(1000));
      await assertRefused(image, [text, '--dev'], { exitCode: 4, code: 'not-an-image' });
      const empty = await file('empty.img', '');
      await assertRefused(image, [empty, '--dev'], { exitCode: 4, code: 'not-an-image' });
      await assertRefused(image, [folder, '--dev'], { exitCode: 2, code: 'not-a-file-or-drive' });
      await runChecked('making a named pipe', 'mkfifo', [`${image.path}.pipe`]);
      await assertRefused(image, [`${image.path}.pipe`, '--dev'], { exitCode: 2, code: 'not-a-file-or-drive' });
    });

    it('a damaged compressed image', async (t) => {
      const { image, file } = await scratch(t);
      const gz = await file('device.img.gz', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]));
      await assertRefused(image, [gz, '--dev'], { exitCode: 5, code: 'archive-corrupt' });
    });

    it('a truncated image', async (t) => {
      const { image, beside } = await scratch(t);
      await copyFile(image.path, beside('short.img'));
      await truncate(beside('short.img'), image.size - 10_000_000);
      await assertRefused(image, [beside('short.img'), '--dev'], { exitCode: 5, code: 'image-truncated' });
    });

    it('an image without a boot partition', async (t) => {
      const { image, beside } = await scratch(t);
      const other = await makeOsImage(beside('other.img'), {
        ...{ bootName: 'EFI', bootLabel: 'EFI', config: null },
        bootFiles: { 'device-type.json': null },
      });
      await assertRefused(image, [other.path, '--dev'], { exitCode: 3, code: 'boot-partition-not-found' });
    });

    it('an image whose config.json is not valid, naming line and column', async (t) => {
      const { image, beside } = await scratch(t);
      const bad = await makeOsImage(beside('bad.img'), { config: '{\n  "apiKey": "s3cret"\n  "a": 1\n}' });
      const error = await assertRefused(image, [bad.path, '--dev'], { exitCode: 5, code: 'invalid-json' });
      assert.match(String(error.message), /line 3, column 3/);
      assert.doesNotMatch(JSON.stringify(error), /s3cret/);
    });

    it('a full boot partition', async (t) => {
      const { image, beside, file } = await scratch(t);
      const full = await makeOsImage(beside('full.img'), {
        ...{ fat: 12, bootSize: 1 },
        bootFiles: { 'big.bin': Buffer.alloc(980_000) },
      });
      const lan = await file('big.nmconnection', `[connection]\ntype=ethernet\n#${'x'.repeat(60_000)}\n`);
      const words = [full.path, '--network', lan];
      const error = await assertRefused(image, words, { exitCode: 4, code: 'boot-partition-full' });
      assert.match(String(error.message), /\d+ bytes are missing/);
    });

    it('a --config file that is not valid JSON, or says nonsense', async (t) => {
      const { image, file } = await scratch(t);
      const bad = await file('bad.json', '{"a": 1,}');
      await assertRefused(image, [image.path, '--config', bad], { exitCode: 2, code: 'invalid-config-file' });
      const list = await file('list.json', '[]');
      await assertRefused(image, [image.path, '--config', list], { exitCode: 2, code: 'invalid-config-file' });
      const wrong = await file('wrong.json', '{"os": {"sshKeys": "s3cret"}}');
      const error = await assertRefused(image, [image.path, '--config', wrong], {
        exitCode: 2,
        code: 'invalid-config',
      });
      assert.doesNotMatch(JSON.stringify(error), /s3cret/);
    });

    it('flags with bad values', async (t) => {
      const { image, file } = await scratch(t);
      await assertRefused(image, [image.path, '--hostname', 'a.b'], { exitCode: 2, code: 'invalid-config' });
      await assertRefused(image, [image.path, '--ssh-key', 'ssh-rsa AAAA'], { exitCode: 2, code: 'invalid-ssh-key' });
      await assertRefused(image, [image.path, '--country', 'Germany'], { exitCode: 2, code: 'invalid-config' });
      const short = await file('short.key', 's3cret\n');
      const wifi = [image.path, '--wifi-ssid', 'x', '--wifi-key-file', short];
      const error = await assertRefused(image, wifi, { exitCode: 2, code: 'invalid-wifi-key' });
      assert.doesNotMatch(JSON.stringify(error), /s3cret/);
    });

    it('a Wi-Fi network without a key when nobody can be asked', async (t) => {
      const { image, file } = await scratch(t);
      const wifi = [image.path, '--wifi-ssid', 'x'];
      await assertRefused(image, wifi, { exitCode: 2, code: 'answer-needed' });
      const bad = await file('bad.yaml', 'mode: x\n');
      await assertRefused(image, [...wifi, '--profile', bad], { exitCode: 2, code: 'invalid-profile' });
    });

    it('a connection file that NetworkManager would ignore', async (t) => {
      const { image, file } = await scratch(t);
      const ignored = await file('home.backup', '[connection]\ntype=ethernet\n');
      await assertRefused(image, [image.path, '--network', ignored], { exitCode: 4, code: 'ignored-file-name' });
    });

    it('an unknown flag', async (t) => {
      const { image } = await scratch(t);
      await assertRefused(image, [image.path, '--develop'], { exitCode: 2, code: 'usage' });
    });

    it('a command line that asks for nothing', async (t) => {
      const { image } = await scratch(t);
      await assertRefused(image, [image.path], { exitCode: 2, code: 'nothing-to-configure' });
    });

    it('an output that exists, or is the image itself', async (t) => {
      const { image, folder, file } = await scratch(t);
      const taken = await file('taken.img', 'mine');
      await assertRefused(image, [image.path, '--dev', '--output', taken], { exitCode: 4, code: 'output-exists' });
      const words = [image.path, '--dev', '--output', image.path, '--force'];
      await assertRefused(image, words, { exitCode: 2, code: 'output-is-image' });
      await assertRefused(image, [image.path, '--dev', '--output', ''], { exitCode: 2, code: 'output-not-a-file' });
      const into = [image.path, '--dev', '--output', folder, '--force'];
      await assertRefused(image, into, { exitCode: 2, code: 'output-not-a-file' });
    });

    it('an image that is attached to a loop device', { skip: loopDevicesMissing }, async (t) => {
      const { image } = await scratch(t);
      await attachLoopDevice(t, image.path);
      await assertRefused(image, [image.path, '--dev', '--in-place'], { exitCode: 4, code: 'drive-in-use' });
    });

    it(
      'a folder that it may not write to',
      { skip: process.getuid?.() === 0 ? false : 'becoming nobody needs root' },
      async (t) => {
        const { image } = await scratch(t);
        for (const words of [
          [image.path, '--dev'],
          [image.path, '--dev', '--in-place'],
        ]) {
          await assertRefused(image, words, { exitCode: 7, code: 'eacces' }, { wrapper: asNobody });
        }
      },
    );
  });

  it('leaves nothing behind when it is interrupted', async (t) => {
    const image = await makeImage(t, { dataSize: 64 });
    const untouched = await sha256(image.path);
    const { exitCode } = await davit(['os', 'configure', image.path, '--dev', '--progress', 'json'], {
      kill: { signal: 'SIGINT', when: (output) => output.includes('"copy"') },
    });
    const names = await readdir(path.dirname(image.path));
    assert.ok(
      names.every((name) => !name.includes('partial')),
      names.join(),
    );
    // On a fast disk the copy may have been finished by then; it is whole or not there.
    assert.ok(exitCode === 130 ? !names.includes('device.configured.img') : exitCode === 0);
    assert.equal(await sha256(image.path), untouched);
  });

  it('never passes a secret to another process', async (t) => {
    // davit os configure starts no process at all: with an empty PATH it still works.
    const image = await makeImage(t);
    const { exitCode, stderr } = await davit(['os', 'configure', image.path, '--dev'], {
      environment: { PATH: '/nonexistent' },
    });
    assert.equal(exitCode, 0, stderr);
  });
});
