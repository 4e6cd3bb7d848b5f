import assert from 'node:assert/strict';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { type StandInCloud, startCloud } from '../support/cloud.js';
import { davit, davitJson, startDavit } from '../support/davit.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { startWebServer } from '../support/web-server.js';

describe('davit login', () => {
  const ends: (() => unknown)[] = [];
  let cloud: StandInCloud;
  before(async () => {
    cloud = await startCloud({ after: (work) => ends.push(work) });
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  /** A data folder of the test's own. */
  async function fresh(t: TestContext) {
    const folder = await temporaryFolder(t);
    t.after(() => {
      Object.assign(cloud, { answer: undefined, actorType: 'user' });
    });
    const environment = {
      DAVIT_DATA_DIR: folder,
      NODE_EXTRA_CA_CERTS: cloud.certificateFile,
      BALENA_API_KEY: undefined,
      http_proxy: undefined,
      https_proxy: undefined,
    };
    const file = path.join(folder, 'accounts.json');
    const login = (...words: string[]) =>
      davit(['login', '--api-url', cloud.apiUrl, '--token-file', '-', ...words], {
        environment,
        input: `${cloud.token}\n`,
      });
    return { environment, file, login };
  }

  it('keeps the token for the user alone once the API has said whose it is', async (t) => {
    const { environment, file, login } = await fresh(t);
    const { exitCode, stdout, stderr } = await login();
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /You are lea at https:\/\/127\.0\.0\.1/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.ok((await readFile(file, 'utf8')).includes(cloud.token));
    assert.ok(!(stdout + stderr).includes(cloud.token));
    const { document } = await davitJson(['whoami'], { environment });
    assert.deepEqual(document, { version: 1, account: '127.0.0.1', user: 'lea', apiUrl: cloud.apiUrl });
  });

  it('takes back what others were let to read of the accounts', async (t) => {
    const { file, login } = await fresh(t);
    await writeFile(file, '{"version":1,"current":null,"accounts":[]}');
    await chmod(file, 0o644);
    await login();
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  it('takes the token from the environment too, and then needs no login at all', async (t) => {
    const { environment, file } = await fresh(t);
    const script = { ...environment, BALENA_API_KEY: cloud.token, BALENARC_API_URL: cloud.apiUrl };
    const { document } = await davitJson(['whoami'], { environment: script });
    assert.deepEqual(document, { version: 1, account: 'BALENA_API_KEY', user: 'lea', apiUrl: cloud.apiUrl });
    await assert.rejects(stat(file));
    assert.equal((await davit(['login', '--api-url', cloud.apiUrl], { environment: script })).exitCode, 0);
  });

  it('never shows the token in its own command line', async (t) => {
    const { environment } = await fresh(t);
    const child = startDavit(['login', '--api-url', cloud.apiUrl, '--token-file', '-'], { environment });
    child.stdin?.end(cloud.token);
    const seen: string[] = [];
    while (child.exitCode === null) {
      seen.push(await readFile(`/proc/${String(child.pid)}/cmdline`, 'utf8').catch(() => ''));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(seen.some((line) => line.includes('login')));
    assert.ok(!seen.join('').includes(cloud.token));
  });

  it('keeps several accounts, of which the last or the named one counts', async (t) => {
    const { environment, login } = await fresh(t);
    await Promise.all([login('--account', 'home'), login('--account', 'factory')]);
    await login('--account', 'lab');
    const account = async (...words: string[]) => (await davitJson(['whoami', ...words], { environment })).document;
    const named = (name: string) => ({ version: 1, account: name, user: 'lea', apiUrl: cloud.apiUrl });
    assert.deepEqual(await account(), named('lab'));
    assert.deepEqual(await account('--account', 'home'), named('home'));
    assert.equal((await davit(['logout', '--account', 'lab'], { environment })).exitCode, 0);
    const { exitCode, stderr } = await davit(['whoami', '--account', 'lab'], { environment });
    assert.equal(exitCode, 3);
    assert.match(stderr, /home, factory|factory, home/);
    assert.equal((await davit(['logout'], { environment })).exitCode, 0);
    assert.equal((await davit(['logout'], { environment })).exitCode, 0);
    assert.equal((await davit(['logout'], { environment })).exitCode, 7);
    assert.match((await davit(['whoami'], { environment })).stderr, /davit login/);
  });

  for (const [what, change, code, exitCode] of [
    ['a token that the cloud does not know', { answer: { status: 401 } }, 'login-refused', 7],
    ['the key of a fleet', { actorType: 'application' }, 'not-a-user', 7],
    ['a page that is none of an API', { answer: { status: 200, body: '<html>' } }, 'cloud-answer', 5],
    ['an API that is not there', { answer: { status: 404 } }, 'cloud-answer', 5],
    ['a busy API', { answer: { status: 503 } }, 'server-busy', 6],
  ] as const) {
    it(`keeps nothing and never shows the token after ${what}`, async (t) => {
      const { file, login } = await fresh(t);
      Object.assign(cloud, change);
      const result = await login('--json');
      assert.equal(result.exitCode, exitCode);
      assert.ok(result.stdout.includes(`"${code}"`), result.stdout);
      assert.ok(!(result.stdout + result.stderr).includes(cloud.token));
      await assert.rejects(stat(file));
    });
  }

  it('sends the token nowhere else when the API redirects', async (t) => {
    const other = await startWebServer(t, () => ({ bytes: Buffer.from('{}') }));
    const { login } = await fresh(t);
    cloud.answer = { status: 302, headers: { location: `${other.origin}/actor/v1/whoami` } };
    const { stdout } = await login('--json');
    assert.ok(stdout.includes('"cloud-answer"'), stdout);
    assert.deepEqual(other.requests, []);
  });

  it('sends nothing to an API that shows a certificate nobody trusts', async (t) => {
    const { environment } = await fresh(t);
    const asked = cloud.asked.length;
    const { exitCode, stderr } = await davit(['login', '--api-url', cloud.apiUrl, '--token-file', '-'], {
      environment: { ...environment, NODE_EXTRA_CA_CERTS: undefined },
      input: cloud.token,
    });
    assert.equal(exitCode, 6);
    assert.match(stderr, /NODE_EXTRA_CA_CERTS/);
    assert.equal(cloud.asked.length, asked);
  });

  for (const address of ['http://api.example.com', 'http://192.168.1.20', 'http://localhost.example.com:8080']) {
    it(`refuses ${address}, where the token would pass in clear`, async (t) => {
      const { environment } = await fresh(t);
      const words = ['login', '--api-url', address, '--token-file', '-'];
      const { exitCode, stderr } = await davit(words, { environment, input: cloud.token });
      assert.equal(exitCode, 4);
      assert.match(stderr, /is not HTTPS/);
    });
  }

  it('takes nothing for a token that could break a header apart', async (t) => {
    const { environment } = await fresh(t);
    const words = ['login', '--api-url', cloud.apiUrl, '--token-file', '-'];
    const { exitCode } = await davit(words, { environment, input: 'one\r\nX-Evil: two' });
    assert.equal(exitCode, 2);
  });
});
