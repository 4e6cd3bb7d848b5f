import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { httpGet, type HttpOptions } from '../../../src/lib/platform/http.js';
import { proxyFor } from '../../../src/lib/platform/http-proxy.js';
import { checked } from '../../support/loop-device.js';
import { ownCertificate } from '../../support/own-certificate.js';
import { startWebServer } from '../../support/web-server.js';

const options: HttpOptions = {
  limits: { connectMs: 500, answerMs: 500, stallMs: 500 },
  signal: new AbortController().signal,
};
const bytes = Buffer.from('the content');

async function text(url: string): Promise<string> {
  const answer = await httpGet(new URL(url), options);
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Sets environment variables until the test ends. */
function setEnvironment(t: TestContext, variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before;
    });
  }
}

/** A proxy that reaches one port of this computer, whatever name it is asked for, and notes what it is asked. */
async function startProxy(
  t: TestContext,
  target: number,
): Promise<{ readonly host: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    const { pathname } = new URL(request.url ?? '');
    void fetch(`http://127.0.0.1:${target}${pathname}`).then(async (answer) => {
      response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  server.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url ?? ''} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    if (request.url === 'forbidden.example:443') {
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    const onward = connect(target, '127.0.0.1');
    onward.on('error', () => undefined);
    socket.on('error', () => undefined);
    t.after(() => onward.destroy());
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { host: `127.0.0.1:${address.port}`, asked };
}

describe('a request for a URL', () => {
  it('follows redirects, but not for ever', async (t) => {
    const server = await startWebServer(t, ({ path: at }) =>
      at === '/end' ? { bytes } : { status: 307, headers: { location: at === '/loop' ? '/loop' : '/end' } },
    );
    assert.equal(await text(`${server.origin}/start`), 'the content');
    await assert.rejects(text(`${server.origin}/loop`), { kind: 'failed', code: 'too-many-redirects' });
  });

  it('sends user and password to the origin of the URL only', async (t) => {
    const other = await startWebServer(t, () => ({ bytes }));
    const server = await startWebServer(t, () => ({ status: 302, headers: { location: `${other.origin}/` } }));
    await text(server.origin.replace('://', '://user:secret@'));
    assert.ok(server.requests[0]?.headers.authorization !== undefined);
    assert.equal(other.requests[0]?.headers.authorization, undefined);
  });

  it('fails as unreachable when nobody listens, answers or speaks HTTP', async (t) => {
    const server = await startWebServer(t, () => ({ silent: true }));
    await assert.rejects(text(server.origin), { kind: 'unreachable', code: 'timeout' });
    await server.stop();
    await assert.rejects(text(server.origin), { kind: 'unreachable', code: 'econnrefused' });
    const stranger = createTcpServer((socket) => {
      socket.on('error', () => undefined).end('SSH-2.0-OpenSSH_9.2\r\n');
    });
    stranger.listen(server.port, '127.0.0.1');
    t.after(() => stranger.close());
    await once(stranger, 'listening');
    await assert.rejects(text(server.origin), { kind: 'unreachable', code: 'not-http' });
    await assert.rejects(text(server.origin.replace('http:', 'https:')), { kind: 'unreachable', code: 'not-http' });
  });

  it('reaches a server by its name, on whichever of its addresses it listens', async (t) => {
    const server = await startWebServer(t, () => ({ bytes }));
    assert.equal(await text(server.origin.replace('127.0.0.1', 'localhost')), 'the content');
    await assert.rejects(text('http://nowhere.invalid/'), { kind: 'unreachable', code: 'host-not-found' });
  });

  it('does not trust a certificate that nobody vouches for, and says how to', async (t) => {
    const tls = await ownCertificate(t, 'images.example');
    const server = await startWebServer(t, () => ({ bytes }), { tls });
    await assert.rejects(text(server.origin), (error: { kind: string; code: string; hint: string }) => {
      assert.deepEqual([error.kind, error.code], ['unreachable', 'certificate-untrusted']);
      assert.match(error.hint, /NODE_EXTRA_CA_CERTS/);
      return true;
    });
  });

  it('does not go from HTTPS to HTTP', async (t) => {
    const tls = await ownCertificate(t, 'images.example');
    const server = await startWebServer(t, () => ({ status: 301, headers: { location: 'http://127.0.0.1/' } }), {
      tls,
    });
    const script = `import { httpGet } from './src/lib/platform/http.ts';
      const { signal } = new AbortController();
      await httpGet(new URL('${server.origin}'), { signal }).catch((error) => console.log(error.kind, error.code));`;
    const environment = ['env', `NODE_EXTRA_CA_CERTS=${tls.file}`];
    const words = [...environment, process.execPath, '--import', 'tsx', '--input-type=module', '--eval', script];
    assert.equal(await checked(words), 'refused redirect-insecure');
  });

  it('asks a proxy for the whole URL, with its login', async (t) => {
    const server = await startWebServer(t, () => ({ bytes }));
    const proxy = await startProxy(t, server.port);
    setEnvironment(t, { http_proxy: `http://me:pass%20word@${proxy.host}`, no_proxy: '' });
    assert.equal(await text('http://images.example/a'), 'the content');
    const login = Buffer.from('me:pass word').toString('base64');
    assert.deepEqual(proxy.asked, [`GET http://images.example/a Basic ${login}`]);
  });

  it('asks a proxy for a tunnel to an HTTPS server, and checks the certificate of that server', async (t) => {
    const tls = await ownCertificate(t, 'images.example');
    const server = await startWebServer(t, () => ({ bytes }), { tls });
    const proxy = await startProxy(t, server.port);
    const script = `import { httpGet } from './src/lib/platform/http.ts';
      const { signal } = new AbortController();
      for (const host of ['images.example', 'other.example', 'forbidden.example']) {
        try {
          const answer = await httpGet(new URL('https://' + host + '/a'), { signal });
          for await (const chunk of answer.body) console.log(chunk.toString());
        } catch (error) { console.log(error.kind, error.code); }
      }`;
    const environment = ['env', `NODE_EXTRA_CA_CERTS=${tls.file}`, `HTTPS_PROXY=${proxy.host}`, 'no_proxy='];
    const words = [...environment, process.execPath, '--import', 'tsx', '--input-type=module', '--eval', script];
    const lines = (await checked(words)).split('\n');
    assert.deepEqual(lines, ['the content', 'unreachable certificate-untrusted', 'permission proxy-denied']);
    assert.equal(proxy.asked[0], 'CONNECT images.example:443');
  });
});

describe('the proxy for a URL', () => {
  const proxyOf = (url: string, variables: Readonly<Record<string, string>>) =>
    proxyFor(new URL(url), (name) => variables[name])?.host;

  it('is the one that the environment names for its scheme', () => {
    const variables = { HTTPS_PROXY: 'http://a:1', http_proxy: 'b:2' };
    assert.equal(proxyOf('https://host/', variables), 'a:1');
    assert.equal(proxyOf('http://host/', variables), 'b:2');
    assert.equal(proxyOf('http://host/', { ALL_PROXY: 'c:3' }), 'c:3');
    assert.equal(proxyOf('http://host/', {}), undefined);
  });

  it('is never asked for this computer itself', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      assert.equal(proxyOf(`http://${host}:8000/`, { http_proxy: 'b:2' }), undefined, host);
    }
  });

  it('is left out for what no_proxy covers', () => {
    const cases = [
      ['*', 'host.example', true],
      ['host.example', 'host.example', true],
      ['example', 'host.example', true],
      ['.example', 'host.example', true],
      ['*.example', 'host.example', true],
      ['ample', 'host.example', false],
      ['other, HOST.example', 'host.example', true],
      ['host.example:81', 'host.example', false],
      ['host.example:80', 'host.example', true],
      ['10.0.0.0/8', '10.20.30.40', true],
      ['10.0.0.0/8', '11.20.30.40', false],
      ['10.0.0.0/8', '10.example', false],
      ['10.1.1.1', '10.1.1.1', true],
      ['1.1.1', '10.1.1.1', false],
      ['[fd00::1]:80', '[fd00::1]', true],
      ['fd00::/8', '[fd00::1]', true],
      ['', 'host.example', false],
    ] as const;
    for (const [list, host, isLeftOut] of cases) {
      const proxy = proxyOf(`http://${host}/`, { http_proxy: 'b:2', no_proxy: list });
      assert.equal(proxy === undefined, isLeftOut, `${list} ${host}`);
    }
  });

  it('is refused when it is not an HTTP proxy', () => {
    assert.throws(() => proxyOf('http://host/', { http_proxy: 'socks5://b:2' }), { code: 'proxy-unsupported' });
  });
});
