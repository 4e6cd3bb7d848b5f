import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { HttpFile, type HttpFileOptions, type HttpRetry } from '../../../src/lib/platform/http-file.js';
import { seededRandom } from '../../support/seeded-random.js';
import { startWebServer } from '../../support/web-server.js';

const { signal } = new AbortController();
const quick: HttpFileOptions = {
  limits: { connectMs: 2000, answerMs: 2000, stallMs: 300 },
  retryDelaysMs: [0, 10, 20],
  signal,
};
const bytes = seededRandom(7).bytes(1_000_000);
const other = Buffer.from(bytes).reverse();
const etag = '"one"';

async function read(url: string, options = quick, start?: number, end?: number): Promise<Buffer> {
  const file = await HttpFile.open(new URL(url), options);
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of file.stream(start, end)) chunks.push(chunk);
    return Buffer.concat(chunks);
  } finally {
    file.close();
  }
}

const sum = (content: Buffer) => createHash('sha256').update(content).digest('hex');
const same = (content: Buffer, wanted = bytes) => {
  assert.equal(content.length, wanted.length);
  assert.equal(sum(content), sum(wanted));
};

describe('a file on a web server', () => {
  it('is read with a single request', async (t) => {
    const server = await startWebServer(t, () => ({ bytes, etag }));
    same(await read(`${server.origin}/a`));
    assert.equal(server.requests.length, 1);
  });

  it('is read in any order, with few requests for many small reads', async (t) => {
    const server = await startWebServer(t, () => ({ bytes, etag }));
    const file = await HttpFile.open(new URL(`${server.origin}/a`), quick);
    for (let at = 900_000; at < 999_900; at += 50) same(await file.read(at, 50), bytes.subarray(at, at + 50));
    same(await file.read(0, 1_000_000));
    await assert.rejects(file.read(999_999, 2), { code: 'download-incomplete' });
    file.close();
    assert.ok(server.requests.length <= 4, `${server.requests.length} requests`);
  });

  for (const [words, validator] of [
    ['its strong ETag', { etag }],
    ['its date where the ETag is weak', { etag: 'W/"one"', lastModified: 'Sat, 21 Nov 2026 03:00:00 GMT' }],
  ] as const) {
    it(`goes on where the connection was cut, by ${words}`, async (t) => {
      const cuts = seededRandom(3);
      const retries: HttpRetry[] = [];
      const server = await startWebServer(t, () => ({ bytes, ...validator, cutAfter: 1 + cuts.below(100_000) }));
      same(await read(`${server.origin}/a`, { ...quick, onRetry: (retry) => retries.push(retry) }));
      assert.ok(retries.length > 10);
      const conditions = server.requests.slice(1).map(({ headers }) => headers['if-range']);
      const wanted = 'lastModified' in validator ? validator.lastModified : validator.etag;
      assert.deepEqual([...new Set(conditions)], [wanted]);
    });
  }

  it('goes on when the server falls silent in the middle', async (t) => {
    const server = await startWebServer(t, ({ index }) => ({
      bytes,
      etag,
      stallAfter: index < 2 ? 300_000 : undefined,
    }));
    same(await read(`${server.origin}/a`));
    assert.equal(server.requests.length, 3);
  });

  it('goes on when a server is busy for a while, not earlier than it asks for', async (t) => {
    const startedAt = Date.now();
    const server = await startWebServer(t, ({ index }) => {
      if (index === 0) return { bytes, etag, cutAfter: 5000 };
      return index === 1 ? { status: 503, headers: { 'retry-after': '1' } } : { bytes, etag };
    });
    same(await read(`${server.origin}/a`));
    assert.ok(Date.now() - startedAt >= 1000);
  });

  for (const [words, change] of [
    ['another ETag', { bytes: other, etag: '"two"' }],
    ['another ETag for the same range', { bytes: other, etag: '"two"', ignoresConditions: true }],
    ['another size', { bytes: bytes.subarray(0, 900_000), etag }],
    ['less than was read already', { bytes: bytes.subarray(0, 10), etag }],
    ['all of it instead of a range', { bytes, etag, ranges: false }],
  ] as const) {
    it(`fails with source-changed when going on brings ${words}`, async (t) => {
      const server = await startWebServer(t, ({ index }) =>
        index === 0 ? { bytes, etag, cutAfter: 500_000 } : change,
      );
      await assert.rejects(read(`${server.origin}/a`), { kind: 'failed', code: 'source-changed' });
    });
  }

  it('is read again from the beginning where the server has no ranges, if it is the same', async (t) => {
    const server = await startWebServer(t, ({ index }) => ({
      bytes,
      ranges: false,
      cutAfter: index < 2 ? 400_000 + 100_000 * index : undefined,
    }));
    same(await read(`${server.origin}/a`));
    assert.equal(server.requests.length, 3);
  });

  it('fails with source-changed where the server has no ranges and it is not the same', async (t) => {
    const changed = Buffer.from(bytes);
    changed[399_999] = (changed[399_999] ?? 0) ^ 1;
    const server = await startWebServer(t, ({ index }) =>
      index === 0 ? { bytes, ranges: false, cutAfter: 400_000 } : { bytes: changed, ranges: false },
    );
    await assert.rejects(read(`${server.origin}/a`), { kind: 'failed', code: 'source-changed' });
  });

  it('is proven by its bytes where ranges are served without ETag and date', async (t) => {
    const server = await startWebServer(t, ({ index }) => ({ bytes, cutAfter: index === 0 ? 400_000 : undefined }));
    same(await read(`${server.origin}/a`));
    assert.equal(server.requests[1]?.headers.range, undefined);
  });

  it('ends where a server does not say how much it sends', async (t) => {
    const server = await startWebServer(t, () => ({ bytes, chunked: true, ranges: false }));
    same(await read(`${server.origin}/a`));
  });

  it('is given up after tries that bring nothing', async (t) => {
    const server = await startWebServer(t, ({ index }) => ({ bytes, etag, cutAfter: index === 0 ? 5000 : 0 }));
    await assert.rejects(read(`${server.origin}/a`), { kind: 'unreachable', code: 'connection-cut' });
    assert.equal(server.requests.length, 4);
  });

  it('is given up when the server has less than it says', async (t) => {
    const server = await startWebServer(t, () => ({ bytes, etag, size: 2_000_000 }));
    await assert.rejects(read(`${server.origin}/a`), { kind: 'unreachable' });
  });

  it('is asked for anew where a redirect led to an address that has expired', async (t) => {
    const server = await startWebServer(t, ({ path, index }) => {
      if (path === '/a') return { status: 302, headers: { location: `/signed-${index}` } };
      if (index === 1) return { bytes, etag, cutAfter: 500_000 };
      return path === '/signed-0' ? { status: 403 } : { bytes, etag };
    });
    same(await read(`${server.origin}/a`));
    assert.deepEqual(
      server.requests.map(({ path }) => path),
      ['/a', '/signed-0', '/signed-0', '/a', '/signed-3'],
    );
  });

  it('names neither user, password nor query in failures', async (t) => {
    const server = await startWebServer(t, () => ({ status: 404 }));
    const url = new URL(`${server.origin}/a?token=secret`);
    url.username = 'user';
    url.password = 'secret';
    await assert.rejects(HttpFile.open(url, quick), (error: Error) => {
      assert.doesNotMatch(`${error.message} ${error.stack}`, /secret|user/);
      return true;
    });
    assert.equal(server.requests[0]?.headers.authorization, `Basic ${Buffer.from('user:secret').toString('base64')}`);
  });

  it('ends the wait for the network at once on an abort', async (t) => {
    const server = await startWebServer(t, () => ({ bytes, etag, stallAfter: 100_000 }));
    const abort = new AbortController();
    const reading = read(`${server.origin}/a`, { signal: abort.signal });
    const startedAt = Date.now();
    setTimeout(() => {
      abort.abort();
    }, 100);
    await assert.rejects(reading, { kind: 'interrupted' });
    assert.ok(Date.now() - startedAt < 1000);
  });
});
