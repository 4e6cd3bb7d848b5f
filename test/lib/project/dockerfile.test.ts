import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDockerfile } from '../../../src/lib/project/dockerfile.js';
import { fillTemplate } from '../../../src/lib/project/dockerfile-template.js';
import { readBuildSource } from '../../../src/lib/project/build-source.js';
import { readProject } from '../../../src/lib/project/project.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const values = {
  deviceType: 'raspberrypi4-64',
  architecture: 'aarch64',
  service: 'main',
  commit: '10ca12e1ea5e',
  appName: 'localapp',
};

describe('the instructions of a Dockerfile', () => {
  it('are told with the line where each begins', () => {
    const text = ['# syntax', '', 'FROM a', 'RUN one && \\', '# inside', '', '  two \\', '  three', 'CMD ["x"]'].join(
      '\n',
    );
    assert.deepEqual(
      parseDockerfile(text).instructions.map(({ line }) => line),
      [3, 4, 9],
    );
  });

  it('honour the escape directive and Windows line ends', () => {
    const text = '# escape=`\r\nFROM a\r\nRUN dir C:\\\r\nRUN one `\r\n two\r\n';
    assert.deepEqual(
      parseDockerfile(text).instructions.map(({ line }) => line),
      [2, 3, 4],
    );
  });

  it('are taken apart into keyword, flags and arguments', () => {
    const text = [
      'from --platform=linux/arm64 alpine AS build',
      '#dev-run=make tools',
      'COPY --chown=node:node --link a\\ b \\',
      '  # between',
      '  c /app/',
      'CMD ["npm", "start"]',
      'RUN echo [a]',
    ].join('\n');
    const { instructions, comments } = parseDockerfile(text);
    assert.deepEqual(
      instructions.map(({ keyword, flags, rest, json }) => [keyword, flags, rest.split(/\s+/).join(' '), json]),
      [
        ['FROM', [{ name: 'platform', value: 'linux/arm64' }], 'alpine AS build', undefined],
        [
          'COPY',
          [
            { name: 'chown', value: 'node:node' },
            { name: 'link', value: '' },
          ],
          'a\\ b c /app/',
          undefined,
        ],
        ['CMD', [], '["npm", "start"]', ['npm', 'start']],
        ['RUN', [], 'echo [a]', undefined],
      ],
    );
    assert.deepEqual(comments, [{ line: 2, text: 'dev-run=make tools' }]);
  });

  it('may hold texts that look like instructions', () => {
    const text = [
      'FROM a',
      'COPY <<one <<-"two" /etc/',
      'RUN 1',
      'one',
      'RUN 2',
      '\ttwo',
      'RUN <<EOF',
      'echo $x # no comment',
      'EOF',
      'RUN last',
    ].join('\n');
    const { instructions } = parseDockerfile(text);
    assert.deepEqual(
      instructions.map(({ line, hereDocuments }) => [line, hereDocuments.map((one) => one.text)]),
      [
        [1, []],
        [2, ['RUN 1\n', 'RUN 2\n']],
        [7, ['echo $x # no comment\n']],
        [10, []],
      ],
    );
  });
});

describe('a Dockerfile template', () => {
  it('gets the device type, the architecture and their older names, line for line', () => {
    const template = [
      'FROM balenalib/%%BALENA_MACHINE_NAME%%-debian',
      '# %%NOT_A_VARIABLE%%',
      'ENV A=%%BALENA_ARCH%% B=%%RESIN_MACHINE_NAME%% C=%%RESIN_ARCH%%',
      'LABEL a=%%BALENA_SERVICE_NAME%% b=%%BALENA_RELEASE_HASH%% c=%%BALENA_APP_NAME%%',
    ];
    assert.deepEqual(fillTemplate(template.join('\n'), values, 'Dockerfile.template').split('\n'), [
      'FROM balenalib/raspberrypi4-64-debian',
      '# %%NOT_A_VARIABLE%%',
      'ENV A=aarch64 B=raspberrypi4-64 C=aarch64',
      'LABEL a=main b=10ca12e1ea5e c=localapp',
    ]);
  });

  it('with a variable that nothing sets is refused with the line', () => {
    assert.throws(() => fillTemplate('FROM a\nRUN %%BALENA_MACHINE%%', values, 'Dockerfile.template'), {
      kind: 'refused',
      code: 'template-variable-unknown',
      message: /line 2 of Dockerfile\.template .*BALENA_MACHINE%/,
    });
  });

  it('that needs the device type asks for it when it is not known', () => {
    const unknown = { ...values, deviceType: undefined };
    assert.throws(() => fillTemplate('FROM %%BALENA_MACHINE_NAME%%', unknown, 'Dockerfile.template'), {
      kind: 'refused',
      code: 'device-type-unknown',
      hint: /--device-type/,
    });
  });
});

async function dockerfileOf(folder: string, file?: string) {
  const source = await readBuildSource(await readProject({ folder, files: file === undefined ? [] : [file] }), values);
  return source?.dockerfile;
}

describe('a project', () => {
  it('uses the most specific Dockerfile there is', async (t) => {
    const folder = await temporaryFolder(t);
    const expectSource = async (source: string) => {
      assert.equal((await dockerfileOf(folder))?.source, source);
    };
    for (const name of ['Dockerfile', 'Dockerfile.template', 'Dockerfile.aarch64', 'Dockerfile.raspberrypi4-64']) {
      await writeTree(folder, { [name]: 'FROM %%BALENA_ARCH%%' });
      await expectSource(name);
    }
    const dockerfile = await dockerfileOf(folder);
    assert.deepEqual(dockerfile, {
      source: 'Dockerfile.raspberrypi4-64',
      path: 'Dockerfile',
      text: 'FROM aarch64',
      isDerived: true,
    });
  });

  it('takes a plain Dockerfile as it is', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'docker/Build': 'FROM %%BALENA_ARCH%%' });
    const dockerfile = await dockerfileOf(folder, './docker/Build');
    assert.deepEqual(dockerfile, {
      source: 'docker/Build',
      path: 'docker/Build',
      text: 'FROM %%BALENA_ARCH%%',
      isDerived: false,
    });
  });

  it('has to exist, be a folder, and hold a Dockerfile', async (t) => {
    const folder = await temporaryFolder(t);
    await assert.rejects(readProject({ folder: `${folder}/nowhere` }), { kind: 'not-found' });
    await assert.rejects(readProject({ folder }), { kind: 'not-found', code: 'dockerfile-not-found' });
    await assert.rejects(readProject({ folder, files: ['../Dockerfile'] }), {
      kind: 'usage',
      code: 'dockerfile-outside',
    });
    await writeTree(folder, { 'Dockerfile.armv7hf': 'FROM a' });
    await readProject({ folder });
    await assert.rejects(dockerfileOf(folder), { kind: 'not-found', code: 'dockerfile-not-found' });
    await assert.rejects(readProject({ folder: `${folder}/Dockerfile.armv7hf` }), { kind: 'usage' });
  });

  it('with a compose file is one service all the same where a Dockerfile of it is named', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'docker-compose.yml': 'services: {a: {image: a}}', 'web/Dockerfile': 'FROM a' });
    const { composition } = await readProject({ folder, files: ['web/Dockerfile'] });
    assert.deepEqual(Object.keys(composition.services), ['main']);
  });
});
