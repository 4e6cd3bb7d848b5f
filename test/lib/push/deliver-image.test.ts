import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { openDevice } from '../../../src/lib/device/device.js';
import { type EngineConnection, tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { imageDetails, listImages, removeImage } from '../../../src/lib/engine/images.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';
import { deliverImage, type Delivered } from '../../../src/lib/push/deliver-image.js';
import { imageInEngine, imageInFile } from '../../../src/lib/push/image-source.js';
import { LayerSpool } from '../../../src/lib/push/layer-spool.js';
import { type CountedLink, openCountedLink } from '../../support/counted-link.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../../support/engine.js';
import { seededRandom } from '../../support/seeded-random.js';
import { sshServerSkipReason, startSshServer } from '../../support/ssh-server.js';

const tag = 'local_image_main:latest';
const megabyte = 1_000_000;

describe('an image delivered to a device', { skip: engineSkipReason() }, () => {
  let host: TestEngine;
  let device: TestEngine;
  let link: CountedLink;
  let folder: string;

  before(async () => {
    [host, device] = await Promise.all([startEngine(), startEngine()]);
    link = await openCountedLink(device.port);
    folder = await mkdtemp(path.join(tmpdir(), 'davit-delivery-'));
  });
  after(async () => {
    await link.close();
    await Promise.all([host.close(), device.close()]);
    await rm(folder, { recursive: true });
  });
  beforeEach(async () => {
    link.setDamage(undefined);
    for (const { id } of await listImages(device.connection)) await removeImage(device.connection, `${id}?force=true`);
  });

  /** Builds an image on the host, with a layer for each file. */
  async function build(name: string, files: Readonly<Record<string, Buffer>>): Promise<string> {
    const context = path.join(folder, name);
    await mkdir(context, { recursive: true });
    const steps = ['FROM scratch'];
    for (const [file, content] of Object.entries(files)) {
      await writeFile(path.join(context, file), content);
      steps.push(`COPY ${file} /${file}`);
    }
    await writeFile(path.join(context, 'Dockerfile'), [...steps, `CMD ["/${name}"]`].join('\n'));
    const built = await host.docker(['build', '--quiet', '--tag', name, context]);
    assert.equal(built.exitCode, 0, built.stderr);
    return built.stdout.trim();
  }

  async function deliver(
    name: string,
    options: {
      readonly file?: string;
      readonly engine?: EngineConnection;
      readonly signal?: AbortSignal;
      readonly onEvent?: (event: ProgressEvent) => void;
    } = {},
  ): Promise<Delivered> {
    const signal = options.signal ?? new AbortController().signal;
    const source =
      options.file === undefined
        ? await imageInEngine(host.connection, name, signal)
        : await imageInFile(options.file, signal);
    const image = new LayerSpool(source);
    try {
      const request = { image, tag, id: 'main' };
      return await deliverImage(options.engine ?? tcpEngineConnection('127.0.0.1', link.port), request, {
        signal,
        progress: options.onEvent ?? (() => undefined),
      });
    } finally {
      await image.close();
    }
  }

  /** Every image of the device, with what it is called. */
  async function onDevice(): Promise<Record<string, readonly string[]>> {
    const images = await listImages(device.connection);
    return Object.fromEntries(images.map(({ id, tags }) => [id, tags]));
  }

  it('is the same image there, and moves nothing the second time', async () => {
    const id = await build('first', {
      a: noise(30 * megabyte, 1),
      b: noise(10 * megabyte, 2),
      c: Buffer.from('three'),
    });
    const first = await deliver('first');
    assert.equal(first.imageId, id);
    assert.deepEqual(await onDevice(), { [id]: [tag] });
    assert.equal(first.layersSent, 3);
    const host1 = await imageDetails(host.connection, id);
    assert.deepEqual(await imageDetails(device.connection, id), host1);

    const before = link.sent();
    const second = await deliver('first');
    assert.deepEqual([second.imageId, second.layersSent, second.bytesSent], [id, 0, 0]);
    assert.ok(link.sent() - before < 2000, `${link.sent() - before} bytes were sent`);
  });

  it('moves under 2 % of its bytes when the last layer of 200 MB has changed', async () => {
    const base = { os: noise(150 * megabyte, 3), libraries: noise(50 * megabyte, 4) };
    await build('large', { ...base, app: Buffer.from('console.log(1)') });
    await deliver('large');
    const id = await build('large', { ...base, app: noise(megabyte, 5) });
    const before = link.sent() + link.received();
    const { layersSent, imageBytes } = await deliver('large');
    const moved = link.sent() + link.received() - before;
    assert.equal(layersSent, 1);
    assert.ok(imageBytes > 200 * megabyte);
    assert.ok(moved < imageBytes * 0.02, `${moved} bytes moved`);
    assert.deepEqual((await onDevice())[id], [tag]);
  });

  it('goes on after a link that broke with the layers that had arrived', async () => {
    const files = Array.from({ length: 6 }, (_, index) => [`f${index}`, noise(10 * megabyte, 20 + index)] as const);
    const id = await build('cut', Object.fromEntries(files));
    const before = link.sent();
    link.cutAfter(45 * megabyte);
    const notices: string[] = [];
    const { layersSent, imageId } = await deliver('cut', {
      onEvent: (event) => {
        if (event.type === 'notice') notices.push(event.text);
      },
    });
    assert.equal(imageId, id);
    assert.equal(layersSent, 6);
    const moved = link.sent() - before;
    // The layer that was under way, and one that the engine had not yet taken apart, are sent twice.
    assert.ok(moved < 82 * megabyte, `${moved} bytes were sent`);
    assert.deepEqual(await onDevice(), { [id]: [tag] });
    assert.match(notices.join('\n'), /^main: the link broke; going on after layer [2-4] of 6$/);
  });

  it('goes through SSH, also when that breaks on the way', { skip: sshServerSkipReason() }, async () => {
    // In the server's view of the file system, the device's engine is at its usual place.
    const enter = `mount -t tmpfs none /run && mkdir /run/sshd && ln -s ${device.socket} /run/balena-engine.sock && exec "$@"`;
    const server = await startSshServer({ wrapper: ['unshare', '--mount', 'sh', '-c', enter, 'sh'] });
    const sshLink = await openCountedLink(server.port);
    const { signal } = new AbortController();
    process.env.DAVIT_DATA_DIR = path.join(folder, 'data');
    const ssh = { port: sshLink.port, identityFile: server.identityFile };
    const opened = await openDevice('127.0.0.1', { signal, ssh, enginePort: await freePort() });
    try {
      const files = Array.from({ length: 4 }, (_, index) => [`s${index}`, noise(10 * megabyte, 40 + index)] as const);
      const id = await build('ssh', Object.fromEntries(files));
      const engine = await opened.engine();
      const before = sshLink.sent();
      sshLink.cutAfter(35 * megabyte);
      const { imageId } = await deliver('ssh', { engine });
      assert.equal(imageId, id);
      const moved = sshLink.sent() - before;
      assert.ok(moved < 65 * megabyte, `${moved} bytes were sent`);
      assert.deepEqual(await onDevice(), { [id]: [tag] });
    } finally {
      delete process.env.DAVIT_DATA_DIR;
      await opened.close();
      await sshLink.close();
      await server.close();
    }
  });

  it('leaves nothing on the device, and nothing in the temporary folder, when it is interrupted', async () => {
    await build('stopped', { a: noise(20 * megabyte, 9), b: noise(20 * megabyte, 10), c: noise(20 * megabyte, 11) });
    const control = new AbortController();
    const before = link.sent();
    const watch = setInterval(() => {
      if (link.sent() - before > 45 * megabyte) control.abort();
    }, 1);
    try {
      await assert.rejects(deliver('stopped', { signal: control.signal }), { code: 'interrupted' });
    } finally {
      clearInterval(watch);
    }
    assert.deepEqual(await onDevice(), {});
    assert.deepEqual(
      (await readdir(tmpdir())).filter((name) => name.startsWith('davit-layers-')),
      [],
    );
  });

  it('is refused by the engine, and leaves no tag, when it arrives damaged', async () => {
    await build('damaged', { a: noise(3 * megabyte, 12) });
    link.setDamage((chunk) => {
      if (chunk.length < 10_000) return chunk;
      const damaged = Buffer.from(chunk);
      damaged.writeUInt8(damaged.readUInt8(5000) ^ 1, 5000);
      return damaged;
    });
    await assert.rejects(deliver('damaged'), { kind: 'failed', code: 'image-refused' });
    assert.deepEqual(await onDevice(), {});
  });

  it('is sent whole where the engine refuses it without the layers that it has', async () => {
    const files = { base: noise(2 * megabyte, 50), app: noise(2 * megabyte, 51) };
    await build('refused', files);
    await deliver('refused');
    const id = await build('refused', { ...files, app: noise(2 * megabyte, 52) });
    let isDamaged = false;
    link.setDamage((chunk) => {
      if (isDamaged || chunk.length < 10_000) return chunk;
      isDamaged = true;
      return Buffer.from(chunk).fill(0, 5000, 5010);
    });
    const { imageId, layersSent } = await deliver('refused');
    assert.deepEqual([imageId, layersSent], [id, 2]);
    assert.deepEqual((await onDevice())[id], [tag]);
  });

  it('comes out of a file that docker save wrote, packed or not', async () => {
    const id = await build('saved', { a: noise(megabyte, 13), b: Buffer.alloc(9 * megabyte) });
    const file = path.join(folder, 'saved.tar');
    assert.equal((await host.docker(['save', '--output', file, 'saved'])).exitCode, 0);
    const { imageId, bytesSent } = await deliver('', { file });
    assert.equal(imageId, id);
    assert.ok(bytesSent < 6 * megabyte, `${bytesSent} bytes were sent`);
    assert.deepEqual(await onDevice(), { [id]: [tag] });
  });
});

function noise(bytes: number, seed: number): Buffer {
  const random = seededRandom(seed);
  return random.bytes(bytes);
}
