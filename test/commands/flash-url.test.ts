import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { rounds } from '../support/campaign.js';
import { davit, startDavit } from '../support/davit.js';
import { hasNoTable, partitionContent } from '../support/disk-content.js';
import { checked, fillFile } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { seededRandom } from '../support/seeded-random.js';
import { slowCardsMissing, startSlowCard } from '../support/slow-card.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { startWebServer } from '../support/web-server.js';

const etag = '"one"';

interface Setup {
  readonly folder: string;
  readonly image: OsImage;
  /** A file that stands for a card and holds something else. */
  readonly card: string;
}

async function setUp(t: TestContext): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const card = path.join(folder, 'card');
  await fillFile(card, image.size, 0xaa);
  return { folder, image, card };
}

async function pack(image: string, format: string): Promise<Buffer> {
  const packed = `${image}.${format}`;
  const commands: Readonly<Record<string, readonly string[]>> = {
    raw: ['cp', image, packed],
    gz: ['sh', '-c', `gzip -1 <${image} >${packed}`],
    xz: ['sh', '-c', `xz -0 --block-size=16MiB <${image} >${packed}`],
    zst: ['sh', '-c', `zstd -q -1 <${image} >${packed}`],
    zip: ['zip', '-q', '-1', '-j', packed, image],
  };
  await checked(commands[format] ?? []);
  return readFile(packed);
}

const flashUrl = (url: string, card: string, ...more: string[]) =>
  davit(['flash', url, '--drive', card, '--yes', '--progress', 'json', ...more], { timeoutMs: 120_000 });

async function assertHoldsImage(disk: string, image: OsImage): Promise<void> {
  for (const partition of image.partitions) {
    const expected = await partitionContent(image.path, partition);
    assert.deepEqual(await partitionContent(disk, partition), { ...expected, problems: 0 });
  }
}

for (const format of ['raw', 'gz', 'xz', 'zst', 'zip'] as const) {
  test(`puts a ${format} image from a URL on a card although the connection is cut again and again`, async (t) => {
    const { image, card } = await setUp(t);
    const bytes = await pack(image.path, format);
    const random = seededRandom(11);
    for (let round = rounds(1, 10); round > 0; round -= 1) {
      const server = await startWebServer(t, () => ({
        bytes,
        etag,
        cutAfter: 1 + random.below(Math.ceil(bytes.length / 8)),
      }));
      const { exitCode, stderr } = await flashUrl(`${server.origin}/image`, card);
      assert.equal(exitCode, 0, stderr);
      await assertHoldsImage(card, image);
      assert.ok(server.requests.length > 8, `${server.requests.length} requests`);
      assert.match(stderr, /the connection was cut; going on at byte \d+/);
      await server.stop();
    }
  });
}

test('reads a zip from a URL with few requests', async (t) => {
  const { image, card } = await setUp(t);
  const bytes = await pack(image.path, 'zip');
  const server = await startWebServer(t, () => ({ bytes, etag }));
  const { exitCode, stderr } = await flashUrl(`${server.origin}/image.zip`, card);
  assert.equal(exitCode, 0, stderr);
  await assertHoldsImage(card, image);
  assert.ok(server.requests.length <= 5, `${server.requests.length} requests`);
});

test('says that a zip cannot be read where the server has no ranges', async (t) => {
  const { image, card } = await setUp(t);
  const bytes = await pack(image.path, 'zip');
  const server = await startWebServer(t, () => ({ bytes, etag, ranges: false }));
  const { exitCode, stderr } = await flashUrl(`${server.origin}/image.zip`, card);
  assert.equal(exitCode, 2, stderr);
  assert.match(stderr, /a zip cannot be read from http.*its directory is at its end/);
});

for (const [words, bytesOf, code] of [
  ['changed on the server', (bytes: Buffer) => ({ bytes: Buffer.from(bytes).reverse(), etag: '"two"' }), 5],
  ['shorter than the server said', (bytes: Buffer) => ({ bytes: bytes.subarray(0, bytes.length / 2), etag }), 5],
  ['gone', () => ({ status: 404 }), 3],
] as const) {
  test(`leaves a card without a partition table when the image is ${words} while it is read`, async (t) => {
    const { image, card } = await setUp(t);
    const bytes = await pack(image.path, 'gz');
    const server = await startWebServer(t, ({ index }) =>
      index === 0 ? { bytes, etag, cutAfter: Math.floor(bytes.length * 0.7) } : bytesOf(bytes),
    );
    const { exitCode, stderr } = await flashUrl(`${server.origin}/image.gz`, card);
    assert.equal(exitCode, code, stderr);
    assert.match(stderr, code === 5 ? /was changed on the server/ : /HTTP 404/);
    assert.ok(await hasNoTable(card, image.size));
  });
}

for (const [words, answer, code, message] of [
  ['a page', { bytes: Buffer.from('\n<!DOCTYPE html><title>Login</title>') }, 5, /is a page/],
  ['an answer in JSON', { bytes: Buffer.from('{"error": "no such version"}') }, 5, /is a page/],
  ['nothing', { bytes: Buffer.alloc(0), ranges: false }, 5, /is empty/],
  ['an empty range', { bytes: Buffer.alloc(0) }, 5, /is empty/],
  ['that there is no such file', { status: 404 }, 3, /HTTP 404/],
  ['that a login is needed', { status: 401 }, 7, /HTTP 401/],
  ['an error of its own', { status: 500, headers: { 'retry-after': '0' } }, 6, /HTTP 500/],
] as const) {
  test(`does not touch the card when a URL gives ${words}`, async (t) => {
    const folder = await temporaryFolder(t);
    const card = path.join(folder, 'card');
    await fillFile(card, 1024 * 1024, 0xaa);
    const server = await startWebServer(t, () => answer);
    const { exitCode, stderr } = await flashUrl(`${server.origin}/image?token=secret`, card);
    assert.equal(exitCode, code, stderr);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /secret/);
    assert.ok((await readFile(card)).equals(Buffer.alloc(1024 * 1024, 0xaa)));
  });
}

