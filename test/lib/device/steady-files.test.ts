import assert from 'node:assert/strict';
import { readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LocalFiles } from '../../../src/lib/device/local-files.js';
import { SteadyFiles } from '../../../src/lib/device/steady-files.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import type { Files } from '../../../src/lib/platform/files.js';
import type { ProgressEvent } from '../../../src/lib/platform/progress.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const lost = new Failure('unreachable', 'connection-lost', 'the connection was lost');

/** A device whose files are those of a folder, and whose link can be lost. */
class Device {
  bootId = '7c7a4b6e-3a5c-4b1e-9d9e-2f6f1b0a0001';
  isAway = false;
  opened = 0;
  /** The next call of this name is answered by nobody: before or after it was carried out. */
  loseNext: { readonly name: string; readonly isCarriedOut: boolean } | undefined;

  open(): Promise<Files> {
    if (this.isAway) return Promise.reject(new Failure('unreachable', 'ehostunreach', 'no route to the host'));
    this.opened++;
    return Promise.resolve(this.#over(new LocalFiles(), { isLost: false }));
  }

  #over<T extends object>(target: T, link: { isLost: boolean }): T {
    return new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name);
        if (typeof member !== 'function' || ['describe', 'join', 'folderOf', 'nameOf'].includes(String(name)))
          return typeof member === 'function' ? (member.bind(object) as unknown) : member;
        return async (...words: unknown[]): Promise<unknown> => {
          if (link.isLost) throw lost;
          if (words[0] === '/proc/sys/kernel/random/boot_id') return this.#bootIdFile();
          const loss = this.loseNext?.name === name ? this.loseNext : undefined;
          if (loss !== undefined) {
            this.loseNext = undefined;
            if (loss.isCarriedOut) await Reflect.apply(member, object, words);
            link.isLost = true;
            throw lost;
          }
          const result: unknown = await Reflect.apply(member, object, words);
          return String(name).startsWith('open') || name === 'create' ? this.#over(result as object, link) : result;
        };
      },
    });
  }

  #bootIdFile() {
    const read = (buffer: Buffer) => Promise.resolve(buffer.write(this.bootId));
    return { read, close: () => Promise.resolve() };
  }
}

async function connected(t: TestContext, patience = 5) {
  const [device, folder, events] = [new Device(), await temporaryFolder(t), [] as ProgressEvent[]];
  const files = await SteadyFiles.connect({
    open: () => device.open(),
    device: 'crane',
    isWritten: true,
    patience,
    signal: t.signal,
    progress: (event) => events.push(event),
  });
  const notices = () => events.flatMap((event) => (event.type === 'notice' ? event.text : []));
  return { device, files, notices, at: (name: string) => path.join(folder, name) };
}

describe('SteadyFiles', () => {
  it('writes on over the next link where a file was, and tells of the loss once', async (t) => {
    const { device, files, notices, at } = await connected(t);
    const file = await files.create(at('file'), 0o600);
    await file.write(Buffer.from('one '), 0);
    device.loseNext = { name: 'write', isCarriedOut: false };
    await Promise.all([file.write(Buffer.from('two '), 4), file.write(Buffer.from('three'), 8)]);
    await file.setAttributes({ size: 13, mode: 0o644, modified: 0 });
    await file.close();
    assert.equal(await readFile(at('file'), 'utf8'), 'one two three');
    assert.equal(device.opened, 2);
    assert.deepEqual(notices(), [
      'the connection to crane was lost; trying to reach it again for 5 s',
      'connected to crane again',
    ]);
  });

  for (const isCarriedOut of [false, true]) {
    const when = isCarriedOut ? 'after' : 'before';
    it(`does everything exactly once when the link is lost ${when} it was done`, async (t) => {
      const { device, files, at } = await connected(t);
      const during = async (name: string, work: () => Promise<unknown>) => {
        device.loseNext = { name, isCarriedOut };
        await work();
        assert.equal(device.loseNext, undefined, name);
      };
      await during('makeFolder', () => files.makeFolder(at('folder'), 0o700));
      await during('makeLink', () => files.makeLink(at('link'), 'target'));
      await during('create', async () => (await files.create(at('draft'), 0o600)).close());
      await writeFile(at('draft'), 'new');
      await writeFile(at('file'), 'old');
      await during('rename', () => files.rename(at('draft'), at('file')));
      assert.equal(await readFile(at('file'), 'utf8'), 'new');
      assert.equal(await files.readLink(at('link')), 'target');
      await during('remove', () => files.remove(at('link')));
      await during('removeFolder', () => files.removeFolder(at('folder')));
      assert.deepEqual(await files.list(path.dirname(at('file'))), ['file']);
    });
  }

  it('fails when the device has lost by a new start what was written, and serves on', async (t) => {
    const { device, files, at } = await connected(t);
    const file = await files.create(at('file'), 0o600);
    device.loseNext = { name: 'write', isCarriedOut: false };
    device.bootId = device.bootId.replace('7c', '8d');
    await assert.rejects(file.write(Buffer.from('x'), 0), { code: 'device-restarted', kind: 'unreachable' });
    await files.remove(at('file'));
  });

  it('fails when what is read has changed meanwhile', async (t) => {
    const { device, files, at } = await connected(t);
    await writeFile(at('file'), 'content');
    const file = await files.openToRead(at('file'));
    device.loseNext = { name: 'read', isCarriedOut: false };
    assert.equal(await file.read(Buffer.alloc(7), 0), 7);
    await utimes(at('file'), 1, 1);
    device.loseNext = { name: 'read', isCarriedOut: false };
    await assert.rejects(file.read(Buffer.alloc(7), 0), { code: 'source-changed' });
  });

  it('gives up when the device stays away, and then at once', async (t) => {
    const { device, files, at } = await connected(t, 1);
    device.loseNext = { name: 'makeFolder', isCarriedOut: false };
    device.isAway = true;
    const [first, later] = [files.makeFolder(at('folder'), 0o700), files.look(at('folder'), true)];
    await assert.rejects(first, { code: 'connection-lost', kind: 'unreachable' });
    await later.catch(() => undefined);
    const before = performance.now();
    await assert.rejects(files.remove(at('folder')), { code: 'connection-lost' });
    assert.ok(performance.now() - before < 500);
  });
});
