import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type ImageSource, openImageSource, type SourceOptions } from '../../../src/lib/image/source.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';
import { seededRandom } from '../../support/seeded-random.js';
import { startWebServer } from '../../support/web-server.js';

const image = seededRandom(3).bytes(2_000_000);
const packed = gzipSync(image, { level: 1 });
const options: SourceOptions = {
  standardInput: Readable.from([]),
  signal: new AbortController().signal,
  http: { limits: { connectMs: 2000, answerMs: 2000, stallMs: 200 }, retryDelaysMs: [0, 10] },
};

async function bytesOf(source: ImageSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source.stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

describe('an image at a URL', () => {
  it('goes on after a stall, and says so', async (t) => {
    const server = await startWebServer(t, ({ index }) => ({
      bytes: packed,
      etag: '"one"',
      stallAfter: index === 0 ? 1_000_000 : undefined,
    }));
    const events: ProgressEvent[] = [];
    const source = await openImageSource(`${server.origin}/i`, { ...options, progress: (event) => events.push(event) });
    assert.ok((await bytesOf(source)).equals(image));
    assert.deepEqual(source.packedProgress(), { current: packed.length, total: packed.length });
    await source.close();
    assert.deepEqual(
      events.map((event) => event.type === 'notice' && /no bytes came for 0.2 s; going on at byte/.test(event.text)),
      [true],
    );
  });

  it('can be opened again while the server has the same file', async (t) => {
    let etag = '"one"';
    const server = await startWebServer(t, () => ({ bytes: packed, etag }));
    const source = await openImageSource(`${server.origin}/i`, options);
    assert.ok(source.again);
    const again = await source.again();
    assert.ok((await bytesOf(again)).equals(image));
    await again.close();
    etag = '"two"';
    await assert.rejects(source.again(), { kind: 'failed', code: 'source-changed' });
    await source.close();
  });

  it('cannot be opened again where the server does not tell one file from another', async (t) => {
    const server = await startWebServer(t, () => ({ bytes: packed }));
    const source = await openImageSource(`${server.origin}/i`, options);
    assert.equal(source.again, undefined);
    await source.close();
  });

  it('can be closed while nothing comes', async (t) => {
    const server = await startWebServer(t, () => ({ bytes: packed, etag: '"one"', stallAfter: 500_000 }));
    const source = await openImageSource(`${server.origin}/i`, { ...options, http: {} });
    const reading = bytesOf(source);
    reading.catch(() => undefined);
    const startedAt = Date.now();
    await source.close();
    await reading.catch(() => undefined);
    assert.ok(Date.now() - startedAt < 2000);
  });

  it('has an address', async () => {
    await assert.rejects(openImageSource('https://', options), { kind: 'usage', code: 'invalid-url' });
  });
});
