import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { hasNoTable, partitionContent } from '../support/disk-content.js';
import { checked, fillFile } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { startWebServer } from '../support/web-server.js';

interface Setup {
  readonly folder: string;
  readonly image: OsImage;
  /** The image as it is given: packed, or the image itself. */
  readonly file: string;
  readonly fileSum: string;
  readonly contentSum: string;
  /** A file that stands for a card and holds something else. */
  readonly card: string;
}

const wrongSum = '0'.repeat(64);

async function setUp(t: TestContext, format: 'raw' | 'gz' | 'zip' = 'gz'): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'os.img'));
  const file = format === 'raw' ? image.path : `${image.path}.${format}`;
  if (format === 'gz') await checked(['gzip', '--keep', '-1', image.path]);
  if (format === 'zip') {
    // A file before and one after the image, so that the image is not all of the zip.
    await writeFile(path.join(folder, 'a.txt'), randomBytes(100_000));
    await writeFile(path.join(folder, 'z.txt'), randomBytes(100_000));
    await checked(['zip', '-q', '-1', '-j', file, path.join(folder, 'a.txt'), image.path, path.join(folder, 'z.txt')]);
  }
  const card = path.join(folder, 'card');
  await fillFile(card, image.size, 0xaa);
  const [fileSum, contentSum] = [await sumOf(file), await sumOf(image.path)];
  return { folder, image, file, fileSum, contentSum, card };
}

