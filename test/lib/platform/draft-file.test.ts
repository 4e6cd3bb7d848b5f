import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { DraftFile } from '../../../src/lib/platform/draft-file.js';
import { isProcessGone, ownProcess } from '../../../src/lib/platform/process-identity.js';
import { asNobody, projectRoot, runProgram } from '../../support/davit.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const rootMissing = process.getuid?.() === 0 && process.platform === 'linux' ? false : 'needs root on Linux';

/** What a process calls itself that has ended since. */
async function endedProcess(): Promise<string> {
  const { stdout } = await runProgram(['sh', '-c', 'cat /proc/$$/stat']);
  const [pid = ''] = stdout.split(' ');
  const start = stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return [pid, start, ...(await ownProcess()).split('.').slice(2)].join('.');
}

describe('a draft', () => {
  it('has its name only when it is complete', async (t) => {
    const folder = await temporaryFolder(t);
    const file = path.join(folder, 'out.img');
    const draft = await DraftFile.begin(file, { mayOverwrite: false });
    await draft.handle.writeFile('content');
    assert.equal((await readdir(folder)).includes('out.img'), false);
    await draft.complete();
    await draft.discard();
    assert.deepEqual(await readdir(folder), ['out.img']);
    assert.equal(await readFile(file, 'utf8'), 'content');
  });

  it('removes those that processes left when they were killed, and no others', async (t) => {
    const folder = await temporaryFolder(t);
    const [own, ended] = [await ownProcess(), await endedProcess()];
    const [pid = '', start = '', namespace = '', boot = '', computer = ''] = ended.split('.');
    const name = (owner: string) => `.davit-${owner}-0123abcd.partial`;
    const kept = [
      name(own),
      name([pid, start, namespace, boot, 'elsewhere'].join('.')),
      name([pid, start, 'container', boot, computer].join('.')),
      '.davit-0123456789abcdef.partial',
      '.davit-notes.partial',
    ];
    const removed = [name(ended), name([process.pid, start, namespace, 'before', computer].join('.'))];
    for (const one of [...kept, ...removed]) await writeFile(path.join(folder, one), '');
    const draft = await DraftFile.begin(path.join(folder, 'out'), { mayOverwrite: false });
    await draft.discard();
    assert.deepEqual((await readdir(folder)).sort(), [...kept].sort());
  });
});

describe('a process', () => {
  it('is known to be gone only when it is', async () => {
    assert.equal(await isProcessGone(await ownProcess()), false);
    assert.equal(await isProcessGone(await endedProcess()), true);
    for (const word of ['', 'x', '1.2.3', '1.2.3.4.5.6']) assert.equal(await isProcessGone(word), false, word);
  });

  it('is not gone where it is only hidden from others', { skip: rootMissing }, async () => {
    const source = path.join(projectRoot, 'src/lib/platform/process-identity.ts');
    const ask = `import { isProcessGone } from '${source}';
      for (const word of process.argv.slice(1)) console.log(await isProcessGone(word));`;
    const hidden = ['unshare', '--mount', 'sh', '-c', 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', 'sh'];
    const script = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', ask];
    const words = [await ownProcess(), await endedProcess()];
    const { stdout, stderr } = await runProgram([...hidden, ...asNobody, ...script, ...words]);
    assert.equal(stdout, 'false\ntrue\n', stderr);
  });
});
