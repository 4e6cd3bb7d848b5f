import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { engineInfo, pingEngine } from '../../../src/lib/engine/engine-info.js';
import { tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { listImages } from '../../../src/lib/engine/images.js';
import { importBaseImage } from '../../support/base-image.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../../support/engine.js';

describe('an engine', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());

  it('says what it is', async () => {
    await pingEngine(engine.connection);
    const info = await engineInfo(engine.connection);
    assert.equal(info.machine, process.arch === 'x64' ? 'x86_64' : info.machine);
  });

  it('lists its images', async () => {
    const images = await listImages(engine.connection);
    assert.deepEqual(
      images.flatMap((image) => image.tags),
      ['base:latest'],
    );
  });
});

describe('a closed port', () => {
  it('is unreachable, with the reason and what to look at', async () => {
    const connection = tcpEngineConnection('127.0.0.1', await freePort());
    await assert.rejects(pingEngine(connection), { kind: 'unreachable', code: 'econnrefused' });
  });
});
