import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { listAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { davit, davitJson } from '../support/davit.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../support/engine.js';
import { importBaseImage } from '../support/base-image.js';
import { writeTree } from '../support/file-tree.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const project = {
  'docker-compose.yml':
    'services:\n  web:\n    build: web\n    logging: {driver: syslog}\n    environment: [TOKEN]\n  db:\n    image: davit.invalid/none:1\n',
  'web/Dockerfile': 'FROM base AS first\nFROM first\n',
};

/** The codes of what the first check has found. */
function codes(...way: readonly [document: unknown, ...keys: string[]]): readonly string[] {
  const [check] = listAt(...way, 'checks');
  return listAt(check, 'findings').map((one) => String(valueAt(one, 'code')));
}

describe('push --check without a device', () => {
  it('prints what becomes of the project, with file and line, and succeeds where nothing is an error', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, project);
    const { exitCode, stdout } = await davit(['push', '--check', '--source', folder], {
      environment: { TOKEN: undefined },
    });
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /docker-compose\.yml:4:5: warning: services\.web\.logging is dropped: /);
    assert.match(stdout, /docker-compose\.yml:5:19: warning: services\.web\.environment\.TOKEN has no value/);
    assert.match(stdout, /^2 services \(web, db\): 2 warnings$/m);
    const { document } = await davitJson(['push', '--check', '--source', folder]);
    assert.deepEqual(codes(document), ['key-dropped', 'variable-unset']);
  });

  it('fails with all findings where one is an error', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { ...project, 'web/Dockerfile': 'FROM i\nCOPY --from=9 a b\n' });
    const { exitCode, document } = await davitJson(['push', '--check', '--source', folder]);
    assert.equal(exitCode, 4);
    assert.equal(valueAt(document, 'error', 'code'), 'project-unfit');
    assert.deepEqual(codes(document, 'error', 'report'), ['key-dropped', 'variable-unset', 'stage-missing']);
  });
});

describe('push --check for a device', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());

  it('asks its engine for the images that the project needs, and builds nothing', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, project);
    const words = [
      'push',
      '--check',
      '127.0.0.1',
      '--engine-port',
      String(engine.port),
      '--port',
      String(await freePort()),
      '--source',
      folder,
    ];
    const { document } = await davitJson(words);
    const found = codes(document);
    // It has the base of web; no registry answers for the other one, and no SSH server there tells how much space there is.
    assert.deepEqual(
      found.filter((code) => code.startsWith('base-image')),
      ['base-image-unknown'],
    );
    assert.ok(!found.includes('key-dropped'), 'an engine alone takes logging');
  });
});