async function sumOf(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

/** Changes the time in the header of a gzip file, which changes nothing of what is in it. */
async function touchHeader(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes.writeUInt32LE(1, 4);
  await writeFile(file, bytes);
}

interface Found {
  readonly sha256: string | null;
  readonly checks: readonly { readonly kind: string; readonly from: string; readonly of: string }[];
}

/** Flashes, which must go well, and gives what was found out about the image. */
async function found({ card, image }: Setup, source: string, ...flags: string[]): Promise<Found> {
  const { exitCode, document, stderr } = await davitJson(['flash', source, '--drive', card, '--yes', ...flags]);
  assert.equal(exitCode, 0, stderr + JSON.stringify(document));
  for (const partition of image.partitions) {
    const expected = await partitionContent(image.path, partition);
    assert.deepEqual(await partitionContent(card, partition), { ...expected, problems: 0 });
  }
  return (document as { image: Found }).image;
}

async function assertRefused(
  { card, image }: Setup,
  source: string,
  flags: readonly string[],
  wanted: { readonly exitCode: number; readonly code: string; readonly cardIsTouched: boolean },
): Promise<void> {
  const before = await readFile(card);
  const { exitCode, document } = await davitJson(['flash', source, '--drive', card, '--yes', ...flags]);
  const { error } = document as { error: { code: string; message: string } };
  assert.deepEqual([exitCode, error.code], [wanted.exitCode, wanted.code], error.message);
  if (wanted.cardIsTouched) assert.ok(await hasNoTable(card, image.size));
  else assert.ok(before.equals(await readFile(card)));
}

const mismatch = { exitCode: 5, code: 'checksum-mismatch', cardIsTouched: true };

describe('the SHA-256 of an image', () => {
  for (const format of ['gz', 'zip', 'raw'] as const) {
    it(`may be that of a ${format} as it is or of what is in it, and is compared before anything boots`, async (t) => {
      const setup = await setUp(t, format);
      const { file, fileSum, contentSum } = setup;
      assert.deepEqual(await found(setup, file, '--sha256', fileSum.toUpperCase()), {
        ...(await found(setup, file, '--sha256', `sha256:${fileSum}`)),
        sha256: contentSum,
        checks: [{ kind: 'sha256', from: '--sha256', of: 'file' }],
      });
      if (format !== 'raw') {
        const { checks } = await found(setup, file, '--sha256', contentSum);
        assert.deepEqual(checks, [{ kind: 'sha256', from: '--sha256', of: 'content' }]);
      }
      await assertRefused(setup, file, ['--sha256', wrongSum], mismatch);
    });
  }

  it('is told of a packed image and of an unpacked one when it is asked for', async (t) => {
    const setup = await setUp(t);
    assert.equal((await found(setup, setup.file)).sha256, null);
    assert.equal((await found(setup, setup.file, '--hash')).sha256, setup.contentSum);
    assert.equal((await found(setup, setup.image.path, '--hash')).sha256, setup.contentSum);
    assert.equal((await found(setup, setup.image.path, '--all', '--hash')).sha256, setup.contentSum);
  });

  it('is that of the image itself, whatever is put into the boot partition as it is written', async (t) => {
    const setup = await setUp(t);
    const { exitCode, document } = await davitJson([
      'flash',
      setup.file,
      '--drive',
      setup.card,
      '--yes',
      '--hostname',
      'kiosk',
      '--hash',
    ]);
    assert.equal(exitCode, 0);
    assert.equal((document as { image: Found }).image.sha256, setup.contentSum);
  });

  it('is compared for standard input', async (t) => {
    const setup = await setUp(t);
    const input = await readFile(setup.file);
    const words = ['flash', '-', '--drive', setup.card, '--yes', '--sha256'];
    assert.equal((await davit([...words, setup.fileSum], { input })).exitCode, 0);
    assert.equal((await davit([...words, wrongSum], { input })).exitCode, 5);
    assert.ok(await hasNoTable(setup.card, setup.image.size));
  });

  it('has 64 digits', async (t) => {
    const setup = await setUp(t);
    const wanted = { exitCode: 2, code: 'invalid-checksum', cardIsTouched: false };
    await assertRefused(setup, setup.file, ['--sha256', 'abc'], wanted);
  });
});

describe('a list of checksums', () => {
  for (const [name, line] of [
    ['os.img.gz.sha256', (sum: string) => `${sum}\n`],
    ['os.img.gz.sha256', (sum: string) => `${sum}  build/elsewhere.img.gz\n`],
    ['os.img.gz.sha256sum', (sum: string) => `SHA256 (os.img.gz) = ${sum}\r\n`],
    ['SHA256SUMS', (sum: string) => `${wrongSum}  other.img.gz\n${sum} *./os.img.gz\n`],
  ] as const) {
    it(`beside a file is used without being asked for: ${name} with ${line('sum').trim()}`, async (t) => {
      const setup = await setUp(t);
      const list = path.join(setup.folder, name);
      await writeFile(list, line(setup.fileSum));
      const { checks } = await found(setup, setup.file);
      assert.deepEqual(checks, [{ kind: 'sha256', from: list, of: 'file' }]);
      await writeFile(list, line(wrongSum));
      await assertRefused(setup, setup.file, [], mismatch);
      assert.deepEqual((await found(setup, setup.file, '--checksums', 'none')).checks, []);
      assert.equal((await found(setup, setup.file, '--sha256', setup.fileSum)).checks[0]?.from, '--sha256');
    });
  }

  it('may name the image as it is unpacked', async (t) => {
    const setup = await setUp(t);
    const list = path.join(setup.folder, 'SHA256SUMS');
    await writeFile(list, `${setup.contentSum}  os.img\n`);
    assert.deepEqual((await found(setup, setup.file)).checks, [{ kind: 'sha256', from: list, of: 'content' }]);
  });

  it('beside a file says nothing when it is about others', async (t) => {
    const setup = await setUp(t);
    await writeFile(path.join(setup.folder, 'SHA256SUMS'), `${wrongSum}  other.img.gz\n`);
    assert.deepEqual((await found(setup, setup.file)).checks, []);
  });

  it('that is named has to exist and to have the image', async (t) => {
    const setup = await setUp(t);
    const list = path.join(setup.folder, 'list');
    const wanted = { exitCode: 3, code: 'checksum-not-found', cardIsTouched: false };
    await assertRefused(setup, setup.file, ['--checksums', list], wanted);
    await writeFile(list, `${setup.fileSum}  other.img.gz\n`);
    await assertRefused(setup, setup.file, ['--checksums', list], wanted);
    await assertRefused(setup, setup.file, ['--checksums', 'auto'], wanted);
    await writeFile(list, `${setup.fileSum}  os.img.gz\n`);
    assert.equal((await found(setup, setup.file, '--checksums', list)).checks[0]?.from, list);
  });

  it('of a URL is asked for only on request, beside the image or elsewhere', async (t) => {
    const setup = await setUp(t);
    const bytes = await readFile(setup.file);
    let sum = setup.fileSum;
    const server = await startWebServer(t, ({ path: at }) => {
      if (at === '/os.img.gz') return { bytes, etag: '"one"' };
      return at === '/SHA256SUMS' ? { bytes: Buffer.from(`${sum}  os.img.gz\n`) } : { status: 404 };
    });
    const url = `${server.origin}/os.img.gz`;
    assert.deepEqual((await found(setup, url)).checks, []);
    assert.deepEqual(
      server.requests.map((request) => request.path),
      ['/os.img.gz'],
    );
    const wanted = [{ kind: 'sha256', from: `${server.origin}/SHA256SUMS`, of: 'file' }];
    assert.deepEqual((await found(setup, url, '--checksums', 'auto')).checks, wanted);
    assert.deepEqual((await found(setup, url, '--checksums', `${server.origin}/SHA256SUMS`)).checks, wanted);
    sum = wrongSum;
    await assertRefused(setup, url, ['--checksums', 'auto'], mismatch);
  });
});

interface Signer {
  readonly id: Buffer;
  readonly privateKey: KeyObject;
  /** As minisign writes it. */
  readonly publicKey: string;
}

function minisigner(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const id = randomBytes(8);
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  return { id, privateKey, publicKey: Buffer.concat([Buffer.from('Ed'), id, raw]).toString('base64') };
}

/** A signature file as minisign writes it. */
function minisign({ id, privateKey }: Signer, bytes: Buffer, options: { readonly isOfHash?: boolean } = {}): string {
  const { isOfHash = true } = options;
  const signature = sign(null, isOfHash ? createHash('blake2b512').update(bytes).digest() : bytes, privateKey);
  const comment = 'timestamp:1700000000\tfile:os.img.gz';
  const global = sign(null, Buffer.concat([signature, Buffer.from(comment)]), privateKey);
  const line = Buffer.concat([Buffer.from(isOfHash ? 'ED' : 'Ed'), id, signature]).toString('base64');
  return `untrusted comment: signature\n${line}\ntrusted comment: ${comment}\n${global.toString('base64')}\n`;
}

describe('a signature of minisign', () => {
  it('is checked for an image, and a wrong one leaves no partition table', async (t) => {
    const setup = await setUp(t);
    const signer = minisigner();
    const signature = `${setup.file}.minisig`;
    const flags = ['--minisign-key', signer.publicKey];
    const missing = { exitCode: 3, code: 'signature-not-found', cardIsTouched: false };
    await assertRefused(setup, setup.file, flags, missing);
    const bytes = await readFile(setup.file);
    for (const isOfHash of [true, false]) {
      await writeFile(signature, minisign(signer, bytes, { isOfHash }));
      const { checks } = await found(setup, setup.file, ...flags);
      assert.deepEqual(checks, [{ kind: 'minisign', from: signature, of: 'file' }]);
    }
    await touchHeader(setup.file);
    await assertRefused(setup, setup.file, flags, { exitCode: 5, code: 'invalid-signature', cardIsTouched: true });
  });

  it('by another key, or with another comment, is refused before anything is written', async (t) => {
    const setup = await setUp(t);
    const signer = minisigner();
    const bytes = await readFile(setup.file);
    const bad = { exitCode: 5, code: 'invalid-signature', cardIsTouched: false };
    const keyFile = path.join(setup.folder, 'minisign.pub');
    await writeFile(keyFile, `untrusted comment: minisign public key\n${signer.publicKey}\n`);
    await writeFile(`${setup.file}.minisig`, minisign(minisigner(), bytes));
    await assertRefused(setup, setup.file, ['--minisign-key', keyFile], bad);
    await writeFile(`${setup.file}.minisig`, minisign(signer, bytes).replace('timestamp:17', 'timestamp:18'));
    await assertRefused(setup, setup.file, ['--minisign-key', keyFile], bad);
    await writeFile(`${setup.file}.minisig`, 'no signature');
    await assertRefused(setup, setup.file, ['--minisign-key', keyFile], bad);
    await writeFile(keyFile, 'no key');
    const noKey = { exitCode: 2, code: 'invalid-public-key', cardIsTouched: false };
    await assertRefused(setup, setup.file, ['--minisign-key', keyFile], noKey);
  });

  it('of a list of checksums stands for the image that the list has', async (t) => {
    const setup = await setUp(t);
    const signer = minisigner();
    const list = path.join(setup.folder, 'SHA256SUMS');
    const text = `${setup.fileSum}  os.img.gz\n`;
    await writeFile(list, text);
    await writeFile(`${list}.minisig`, minisign(signer, Buffer.from(text)));
    const { checks } = await found(setup, setup.file, '--minisign-key', signer.publicKey);
    assert.deepEqual(checks, [
      { kind: 'minisign', from: `${list}.minisig`, of: 'list' },
      { kind: 'sha256', from: list, of: 'file' },
    ]);
    await writeFile(list, `${text}\n`);
    const bad = { exitCode: 5, code: 'invalid-signature', cardIsTouched: false };
    await assertRefused(setup, setup.file, ['--minisign-key', signer.publicKey], bad);
    // Without its list nothing says that the signature has to do with the image.
    const missing = { exitCode: 3, code: 'signature-not-found', cardIsTouched: false };
    const without = ['--checksums', 'none', '--minisign-key', signer.publicKey];
    await assertRefused(setup, setup.file, without, missing);
  });

  it('is found beside a URL, or where it is said to be', async (t) => {
    const setup = await setUp(t);
    const signer = minisigner();
    const bytes = await readFile(setup.file);
    const server = await startWebServer(t, ({ path: at }) => {
      if (at === '/os.img.gz') return { bytes, etag: '"one"' };
      return at === '/os.img.gz.minisig' ? { bytes: Buffer.from(minisign(signer, bytes)) } : { status: 403 };
    });
    const url = `${server.origin}/os.img.gz`;
    const flags = ['--minisign-key', signer.publicKey];
    const wanted = [{ kind: 'minisign', from: `${url}.minisig`, of: 'file' }];
    assert.deepEqual((await found(setup, url, ...flags)).checks, wanted);
    const elsewhere = path.join(setup.folder, 'elsewhere');
    await writeFile(elsewhere, minisign(signer, bytes));
    const { checks } = await found(setup, url, ...flags, '--signature', elsewhere);
    assert.deepEqual(checks, [{ kind: 'minisign', from: elsewhere, of: 'file' }]);
    await assertRefused(setup, url, ['--signature', elsewhere], {
      exitCode: 2,
      code: 'key-missing',
      cardIsTouched: false,
    });
  });
});

describe('a signature of GnuPG', () => {
  /** A key of its own, in a folder of its own, whose agent ends with the test. */
  async function gpgSigner(t: TestContext): Promise<{ readonly key: string; readonly gpg: readonly string[] }> {
    const home = path.join(await temporaryFolder(t), 'gnupg');
    await mkdir(home, { mode: 0o700 });
    const gpg = ['gpg', '--homedir', home, '--batch', '--quiet', '--passphrase', '', '--pinentry-mode', 'loopback'];
    t.after(() => checked(['gpgconf', '--homedir', home, '--kill', 'gpg-agent']));
    await checked([...gpg, '--quick-generate-key', 'images@example.com', 'ed25519', 'sign', '0']);
    const key = path.join(home, 'key.asc');
    await writeFile(key, await checked([...gpg, '--armor', '--export', 'images@example.com']));
    return { key, gpg };
  }

  it('is checked for an image with the keys that are given and no others', async (t) => {
    const setup = await setUp(t);
    const [signer, stranger] = [await gpgSigner(t), await gpgSigner(t)];
    const flags = ['--gpg-key', signer.key];
    await checked([...signer.gpg, '--armor', '--detach-sign', setup.file]);
    const signature = `${setup.file}.asc`;
    const wanted = [{ kind: 'gpg', from: signature, of: 'file' }];
    assert.deepEqual((await found(setup, setup.file, ...flags)).checks, wanted);
    const binary = path.join(setup.folder, 'key.gpg');
    await checked([...signer.gpg, '--output', binary, '--export', 'images@example.com']);
    assert.deepEqual((await found(setup, setup.file, '--gpg-key', binary)).checks, wanted);
    const bad = { exitCode: 5, code: 'invalid-signature', cardIsTouched: true };
    await assertRefused(setup, setup.file, ['--gpg-key', stranger.key], bad);
    await touchHeader(setup.file);
    await assertRefused(setup, setup.file, flags, bad);
  });

  it('of a list of checksums stands for the image that the list has', async (t) => {
    const setup = await setUp(t);
    const signer = await gpgSigner(t);
    const list = path.join(setup.folder, 'SHA256SUMS');
    await writeFile(list, `${setup.fileSum}  os.img.gz\n`);
    await checked([...signer.gpg, '--output', `${list}.gpg`, '--detach-sign', list]);
    const { checks } = await found(setup, setup.file, '--gpg-key', signer.key);
    assert.deepEqual(checks, [
      { kind: 'gpg', from: `${list}.gpg`, of: 'list' },
      { kind: 'sha256', from: list, of: 'file' },
    ]);
    await writeFile(list, `${wrongSum}  os.img.gz\n`);
    const bad = { exitCode: 5, code: 'invalid-signature', cardIsTouched: false };
    await assertRefused(setup, setup.file, ['--gpg-key', signer.key], bad);
    await rm(list);
    await assertRefused(setup, setup.file, ['--gpg-key', signer.key], {
      exitCode: 3,
      code: 'signature-not-found',
      cardIsTouched: false,
    });
  });
});
