import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { listAt, textAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { listContainers, removeContainer } from '../../src/lib/engine/containers.js';
import { listImages, removeImage } from '../../src/lib/engine/images.js';
import { importBaseImage } from '../support/base-image.js';
import { type CountedLink, openCountedLink } from '../support/counted-link.js';
import { davit, davitJson, startDavit } from '../support/davit.js';
import { engineSkipReason, startEngine, type TestEngine } from '../support/engine.js';
import { writeTree } from '../support/file-tree.js';
import { createNetwork, networkSkipReason } from '../support/network-namespace.js';
import { seededRandom } from '../support/seeded-random.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A program that answers signals at once, as process 1 does not by itself. */
const idle = 'CMD trap "exit 0" TERM; echo ready; while true; do sleep 0.1; done\n';
const [first, second, dead] = ['127.0.0.1', '127.0.0.2', '127.0.0.9'];

/** Makes an engine's socket the engine of a device in development mode. */
const relayScript = `
const net = require('node:net');
net.createServer((near) => {
  const far = net.connect(process.argv[1]);
  near.on('error', () => far.destroy());
  far.on('error', () => near.destroy());
  near.pipe(far).pipe(near);
}).listen(2375, '::', () => console.log('ready'));
`;

describe('push of what is built on this computer', { skip: engineSkipReason() }, () => {
  let host: TestEngine;
  let devices: readonly [TestEngine, TestEngine];
  let link: CountedLink;

  before(async () => {
    const [one, other, third] = await Promise.all([startEngine(), startEngine(), startEngine()]);
    host = one;
    devices = [other, third];
    // The second device at an address of its own, on the port of the first.
    link = await openCountedLink(third.port, { host: second, port: other.port });
    await importBaseImage(host.connection);
  });
  after(async () => {
    await link.close();
    await Promise.all([host, ...devices].map((engine) => engine.close()));
  });
  beforeEach(async () => {
    for (const { connection } of devices) {
      for (const { id } of await listContainers(connection)) await removeContainer(connection, id);
      for (const { id } of await listImages(connection)) await removeImage(connection, `${id}?force=true`);
    }
  });

  const project = async (t: TestContext, files: Readonly<Record<string, string | Uint8Array>>) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, files);
    return folder;
  };
  const environment = () => ({ DOCKER_HOST: `tcp://127.0.0.1:${host.port}` });
  const push = (names: readonly string[], folder: string, ...more: string[]) => {
    const words = ['--engine-port', String(devices[0].port), '--source', folder, '--build', 'host', ...more];
    return ['push', ...names, ...words];
  };
  const states = async ({ connection }: TestEngine) => (await listContainers(connection)).map(({ state }) => state);

  it('runs on two devices after one build, and one that is dead fails alone', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\nRUN echo only once\n${idle}` });
    const { exitCode, stdout, stderr } = await davit(push([first, second, dead, first], folder, '--json'), {
      environment: environment(),
    });
    assert.equal(exitCode, 5, stderr);
    const document: unknown = JSON.parse(stdout);
    const report = listAt(document, 'error', 'report', 'devices');
    assert.deepEqual(
      report.map((one) => [valueAt(one, 'device'), valueAt(one, 'error', 'code')]),
      [
        [first, undefined],
        [second, undefined],
        [dead, 'econnrefused'],
      ],
    );
    assert.equal(stderr.match(/Step 2\/5 : RUN echo only once/g)?.length, 1, stderr);
    for (const device of devices) assert.deepEqual(await states(device), ['running']);
    // The base image is not on the devices, only what was made of it.
    for (const { connection } of devices) assert.equal((await listImages(connection)).length, 1);
  });

  it('sends a changed program alone, nothing when nothing has changed, and says so', async (t) => {
    const files = { Dockerfile: `FROM base\nCOPY blob /blob\nCOPY app /app\n${idle}`, app: 'one' };
    const folder = await project(t, { ...files, blob: seededRandom(1).bytes(20_000_000) });
    const whole = await davit(push([second], folder, '--detached'), { environment: environment() });
    assert.equal(whole.exitCode, 0, whole.stderr);
    await writeTree(folder, { app: 'two' });
    const before = link.sent();
    const changed = await davitJson(push([second], folder), { environment: environment() });
    assert.equal(valueAt(changed.document, 'delivered', 'main', 'layersSent'), 1);
    assert.ok(link.sent() - before < 100_000, `${link.sent() - before} bytes were sent`);
    const again = await davit(push([second], folder, '--detached'), { environment: environment() });
    assert.equal(again.exitCode, 0, again.stderr);
    assert.match(again.stdout, /^127\.0\.0\.2 runs all of this already \([\d.]+ s\)\n$/);
    assert.equal((await listImages(devices[1].connection)).length, 1);
  });

  it('takes an image that is there already, with and without a project', async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    const built = await host.docker(['build', '--quiet', '--tag', 'ready:v1', folder]);
    assert.equal(built.exitCode, 0, built.stderr);
    const nothing = await temporaryFolder(t);
    const alone = await davitJson(push([first], nothing, '--image', 'ready:v1'), { environment: environment() });
    assert.equal(alone.exitCode, 0);
    assert.equal(textAt(listAt(alone.document, 'services')[0], 'imageId'), built.stdout.trim());
    const unbuildable = await project(t, { Dockerfile: 'FROM nowhere.invalid/x\n' });
    const words = push([first], unbuildable, '--image', 'main=ready:v1', '--detached');
    const inProject = await davit(words, { environment: environment() });
    assert.equal(inProject.exitCode, 0, inProject.stderr);
    assert.match(inProject.stdout, /runs all of this already/);
  });

  it('leaves nothing on the device, nor here, when it is interrupted on the way', async (t) => {
    const folder = await project(t, {
      Dockerfile: `FROM base\nCOPY a /a\nCOPY b /b\n${idle}`,
      a: seededRandom(2).bytes(40_000_000),
      b: seededRandom(3).bytes(40_000_000),
    });
    const before = link.sent();
    const child = startDavit(push([second], folder), { environment: environment() });
    child.stdout?.resume();
    child.stderr?.resume();
    const ended = once(child, 'exit');
    while (link.sent() - before < 20_000_000 && child.exitCode === null) await sleep(1);
    child.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
    assert.deepEqual(await listImages(devices[1].connection), []);
    assert.deepEqual(await listContainers(devices[1].connection), []);
    assert.deepEqual(
      (await readdir(tmpdir())).filter((name) => name.startsWith('davit-layers-')),
      [],
    );
  });

  it('goes to all devices that the network has with --all', { skip: networkSkipReason() }, async (t) => {
    const folder = await project(t, { Dockerfile: `FROM base\n${idle}` });
    const network = await createNetwork([{ hostname: 'crane' }, { hostname: 'heron' }]);
    t.after(() => network.close());
    for (const [index, { start }] of network.devices.entries()) {
      const relay = start(process.execPath, ['-e', relayScript, devices[index]?.socket ?? '']);
      if (relay.stdout !== null) await once(relay.stdout, 'data');
    }
    const words = ['push', '--all', '--build', 'host', '--source', folder];
    const options = { environment: { DOCKER_HOST: `unix://${host.socket}` }, wrapper: network.wrapper };
    const { exitCode, document } = await davitJson(words, options);
    assert.equal(exitCode, 0, JSON.stringify(document));
    const names = listAt(document, 'devices').map((one) => textAt(one, 'device').replace(/\.local$/, ''));
    assert.deepEqual(names.toSorted(), ['crane', 'heron']);
    for (const device of devices) assert.deepEqual(await states(device), ['running']);
  });

  it('asks for devices by names or by --all, and says what is wrong with images', async (t) => {
    const folder = await project(t, { Dockerfile: 'FROM scratch\n' });
    const code = async (...words: string[]) => {
      const { document } = await davitJson(words, { environment: environment() });
      return valueAt(document, 'error', 'code');
    };
    assert.equal(await code('push', '--source', folder), 'devices-needed');
    assert.equal(await code('push', first, '--all'), 'devices-needed');
    assert.equal(await code(...push([first], folder, '--image', 'one', '--image', 'web=two')), 'service-needed');
    assert.equal(await code(...push([first], folder, '--image', 'web=ready:v1')), 'unknown-service');
    assert.equal(await code(...push([first], folder, '--image', 'missing:v1')), 'image-not-found');
    const file = path.join(folder, 'Dockerfile');
    assert.equal(await code(...push([first], folder, '--image', file)), 'not-a-container-image');
  });
});
