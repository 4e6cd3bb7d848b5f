import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { outlineDockerfile } from '../../../src/lib/project/check-dockerfile.js';
import { checkProject } from '../../../src/lib/project/check-project.js';
import type { CheckTarget, Finding } from '../../../src/lib/project/finding.js';
import { readProject } from '../../../src/lib/project/project.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

type Files = Readonly<Record<string, string | Uint8Array>>;

async function check(t: TestContext, files: Files, target: Partial<CheckTarget> = {}): Promise<readonly Finding[]> {
  const folder = await temporaryFolder(t);
  await writeTree(folder, files);
  const project = await readProject({ folder, environment: () => undefined });
  const { architecture, deviceType } = target;
  const values = { commit: 'c', appName: 'a', architecture, deviceType };
  const options = { target: { isSupervised: true, ...target }, values, signal: t.signal };
  return (await checkProject(project, options)).findings;
}

/** A service with some more keys, the first of them at line 4. */
const compose = (keys: string) => ({
  'compose.yaml': `services:\n  a:\n    image: i\n${keys.replaceAll(/^/gm, '    ')}\n`,
});

describe('a check of the keys', () => {
  /** What is written at line 4, what is found, and what is said to happen instead. */
  const cases: readonly (readonly [keys: string, code: string, level: string, says: RegExp])[] = [
    [
      'container_name: xy',
      'key-dropped',
      'warning',
      /container_name is dropped: the container is called after its service/,
    ],
    ['links: [b]\n  b: {image: i}', 'key-dropped', 'warning', /reach each other by name anyway/],
    ['expose: [80]', 'key-dropped', 'warning', /at any port anyway/],
    ['logging: {driver: x}', 'key-dropped', 'warning', /journal/],
    ['deploy: {replicas: 2}', 'key-dropped', 'warning', /one container runs/],
    ['scale: 2', 'key-dropped', 'warning', /one container runs/],
    [
      'volumes: [/etc/x:/x]',
      'key-dropped',
      'warning',
      /volumes\.0 is dropped: a Supervisor mounts no files of the device/,
    ],
    ['volumes: [./here:/x]', 'key-dropped', 'warning', /on this computer and not on the device/],
    ['volumes: [/x]', 'key-dropped', 'warning', /only volumes with a name/],
    ['volumes: [/run/dbus:/host/run/dbus]', 'mount-as-feature', 'note', /io\.balena\.features\.dbus/],
    ['volumes: [/var/run/docker.sock:/x]', 'mount-as-feature', 'note', /balena-socket/],
    ['provider: {type: model}', 'key-refused', 'error', /a device runs containers/],
    ['network_mode: container:x', 'key-refused', 'error', /use service:<name>/],
    ['pid: service:b\n  b: {image: i}', 'key-refused', 'error', /knows host only/],
    ['security_opt: [label:disable]', 'key-refused', 'error', /no-new-privileges/],
    ['environment: {a.b: 1}', 'key-refused', 'error', /use letters, digits and _/],
    ['environment: [TOKEN]', 'variable-unset', 'warning', /variables of the cloud do not reach/],
    ['labels: {x: $TOKEN}', 'variable-unset', 'warning', /TOKEN is not set/],
    ['build: {context: ., platforms: [linux/arm64]}', 'key-dropped', 'warning', /device's own platform/],
    [
      'depends_on: {b: {condition: service_healthy}}\n  b: {image: i}',
      'key-dropped',
      'warning',
      /not when it is healthy/,
    ],
  ];
  for (const [keys, code, level, says] of cases) {
    it(`tells what becomes of ${keys.split('\n')[0] ?? ''}`, async (t) => {
      const files = compose(keys.replace(/\n {2}b:/, '\n\0'));
      const text = files['compose.yaml'].replace(/ *\0/, '  b:');
      const findings = await check(t, { 'compose.yaml': text, Dockerfile: 'FROM i' });
      const found = findings.find((one) => says.test(one.message));
      assert.deepEqual([found?.code, found?.level], [code, level], JSON.stringify(findings));
      assert.equal(path.basename(found?.place?.file ?? ''), 'compose.yaml');
      assert.equal(found?.place?.line, 4);
    });
  }

  it('says nothing of what a device does as it is written', async (t) => {
    const keys =
      'restart: always\nprivileged: true\nports: ["80:80"]\nvolumes: [data:/data]\ndevices: [/dev/ttyUSB0]\ncap_add: [SYS_RAWIO]\nhealthcheck: {test: x}\nlabels: {io.balena.features.dbus: "1"}\ntmpfs: /run\nstop_signal: SIGINT';
    const { 'compose.yaml': text } = compose(keys);
    assert.deepEqual(await check(t, { 'compose.yaml': `${text}volumes: {data: }\n` }), []);
  });

  it('lets an engine alone do what only a Supervisor cannot', async (t) => {
    const findings = await check(
      t,
      compose('volumes: [/etc/x:/x]\nlogging: {driver: local}\nnetwork_mode: container:x'),
      { isSupervised: false },
    );
    assert.deepEqual(findings, []);
  });

  it('refuses two services whose images would have one name', async (t) => {
    const text = 'services:\n  web: {image: i}\n  Web: {image: j}\n';
    const findings = await check(t, { 'compose.yaml': text }, { isSupervised: false });
    const found = findings.map(({ level, place }) => `${level} ${place?.line ?? 0}`);
    assert.deepEqual(found, ['error 3']);
  });

  it('finds two services at one port, networks and volumes that a device cannot have', async (t) => {
    const findings = await check(t, {
      'compose.yaml':
        'services:\n  a: {image: i, ports: ["80:80"], networks: [n], volumes: ["v:/v"]}\n  b: {image: i, ports: ["80:81"]}\nnetworks:\n  n: {driver: macvlan}\nvolumes:\n  v: {external: true}\n',
    });
    assert.deepEqual(
      findings.map(({ code, level, place }) => [code, level, place?.line]),
      [
        ['key-refused', 'error', 5],
        ['key-refused', 'error', 7],
        ['port-taken', 'error', 3],
      ],
    );
  });
});

describe('a check of a Dockerfile', () => {
  const outline = (lines: readonly string[], build = {}) => outlineDockerfile(lines.join('\n'), { args: {}, ...build });

  it('knows the images that it needs, with their arguments', () => {
    const { bases, problems } = outline(
      [
        'ARG V=1',
        'ARG W="x:${V}"',
        'FROM alpine:$V AS base',
        'FROM base',
        'COPY --from=nginx:2 /a /b',
        'COPY --from=0 /a /b',
        'FROM ${W}',
        'FROM scratch',
      ],
      { args: { V: '3' } },
    );
    assert.deepEqual(
      bases.map(({ image, line }) => [image, line]),
      [
        ['alpine:3', 3],
        ['nginx:2', 5],
        ['x:3', 7],
      ],
    );
    assert.deepEqual(problems, []);
  });

  it('finds stages that are missing or come too late, bases without a name, and what needs BuildKit', () => {
    const { problems } = outline(
      [
        'FROM $NOTHING',
        'COPY --from=later a b',
        'COPY --from=7 a b',
        'RUN --mount=type=cache,target=/x y',
        'COPY --link a b',
        'RUN <<EOF',
        'x',
        'EOF',
        'FROM i AS later',
      ],
      { target: 'release' },
    );
    assert.deepEqual(
      problems.map(({ line, code }) => [line, code]),
      [
        [1, 'base-image-missing'],
        [2, 'stage-missing'],
        [3, 'stage-missing'],
        [4, 'needs-buildkit'],
        [5, 'needs-buildkit'],
        [6, 'needs-buildkit'],
        [1, 'stage-missing'],
      ],
    );
  });
});

/** The beginning of a program: `machine` is that of the ELF header. */
function elf(machine: number): Uint8Array {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(machine, 18);
  return header;
}

describe('a check of what is sent', () => {
  it('finds programs for another kind of computer, but for those that are ignored', async (t) => {
    const files = {
      Dockerfile: 'FROM i',
      '.dockerignore': 'ignored',
      'ignored/tool': elf(62),
      'node_modules/a/build/x.node': elf(62),
      'lib/liby.so.1': elf(62),
      'bin/arm': elf(40),
      'bin/arm64': elf(183),
      'bin/script': '#!/bin/sh\necho a long enough script\n',
    };
    const found = async (architecture: string) =>
      (await check(t, files, { architecture }))
        .filter(({ code }) => code === 'foreign-binary')
        .map(({ message }) => message);
    const [only, ...more] = await found('aarch64');
    assert.equal(more.length, 0);
    assert.match(only ?? '', /liby\.so\.1, .*x\.node are made for x86-64, and the device is aarch64/);
    assert.match((await found('amd64')).join('\n'), /bin\/arm is made for ARM,[\s\S]*bin\/arm64 is made for ARM 64/);
    assert.deepEqual(await found('unknown'), []);
  });

  it('tells what is large and what is left out, a missing Dockerfile with the service, and a type that is not known', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, {
      'compose.yaml': 'services:\n  a: {build: a}\n  b: {build: b}\n  c: {build: c}\n',
      'a/Dockerfile': 'FROM i',
      'b/x': '',
      'c/Dockerfile.template': 'FROM %%BALENA_ARCH%%',
    });
    await writeFile(path.join(folder, 'a/big'), Buffer.alloc(201_000_000));
    const project = await readProject({ folder });
    const values = { commit: 'c', appName: 'a', architecture: undefined, deviceType: undefined };
    const options = { target: { isSupervised: true }, values, signal: t.signal };
    const { findings } = await checkProject(project, options);
    assert.deepEqual(
      findings.map(({ code, level, service, place }) => [code, level, service, place?.line]),
      [
        ['context-large', 'warning', 'a', undefined],
        ['dockerfile-not-found', 'error', 'b', 3],
        ['device-type-unknown', 'note', 'c', 4],
      ],
    );
    assert.match(findings[0]?.message ?? '', /201 MB would be sent .*a\/big 201 MB/);
  });
});
