import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import { stringify } from 'node:querystring';
import { listContainers } from '../../../src/lib/engine/containers.js';
import { engineJson, engineStream } from '../../../src/lib/engine/engine-request.js';
import { listImages } from '../../../src/lib/engine/images.js';
import { encodedHeader, imageReference, registryOf } from '../../../src/lib/engine/pull-image.js';
import { buildContextOf } from '../../../src/lib/project/build-context.js';
import { readBuildSource } from '../../../src/lib/project/build-source.js';
import { readProject } from '../../../src/lib/project/project.js';
import { buildOnDevice } from '../../../src/lib/push/build-on-device.js';
import { type BuildSecrets, secretHosts } from '../../../src/lib/push/build-secrets.js';
import { importBaseImage } from '../../support/base-image.js';
import { engineSkipReason, startEngine, type TestEngine } from '../../support/engine.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const values = { commit: 'abc', appName: 'app', deviceType: undefined, architecture: 'amd64', service: 'main' };

describe('a build on a device', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());

  /** Builds a project's `main` as a push would, and tells its ID and what was printed. */
  const build = async (
    t: TestContext,
    files: Readonly<Record<string, string>>,
    secrets: BuildSecrets = new Map(),
    on = engine,
  ) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, files);
    const project = await readProject({ folder });
    const source = await readBuildSource(project, values);
    const definition = project.composition.services.main?.build;
    assert.ok(source !== undefined && definition !== undefined);
    const context = await buildContextOf(source, new AbortController().signal);
    const lines: string[] = [];
    const delivery = buildOnDevice({ noCache: false, pull: false, logins: {} });
    const target = { engine: on.connection, architecture: 'amd64' };
    const image = { service: 'main', build: definition, source, context, secrets };
    const ids = await delivery.deliver(target, [image], {
      signal: new AbortController().signal,
      progress: (event) => {
        if (event.type === 'line') lines.push(event.text);
      },
    });
    return { id: ids.get('main') ?? '', output: lines.join('\n') };
  };
  const runIn = async (image: string, ...command: string[]) => {
    return (await engine.docker(['run', '--rm', '--network', 'none', image, ...command])).stdout;
  };

  it('gives its arguments, target, hosts and labels to the engine', async (t) => {
    const { id } = await build(t, {
      'compose.yml': `
services:
  main:
    build:
      context: .
      target: wanted
      args: { COLOUR: red }
      extra_hosts: ["store:10.9.8.7"]
      labels: { own: label }
`,
      Dockerfile:
        'FROM base AS wanted\nARG COLOUR\nRUN echo $COLOUR > /colour; cat /etc/hosts > /hosts\nFROM base\nRUN exit 1\n',
    });
    assert.equal(await runIn(id, 'cat', '/colour'), 'red\n');
    assert.match(await runIn(id, 'cat', '/hosts'), /10\.9\.8\.7\s+store/);
    const [image] = (await listImages(engine.connection)).filter((one) => one.id === id);
    assert.deepEqual(image?.labels, { own: 'label', 'io.resin.local.image': '1', 'io.resin.local.service': 'main' });
  });

  it('shows secrets to its steps, and keeps them out of every layer, every history and what it prints', async (t) => {
    const secret = `secret-${randomBytes(8).toString('hex')}`;
    const binary = randomBytes(3000);
    const secrets = new Map<string, Uint8Array>([
      ['token', Buffer.from(`${secret}\n`)],
      ['keys/binary', binary],
      ['empty', Buffer.alloc(0)],
    ]);
    const files = {
      Dockerfile: [
        'FROM base AS one',
        'RUN cat /run/secrets/token | sha256sum > /token.sum && \\',
        '  sha256sum < /run/secrets/keys/binary > /binary.sum',
        'RUN ["sh", "-c", "echo no secrets here > /json"]',
        'FROM base',
        'run test -f /run/secrets/empty && test ! -s /run/secrets/empty && exit 0',
        'COPY --from=one /token.sum /binary.sum /',
        'USER 65534:65534',
        'RUN test -s /dev/shm/secrets/token',
        'USER 0:0',
        'CMD ["true"]',
      ].join('\n'),
    };
    const { id, output } = await build(t, files, secrets);
    const sum = async (path: string) => (await runIn(id, 'cat', path)).split(' ')[0];
    const { createHash } = await import('node:crypto');
    assert.equal(await sum('/token.sum'), createHash('sha256').update(`${secret}\n`).digest('hex'));
    assert.equal(await sum('/binary.sum'), createHash('sha256').update(binary).digest('hex'));
    assert.match(output, /^Step 2\/\d+ : RUN cat \/run\/secrets\/token \| sha256sum > \/token\.sum && \\$/m);

    const octal = Array.from(secret)
      .map((letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, '0')}`)
      .join('');
    const forms = [secret, octal, Buffer.from(secret).toString('base64').slice(0, 20), binary.subarray(100, 120)];
    assert.ok(forms.every((form) => !output.includes(form.toString('latin1'))));
    for (const image of await listImages(engine.connection, { all: true })) {
      const history = await engineJson(engine.connection, { method: 'GET', path: `/images/${image.id}/history` });
      const details = await engineJson(engine.connection, { method: 'GET', path: `/images/${image.id}/json` });
      const layers: Buffer[] = [];
      const path = `/images/${image.id}/get`;
      for await (const chunk of engineStream(engine.connection, { method: 'GET', path })) layers.push(chunk);
      const everything = [Buffer.from(JSON.stringify([history, details])), ...layers];
      const whole = Buffer.concat(everything);
      for (const form of forms) assert.equal(whole.indexOf(form), -1, `${image.id} does not hold ${String(form)}`);
      assert.equal(whole.indexOf(`run/secrets\0`), -1, 'no link is left');
    }
    assert.deepEqual((await listContainers(engine.connection)).length, 0);
    // What is built does not depend on what the secret is.
    const again = await build(t, files, new Map([...secrets, ['token', Buffer.from('another')]]));
    assert.equal(again.id, id);
  });

  it('refuses secrets that no request can carry', () => {
    assert.throws(() => secretHosts(new Map([['big', Buffer.alloc(70_000)]])), { code: 'build-secrets-too-large' });
    assert.equal(secretHosts(new Map([['a', Buffer.from([0, 255])]]))[0], '@secret/\\141/\\000\\377:0.0.0.0');
  });

  it('reuses the steps of an image that was sent to the engine', async (t) => {
    const other = await startEngine();
    t.after(() => other.close());
    const files = {
      Dockerfile: 'FROM base AS one\nRUN echo 1 > /one\nFROM base\nRUN echo 2 > /two\nCOPY --from=one /one /\n',
    };
    const { id } = await build(t, files);
    const chunks = engineStream(engine.connection, {
      method: 'GET',
      path: `/images/get?${stringify({ names: ['local_image_main:latest', 'base:latest'] })}`,
    });
    const { Readable } = await import('node:stream');
    const load = { method: 'POST', path: '/images/load', body: { tar: Readable.from(chunks) } } as const;
    for await (const chunk of engineStream(other.connection, { ...load, timeoutMs: Infinity })) assert.ok(chunk);
    const first = await build(t, files, new Map(), other);
    assert.equal(first.output.match(/Using cache/g)?.length, 4, first.output);
    assert.equal(first.id, id);
  });
});

describe('an image in a registry', () => {
  it('is asked for by name and tag, with the login of its registry', () => {
    assert.deepEqual(imageReference('redis'), { name: 'redis', tag: undefined });
    assert.deepEqual(imageReference('localhost:5000/a/b'), { name: 'localhost:5000/a/b', tag: undefined });
    assert.deepEqual(imageReference('localhost:5000/a/b:7'), { name: 'localhost:5000/a/b', tag: '7' });
    assert.deepEqual(imageReference('ghcr.io/a/b:1@sha256:ab'), { name: 'ghcr.io/a/b', tag: 'sha256:ab' });
    for (const [image, registry] of [
      ['redis', 'https://index.docker.io/v1/'],
      ['docker.io/library/redis', 'https://index.docker.io/v1/'],
      ['user/app', 'https://index.docker.io/v1/'],
      ['ghcr.io/a/b', 'ghcr.io'],
      ['localhost:5000/a', 'localhost:5000'],
    ] as const)
      assert.equal(registryOf(image), registry, image);
    assert.equal(
      encodedHeader({ a: '>>?' }),
      Buffer.from('{"a":">>?"}').toString('base64').replaceAll('/', '_').replaceAll('+', '-'),
    );
  });
});
