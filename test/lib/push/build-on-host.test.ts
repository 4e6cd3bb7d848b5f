import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { localImageTag } from '../../../src/lib/deploy/local-release.js';
import { tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { imageDetails, listImages } from '../../../src/lib/engine/images.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';
import { buildOnDevice } from '../../../src/lib/push/build-on-device.js';
import { buildOnHost } from '../../../src/lib/push/build-on-host.js';
import type { Delivery, ServiceImage } from '../../../src/lib/push/delivery.js';
import { deliverGivenImages } from '../../../src/lib/push/given-images.js';
import { readServiceImages } from '../../../src/lib/push/service-images.js';
import { readProject } from '../../../src/lib/project/project.js';
import { importBaseImage } from '../../support/base-image.js';
import { type CountedLink, openCountedLink } from '../../support/counted-link.js';
import { engineSkipReason, startEngine, type TestEngine } from '../../support/engine.js';

const tag = localImageTag('main');
const { signal } = new AbortController();
setMaxListeners(0, signal);

describe('images from this computer', { skip: engineSkipReason() }, () => {
  let host: TestEngine;
  let devices: readonly TestEngine[];
  let folder: string;
  let events: ProgressEvent[];
  const environment = { ...process.env };

  before(async () => {
    [host, ...devices] = await Promise.all([startEngine(), startEngine(), startEngine()]);
    await importBaseImage(host.connection);
    folder = await mkdtemp(path.join(tmpdir(), 'davit-host-build-'));
    process.env.DOCKER_HOST = `tcp://127.0.0.1:${host.port}`;
    process.env.DOCKER_CONFIG = path.join(folder, 'client');
  });
  after(async () => {
    process.env = environment;
    await Promise.all([host, ...devices].map((engine) => engine.close()));
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    events = [];
  });

  const progress = (event: ProgressEvent) => void events.push(event);
  const lines = () => events.flatMap((event) => (event.type === 'line' ? [event.text] : []));
  const onHost = () => buildOnHost({ noCache: false, pull: false, logins: {}, signal, progress });

  /** A project of these lines in a folder of its own. */
  async function project(dockerfile: string, architecture = 'amd64'): Promise<readonly ServiceImage[]> {
    const source = await mkdtemp(path.join(folder, 'project-'));
    await writeFile(path.join(source, 'Dockerfile'), dockerfile);
    await writeFile(path.join(source, 'app'), source);
    const values = { commit: 'c', appName: 'a', deviceType: undefined, architecture };
    const images = await readServiceImages(await readProject({ folder: source }), values, { isLive: false, signal });
    // The engines of the tests have no network to give to a step.
    return images.map((one) => ('build' in one ? { ...one, build: { ...one.build, network: 'none' } } : one));
  }

  async function deliver(
    delivery: Delivery,
    engine: { readonly port: number },
    images: readonly ServiceImage[],
    architecture = 'amd64',
  ): Promise<string | undefined> {
    const target = { engine: tcpEngineConnection('127.0.0.1', engine.port), architecture };
    return (await delivery.deliver(target, images, { signal, progress })).get('main');
  }

  it('are built once for ten devices, and are the same on each', async () => {
    const links: CountedLink[] = [];
    for (let index = 0; index < 10; index++) links.push(await openCountedLink(devices[index % 2]?.port ?? 0));
    const delivery = onHost();
    try {
      const images = await project('FROM base\nCOPY app /app\nRUN echo built > /built\n');
      const ids = await Promise.all(links.map((link) => deliver(delivery, link, images)));
      assert.equal(new Set(ids).size, 1);
      for (const { connection } of devices) {
        assert.deepEqual(
          (await listImages(connection)).map(({ id, tags }) => [id, tags]),
          [[ids[0], [tag]]],
        );
      }
      assert.equal(lines().filter((line) => line.includes('echo built')).length, 1, lines().join('\n'));
    } finally {
      await delivery.close();
      for (const link of links) await link.close();
    }
  });

  it('are built by BuildKit where the docker program has it', { skip: noBuildKit() }, async () => {
    process.env.PATH = `/usr/bin:${String(environment.PATH)}`;
    const delivery = onHost();
    try {
      const [device] = devices;
      const good = await project('FROM base\nCOPY app /app\nRUN --mount=type=tmpfs,target=/t echo x > /built\n');
      const id = await deliver(delivery, device ?? host, good);
      assert.ok(
        lines().some((line) => /^#\d+ \[\d\/3\] COPY app \/app$/.test(line)),
        lines().join('\n'),
      );
      assert.equal((await imageDetails((device ?? host).connection, tag))?.id, id);
      const bad = await project('FROM base\nRUN true\n\nRUN exit 3\n');
      await assert.rejects(deliver(delivery, device ?? host, bad), {
        code: 'build-failed',
        message: /^building main on this computer failed at line 4 of Dockerfile \(RUN exit 3\)/,
      });
    } finally {
      process.env.PATH = String(environment.PATH);
      await delivery.close();
    }
  });

  it('are for the kind of device that they are built for', async () => {
    const delivery = onHost();
    try {
      await deliver(delivery, devices[0] ?? host, await project('FROM scratch\nCOPY app /app\n'), 'aarch64');
      const details = await imageDetails(devices[0]?.connection ?? host.connection, tag);
      assert.equal(details?.architecture, 'arm64');
      // The base image that is here is for this computer.
      const wrong = await project('FROM base\nCOPY app /app\n');
      const failure = { kind: 'refused', code: 'wrong-architecture' };
      await assert.rejects(deliver(delivery, devices[0] ?? host, wrong, 'aarch64'), failure);
    } finally {
      await delivery.close();
    }
  });

  it('are not begun where the build would have to run what this computer cannot', async () => {
    const delivery = onHost();
    try {
      const images = await project('FROM base\nRUN echo never\n');
      const failure = { kind: 'refused', code: 'emulation-missing' };
      await assert.rejects(deliver(delivery, devices[0] ?? host, images, 'aarch64'), failure);
      assert.deepEqual(lines(), []);
    } finally {
      await delivery.close();
    }
  });

  it('may be there already, under any name, and must be for the kind of device', async () => {
    const built = await host.docker(['tag', 'base', 'localhost:5000/some/where:v1']);
    assert.equal(built.exitCode, 0, built.stderr);
    const others = buildOnDevice({ noCache: false, pull: false, logins: {} });
    const images = new Map([['main', 'localhost:5000/some/where:v1']]);
    const delivery = deliverGivenImages({ images, others, signal });
    try {
      const project = [{ service: 'main', image: 'nothing' }];
      const id = await deliver(delivery, devices[1] ?? host, project);
      assert.equal(id, (await imageDetails(host.connection, 'base'))?.id);
      const failure = { kind: 'refused', code: 'wrong-architecture' };
      await assert.rejects(deliver(delivery, devices[1] ?? host, project, 'armv7hf'), failure);
    } finally {
      await delivery.close();
    }
  });
});

/** Debian's docker program is from before BuildKit became a plugin. */
function noBuildKit(): string | false {
  return existsSync('/usr/bin/docker') ? false : 'there is no docker program with BuildKit in it';
}
