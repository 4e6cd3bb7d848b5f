import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { isRecord } from '../../src/lib/platform/json.js';
import { davitJson } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { startWebServer, type WebAnswer, type WebRequest } from '../support/web-server.js';

interface Key {
  /** Type and body, as GitHub answers. */
  readonly line: string;
  /** As ssh-keygen tells it. */
  readonly fingerprint: string;
}

async function makeKey(folder: string, type: string): Promise<Key> {
  const file = path.join(folder, `id_${type}`);
  await runChecked('making a key', 'ssh-keygen', ['-q', '-N', '', '-C', 'x', '-f', file, '-t', type]);
  const listed = await runChecked('reading a key', 'ssh-keygen', ['-l', '-f', `${file}.pub`]);
  const [, fingerprint = ''] = listed.split(' ');
  return { line: (await readFile(`${file}.pub`, 'utf8')).split(' ').slice(0, 2).join(' '), fingerprint };
}

/** An image and a server that publishes keys as a test says. */
async function setUp(t: TestContext, answer: (request: WebRequest) => WebAnswer) {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'device.img'));
  const server = await startWebServer(t, answer);
  const environment = {
    ...{ DAVIT_GITHUB_URL: server.origin, DAVIT_GITLAB_URL: `${server.origin}/lab/` },
    ...{ http_proxy: undefined, https_proxy: undefined, HTTP_PROXY: undefined, HTTPS_PROXY: undefined },
  };
  const configure = (...words: string[]) =>
    davitJson(['os', 'configure', image.path, '--in-place', ...words], { environment });
  const config = async (): Promise<unknown> =>
    JSON.parse(String(await readBootFile(image, 'config.json', path.join(folder, 'read'))));
  return { folder, image, server, environment, configure, config };
}

describe('SSH keys that somebody has published', () => {
  it('are all taken, named by where they come from and shown by their fingerprints', async (t) => {
    const keys: Key[] = [];
    const { folder, server, configure, config } = await setUp(t, () => ({
      bytes: Buffer.from(keys.map(({ line }) => `${line}\n`).join('')),
    }));
    keys.push(await makeKey(folder, 'ed25519'), await makeKey(folder, 'rsa'));
    const { exitCode, document, stderr } = await configure('--ssh-key', 'github:alice', '--ssh-key', 'gitlab:bob.x');
    assert.equal(exitCode, 0, stderr);
    assert.deepEqual(
      server.requests.map((request) => request.path),
      ['/alice.keys', '/lab/bob.x.keys'],
    );
    const written = await config();
    assert.ok(isRecord(written) && isRecord(written.os));
    // One key is taken once, whoever has published it.
    assert.deepEqual(
      written.os.sshKeys,
      keys.map(({ line }) => `${line} github:alice`),
    );
    for (const { fingerprint } of keys) assert.ok(JSON.stringify(document).includes(fingerprint));
    assert.match(stderr, /who has the SSH keys of github:alice may log in as root: SHA256:/);
  });

  it('may stand in a profile, which is checked without fetching them', async (t) => {
    const keys: Key[] = [];
    const { folder, server, environment, configure, config } = await setUp(t, () => ({
      bytes: Buffer.from(keys.map(({ line }) => `${line}\n`).join('')),
    }));
    keys.push(await makeKey(folder, 'ed25519'));
    const profile = path.join(folder, 'profile.yaml');
    await writeFile(profile, 'sshKeys: ["github:alice"]\n');
    const { exitCode, document } = await davitJson(['profile', 'check', profile], { environment });
    assert.equal(exitCode, 0);
    assert.ok(isRecord(document));
    assert.deepEqual(document.fetches, ['github:alice']);
    assert.equal(server.requests.length, 0);
    assert.equal((await configure('--profile', profile)).exitCode, 0);
    assert.equal(server.requests.length, 1);
    assert.deepEqual(await config(), {
      ...{ deviceType: 'raspberrypi4-64', persistentLogging: false },
      os: { sshKeys: keys.map(({ line }) => `${line} github:alice`) },
    });
  });

  const good = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S\n';
  const bad: readonly (readonly [string, WebAnswer, string, number])[] = [
    ['nobody of the name', { status: 404 }, 'ssh-keys-not-found', 3],
    ['a user without keys', { bytes: Buffer.alloc(0) }, 'invalid-ssh-key', 2],
    ['a key of a kind that is not known', { bytes: Buffer.from(`${good}ssh-new AAAA\n`) }, 'invalid-ssh-key', 2],
    ['a page for people', { bytes: Buffer.from('<html>Log in first</html>') }, 'invalid-ssh-key', 2],
    ['an answer that is cut off', { bytes: Buffer.from(good + good), cutAfter: good.length }, 'connection-cut', 6],
    ['a server that is overloaded', { status: 503 }, 'server-busy', 6],
    ['an answer without end', { bytes: Buffer.alloc(300 * 1024, good) }, 'answer-too-large', 5],
  ];
  for (const [what, answer, code, exitCode] of bad) {
    it(`are never fewer than there are: ${what}`, async (t) => {
      const { image, configure } = await setUp(t, () => answer);
      const before = await readFile(image.path);
      const { exitCode: actual, document } = await configure('--ssh-key', 'github:alice', '--dev');
      assert.ok(isRecord(document) && isRecord(document.error), JSON.stringify(document));
      assert.deepEqual([document.error.code, actual], [code, exitCode], JSON.stringify(document));
      assert.match(String(document.error.message), /^fetching the SSH keys of github:alice: /);
      assert.ok(before.equals(await readFile(image.path)), 'nothing was written');
    });
  }

  it('are asked for nowhere else when nothing answers, also for a profile', async (t) => {
    const { folder, server, configure } = await setUp(t, () => ({}));
    await server.stop();
    const profile = path.join(folder, 'profile.yaml');
    await writeFile(profile, 'sshKeys: ["github:alice"]\n');
    for (const words of [
      ['--ssh-key', 'github:alice'],
      ['--profile', profile],
    ]) {
      const { exitCode, document } = await configure(...words);
      assert.equal(exitCode, 6, JSON.stringify(document));
      assert.match(JSON.stringify(document), /"hint":"Check the name and the network/);
    }
  });
});
