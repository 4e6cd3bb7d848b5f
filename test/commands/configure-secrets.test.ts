import assert from 'node:assert/strict';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davit, davitJson, type WatchedDavit, watchDavit } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const secret = 'k3y-of-the-0ffice';

async function setUp(t: TestContext) {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'device.img'));
  const pipe = path.join(folder, 'pipe');
  await runChecked('making a pipe', 'mkfifo', [pipe]);
  const profile = path.join(folder, 'profile.yaml');
  await writeFile(profile, 'networks: { a: { type: wifi, ssid: x, key: { file: pipe } } }\n', { mode: 0o600 });
  return { folder, image, pipe, profile };
}

/** Resolves once a process has a file open, or waits in opening it. */
async function untilOpen({ child }: WatchedDavit, file: string): Promise<void> {
  const folder = `/proc/${child.pid ?? 0}/fd`;
  for (;;) {
    assert.equal(child.exitCode, null, 'it is still running');
    const names = await readdir(folder).catch(() => []);
    const links = await Promise.all(names.map((name) => readlink(path.join(folder, name)).catch(() => '')));
    if (links.includes(file)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves once a process waits for something to be read from a descriptor. */
async function untilPolled({ child }: WatchedDavit, descriptor: number): Promise<void> {
  const folder = `/proc/${child.pid ?? 0}/fdinfo`;
  for (;;) {
    assert.equal(child.exitCode, null, 'it is still running');
    const names = await readdir(folder).catch(() => []);
    const infos = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8').catch(() => '')));
    if (infos.some((info) => new RegExp(`^tfd:\\s+${descriptor} `, 'm').test(info))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const skip = process.platform === 'linux' ? false : 'looks at processes through /proc';

describe('waiting for a secret', { skip }, () => {
  for (const where of ['--wifi-key-file', '--profile', '--config', '--network', '--ssh-key']) {
    it(`ends at once with 130 when interrupted while ${where} is a pipe that nobody writes to`, async (t) => {
      const { folder, image, pipe, profile } = await setUp(t);
      const file = where === '--profile' ? profile : pipe;
      const davitProcess = watchDavit(['os', 'configure', image.path, '--wifi-ssid', 'x', where, file]);
      await untilOpen(davitProcess, pipe);
      davitProcess.child.kill('SIGINT');
      const { exitCode, stderr } = await davitProcess.result;
      assert.equal(exitCode, 130, stderr);
      assert.deepEqual((await readdir(folder)).sort(), ['device.img', 'pipe', 'profile.yaml']);
    });
  }

  it('ends at once with 130 when interrupted while standard input is open and empty', async (t) => {
    const { image } = await setUp(t);
    const words = ['os', 'configure', image.path, '--wifi-ssid', 'x', '--wifi-key-file', '-'];
    const davitProcess = watchDavit(words);
    await untilPolled(davitProcess, 0);
    davitProcess.child.kill('SIGINT');
    assert.equal((await davitProcess.result).exitCode, 130);
  });

  it('goes on when the pipe is written to', async (t) => {
    const { image, pipe } = await setUp(t);
    const output = path.join(path.dirname(image.path), 'out.img');
    const [{ exitCode, stderr }] = await Promise.all([
      davit(['os', 'configure', image.path, '--wifi-ssid', 'x', '--wifi-key-file', pipe, '--output', output]),
      runChecked('writing', 'sh', ['-c', `printf '%s\\n' '${secret}' > '${pipe}'`]),
    ]);
    assert.equal(exitCode, 0, stderr);
    const bootAddress = `${output}@@${image.boot.start}`;
    const written = await readBootFile({ bootAddress }, 'system-connections/resin-wifi', `${output}.read`);
    assert.match(String(written), new RegExp(`^psk=${secret}$`, 'm'));
  });
});

/** What can be seen of a process and all its descendants by others, and of what they leave in a folder for temporary files. */
async function watch(pid: number, temporary: string, look: (text: string) => void): Promise<void> {
  const words = async (one: number) => {
    for (const what of ['cmdline', 'environ']) {
      look(await readFile(`/proc/${one}/${what}`, 'latin1').catch(() => ''));
    }
    const children = await readFile(`/proc/${one}/task/${one}/children`, 'utf8').catch(() => '');
    for (const child of children.split(' ').filter(Boolean)) await words(Number(child));
  };
  await words(pid);
  for (const name of await readdir(temporary)) {
    look(await readFile(path.join(temporary, name), 'latin1').catch(() => ''));
  }
}

describe('a secret', { skip }, () => {
  for (const command of ['configure', 'flash']) {
    it(`is never seen on a command line, in an environment or in a temporary file: ${command}`, async (t) => {
      const { folder, image, pipe } = await setUp(t);
      const temporary = await temporaryFolder(t);
      const output = path.join(folder, 'card.img');
      const target =
        command === 'flash'
          ? ['flash', image.path, '--drive', output, '--yes']
          : ['os', 'configure', image.path, '--output', output, '--force'];
      const profile = path.join(folder, 'api.yaml');
      await writeFile(profile, 'config: { apiEndpoint: "https://x.example", apiKey: { file: pipe } }\n');
      const davitProcess = watchDavit([...target, '--wifi-ssid', 'x', '--wifi-key-file', '-', '--profile', profile], {
        environment: { TMPDIR: temporary },
      });
      davitProcess.child.stdin?.end(`${secret}\n`);
      let looks = 0;
      const look = (text: string) => {
        looks += 1;
        assert.ok(!text.includes(secret), text.slice(0, 200));
      };
      const { pid = 0 } = davitProcess.child;
      const writing = runChecked('writing', 'sh', ['-c', 'cat > "$0"', pipe], { input: secret });
      const isOver = () => davitProcess.child.exitCode !== null;
      while (!isOver()) await watch(pid, temporary, look);
      await writing;
      const { exitCode, stdout, stderr } = await davitProcess.result;
      assert.equal(exitCode, 0, stderr);
      look(stdout + stderr);
      assert.ok(looks > 10);
      assert.deepEqual(await readdir(temporary), []);
      const written = await readFile(output, 'latin1');
      assert.equal(written.split(secret).length, 3, 'both secrets are in the image');
    });
  }

  it('is warned about in a file that others may read', async (t) => {
    const { folder, image } = await setUp(t);
    const file = path.join(folder, 'office.key');
    const words = ['os', 'configure', image.path, '--wifi-ssid', 'x', '--wifi-key-file', file, '--dev', '--dry-run'];
    await writeFile(file, secret, { mode: 0o600 });
    assert.equal((await davit(words)).stderr, '');
    await runChecked('opening it', 'chmod', ['644', file]);
    const { exitCode, stderr } = await davit(words);
    assert.deepEqual([exitCode, stderr], [0, `warning: others may read the Wi-Fi key in ${file}: chmod 600 ${file}\n`]);
  });

  it('is named with the flags that give it where nobody can be asked', async (t) => {
    const { image } = await setUp(t);
    const words = ['os', 'configure', image.path, '--wifi-ssid', 'x'];
    const { exitCode, document } = await davitJson(words);
    assert.equal(exitCode, 2);
    assert.match(JSON.stringify(document), /answer-needed.*--wifi-key-file.*--wifi-open.*DAVIT_WIFI_KEY/);
  });
});