test('ends with 6 when nobody listens at the address', async (t) => {
  const { card } = await setUp(t);
  const server = await startWebServer(t, () => ({}));
  await server.stop();
  const { exitCode, stderr } = await flashUrl(`${server.origin}/image.gz`, card);
  assert.equal(exitCode, 6, stderr);
});

for (const [words, stallAfter] of [
  ['for an answer', undefined],
  ['for more bytes', 0.5],
] as const) {
  test(`ends with 130 within two seconds after Ctrl-C while it waits ${words}`, async (t) => {
    const { image, card } = await setUp(t);
    const bytes = await pack(image.path, 'gz');
    let askedAt = 0;
    const server = await startWebServer(t, () => {
      askedAt = Date.now();
      return stallAfter === undefined
        ? { silent: true }
        : { bytes, etag, stallAfter: Math.floor(bytes.length * stallAfter) };
    });
    const child = startDavit(['flash', `${server.origin}/image.gz`, '--drive', card, '--yes', '--progress', 'json']);
    let stderr = '';
    child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
    const ended = once(child, 'close');
    while (askedAt === 0) await wait(10);
    if (stallAfter !== undefined) while (!stderr.includes('"phase":"wipe","state":"done"')) await wait(10);
    const killedAt = Date.now();
    child.kill('SIGINT');
    assert.deepEqual(await ended, [130, null], stderr);
    assert.ok(Date.now() - killedAt < 2000, `${Date.now() - killedAt} ms`);
    if (stallAfter !== undefined) assert.ok(await hasNoTable(card, image.size));
  });
}

const inSilentNetwork = [
  'ip link set lo up',
  // Nobody is at the other end to answer.
  'ip link add one type veth peer name other',
  'ip address add 192.0.2.1/24 dev one',
  'ip link set one up',
  'ip link set other up',
  'mount --bind "$0" /etc/resolv.conf',
  'exec "$@"',
].join(' && ');

const namespacesMissing = process.getuid?.() === 0 ? false : 'network namespaces need root';

test(
  'ends with 130 within two seconds after Ctrl-C while it waits for a name server',
  { skip: namespacesMissing },
  async (t) => {
    const folder = await temporaryFolder(t);
    const [card, resolver] = [path.join(folder, 'card'), path.join(folder, 'resolv.conf')];
    await fillFile(card, 1024 * 1024, 0xaa);
    await writeFile(resolver, 'nameserver 192.0.2.2\n');
    const wrapper = ['unshare', '--net', '--mount', 'sh', '-c', inSilentNetwork, resolver];
    const child = startDavit(['flash', 'http://host.example/image.gz', '--drive', card, '--yes'], { wrapper });
    const ended = once(child, 'close');
    const isAsking = async () => {
      const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8');
      const names = await Promise.all(
        children
          .trim()
          .split(' ')
          .map((pid) => commandOf(pid)),
      );
      // The name alone is the last argument of who looks it up; what is about to become another program has davit's own arguments.
      return names.some((name) => name.endsWith('\0host.example\0'));
    };
    while (!(await isAsking())) await wait(10);
    const killedAt = Date.now();
    child.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
    assert.ok(Date.now() - killedAt < 2000, `${Date.now() - killedAt} ms`);
  },
);

/** The command line of a process, or nothing when it is gone. */
async function commandOf(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}

for (const format of ['raw', 'gz'] as const) {
  test(`leaves a card without a partition table when a ${format} image ends early and nobody said how long it is`, async (t) => {
    const { image, card } = await setUp(t);
    const bytes = await pack(image.path, format);
    const half = bytes.subarray(0, bytes.length / 2);
    const server = await startWebServer(t, () => ({ bytes: half, chunked: true, ranges: false }));
    const fromUrl = await flashUrl(`${server.origin}/image`, card);
    assert.equal(fromUrl.exitCode, 5, fromUrl.stderr);
    assert.ok(await hasNoTable(card, image.size));
  });
}

test(
  'takes no more memory for an image that comes faster than the card takes it',
  { skip: slowCardsMissing },
  async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'), { seed: 5 });
    const size = image.size + rounds(128, 2048) * 1024 * 1024;
    await truncate(image.path, size);
    const bytes = await readFile(image.path);
    const server = await startWebServer(t, () => ({ bytes, etag }));
    const card = await startSlowCard(t, { size, bytesPerSecond: rounds(40e6, 80e6) });
    const { exitCode, stdout, stderr } = await davit(
      ['flash', `${server.origin}/image`, '--drive', card.device.path, '--yes', '--all', '--verify', 'none'],
      { wrapper: ['/usr/bin/time', '--format', 'peak %M kB'], timeoutMs: 180_000 },
    );
    assert.equal(exitCode, 0, stderr + stdout);
    const peak = Number(/peak (\d+) kB/.exec(stderr)?.[1]);
    assert.ok(peak < 160_000, `${peak} kB`);
  },
);
