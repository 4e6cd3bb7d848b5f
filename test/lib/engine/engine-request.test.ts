import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { buildImage } from '../../../src/lib/engine/build-image.js';
import { type EngineConnection, tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { pingEngine } from '../../../src/lib/engine/engine-info.js';
import { engineJson, engineStream } from '../../../src/lib/engine/engine-request.js';

/** Something that listens and does what the test says with each connection. */
async function listening(t: TestContext, onConnection: (socket: net.Socket) => void): Promise<EngineConnection> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return tcpEngineConnection('127.0.0.1', address.port);
}

function response(status: string, body: string): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

/** Answers each request with the same text, in pieces of so many bytes. */
const answering =
  (text: string, size = Infinity) =>
  (socket: net.Socket) => {
    socket.once('data', () => {
      const bytes = Buffer.from(text);
      const send = (start: number) => {
        if (start >= bytes.length) socket.end();
        else
          socket.write(bytes.subarray(start, start + size), () => {
            setImmediate(send, start + size);
          });
      };
      send(0);
    });
  };

const get = { method: 'GET', path: '/x' } as const;

describe('a request to an engine', () => {
  it('is not made of another server that answers there', async (t) => {
    const engine = await listening(t, answering(response('404 Not Found', '')));
    await assert.rejects(pingEngine(engine), { kind: 'unreachable', code: 'not-an-engine' });
  });

  it("fails with the engine's own words and the kind of its status", async (t) => {
    for (const [status, kind] of [
      ['404 Not Found', 'not-found'],
      ['409 Conflict', 'refused'],
      ['500 Internal Server Error', 'failed'],
    ] as const) {
      const engine = await listening(t, answering(response(status, '{"message":"no such thing"}')));
      await assert.rejects(engineJson(engine, get), { kind, message: 'the engine says: no such thing' });
    }
  });

  it('finds that something else answers', async (t) => {
    for (const text of ['SSH-2.0-OpenSSH_9.2\r\n', response('200 OK', '<html>')]) {
      const engine = await listening(t, (socket) => socket.end(text));
      await assert.rejects(pingEngine(engine), { kind: 'unreachable', code: 'not-an-engine' });
    }
  });

  it('ends when there is no answer in time, when it is aborted, and when the connection breaks', async (t) => {
    const silent = await listening(t, () => undefined);
    await assert.rejects(engineJson(silent, { ...get, timeoutMs: 50 }), {
      kind: 'unreachable',
      code: 'engine-timeout',
    });
    let closed: Promise<unknown> = Promise.resolve();
    const abort = new AbortController();
    const waiting = await listening(t, (socket) => {
      closed = once(socket, 'close');
      socket.resume();
      abort.abort();
    });
    await assert.rejects(engineJson(waiting, { ...get, signal: abort.signal }), { kind: 'interrupted' });
    await closed;
    const breaking = await listening(t, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', () => socket.destroy());
    });
    await assert.rejects(engineJson(breaking, get), { kind: 'unreachable' });
  });

  it('closes its connection when the answer is no longer wanted', async (t) => {
    let closed: Promise<unknown> = Promise.resolve();
    const endless = await listening(t, (socket) => {
      closed = once(socket, 'close');
      socket.resume();
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    });
    for await (const chunk of engineStream(endless, get)) {
      assert.equal(chunk.toString(), 'abc');
      break;
    }
    await closed;
  });

  it('does not explain away the failure of what is sent', async (t) => {
    const engine = await listening(t, (socket) => socket.resume());
    const failing = Readable.from(
      (async function* () {
        yield Buffer.alloc(10);
        await Promise.resolve();
        throw new RangeError('a bug');
      })(),
    );
    await assert.rejects(engineJson(engine, { method: 'POST', path: '/build', body: { tar: failing } }), RangeError);
  });
});

describe('a build', () => {
  const build = async (t: TestContext, messages: readonly unknown[], size?: number) => {
    const text = messages.map((message) => `${JSON.stringify(message)}\r\n`).join('');
    const engine = await listening(t, answering(response('200 OK', text), size));
    const lines: string[] = [];
    const layers: unknown[][] = [];
    const context = Readable.from([Buffer.from('tar')]);
    const request = { context, dockerfile: 'Dockerfile', tag: 'x', labels: {}, noCache: false, pull: false };
    const imageId = await buildImage(engine, request, {
      sent: () => undefined,
      line: (line) => lines.push(line),
      layer: (...layer) => layers.push(layer),
    });
    return { imageId, lines, layers };
  };

  const messages = [
    { stream: 'Step 1/2 : FROM base' },
    { stream: '\n' },
    { status: 'Pulling from library/base', id: 'latest' },
    { status: 'Downloading', id: 'abc', progressDetail: { current: 5, total: 10 } },
    { status: 'Pull complete', id: 'abc', progressDetail: {} },
    { status: 'Digest: sha256:x' },
    { stream: ' ---> Running in 1\n\u001B[91mred\u001B[0m\nfirst half, ' },
    { stream: 'second half – ü\n 10%\r 20%\r100%\r\nno end' },
    { aux: { ID: 'sha256:done' } },
  ];

  for (const size of [1, 7, Infinity]) {
    it(`is understood in pieces of ${size} bytes`, async (t) => {
      const { imageId, lines, layers } = await build(t, messages, size);
      assert.equal(imageId, 'sha256:done');
      assert.deepEqual(lines, [
        'Step 1/2 : FROM base',
        'Digest: sha256:x',
        ' ---> Running in 1',
        'red',
        'first half, second half – ü',
        '100%',
        'no end',
      ]);
      assert.deepEqual(layers[1], ['abc', 'Downloading', 5, 10]);
    });
  }

  it('that reports an error has failed', async (t) => {
    const error = { errorDetail: { code: 1, message: 'returned a non-zero code: 1' }, error: 'returned' };
    await assert.rejects(build(t, [messages[0], error]), {
      kind: 'failed',
      code: 'build-failed',
      message: 'returned a non-zero code: 1',
    });
  });

  it('that ends without a result is not taken for a success', async (t) => {
    await assert.rejects(build(t, messages.slice(0, -1)), { kind: 'unreachable', code: 'build-cut-off' });
  });
});
