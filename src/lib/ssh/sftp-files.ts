import path from 'node:path';
import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { Failure } from '../failure/failure.js';
import { allEnded } from '../platform/all-ended.js';
import type { FileEntry, Files, OpenFile } from '../platform/files.js';

/** Status codes of SFTP (draft-ietf-secsh-filexfer-02, 7). */
const [noSuchFile, permissionDenied] = [2, 3];

/** Bytes of one request: what servers take in one piece. */
const requestBytes = 128 * 1024;

const lost = new Error('the connection was lost');

/** The files of a device, over one SFTP channel. Relative paths begin in the home folder of the user who logged in. */
export class SftpFiles implements Files {
  readonly #sftp: SFTPWrapper;
  readonly #device: string;

  /** What is to be told when no more answers come. */
  readonly #waiting = new Set<(error: unknown) => void>();
  #isLost = false;

  /**
   * @param device what the user calls it, for messages
   * @param closed settles when the connection has ended; ssh2 itself leaves requests without an answer then
   */
  constructor(sftp: SFTPWrapper, device: string, closed: Promise<void>) {
    this.#sftp = sftp;
    this.#device = device;
    const lose = () => {
      this.#isLost = true;
      for (const fail of this.#waiting) fail(lost);
    };
    sftp.once('close', lose);
    void closed.then(lose);
  }

  describe(file: string): string {
    return `${this.#device}:${file}`;
  }

  join(folder: string, name: string): string {
    return path.posix.join(folder, name);
  }

  folderOf(file: string): string {
    return path.posix.dirname(file);
  }

  nameOf(file: string): string {
    return path.posix.basename(file);
  }

  async look(file: string, followLink: boolean): Promise<FileEntry | undefined> {
    try {
      const stats = await this.#ask<Stats>('looking at', file, (done) => {
        if (followLink) this.#sftp.stat(file, done);
        else this.#sftp.lstat(file, done);
      });
      return entryOf(stats);
    } catch (error) {
      if (error instanceof Failure && error.code === 'remote-not-found') return undefined;
      throw error;
    }
  }

  async list(folder: string): Promise<string[]> {
    const entries = await this.#ask<FileEntryWithStats[]>('listing', folder, (done) => {
      this.#sftp.readdir(folder, done);
    });
    return entries.map(({ filename }) => filename);
  }

  readLink(file: string): Promise<string> {
    return this.#ask<string>('reading the link', file, (done) => {
      this.#sftp.readlink(file, done);
    });
  }

  async makeLink(file: string, target: string): Promise<void> {
    await this.#do('making the link', file, (done) => {
      this.#sftp.symlink(target, file, done);
    });
  }

  async makeFolder(folder: string, mode: number): Promise<void> {
    await this.#do('making the folder', folder, (done) => {
      this.#sftp.mkdir(folder, { mode }, done);
    });
  }

  async setFolder(folder: string, { mode, modified }: { readonly mode: number; readonly modified: number }) {
    await this.#do('setting the mode of', folder, (done) => {
      this.#sftp.setstat(folder, { mode, atime: modified, mtime: modified }, done);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#do('writing', to, (done) => {
      // The protocol's own rename refuses to replace anything.
      this.#sftp.ext_openssh_rename(from, to, done);
    });
  }

  async remove(file: string): Promise<void> {
    await this.#do('removing', file, (done) => {
      this.#sftp.unlink(file, done);
    });
  }

  async removeFolder(folder: string): Promise<void> {
    await this.#do('removing', folder, (done) => {
      this.#sftp.rmdir(folder, done);
    });
  }

  openToRead(file: string): Promise<OpenFile> {
    return this.#open(file, 'r', 0);
  }

  openToWrite(file: string): Promise<OpenFile> {
    return this.#open(file, 'r+', 0);
  }

  create(file: string, mode: number): Promise<OpenFile> {
    return this.#open(file, 'wx', mode);
  }

  close(): Promise<void> {
    this.#sftp.end();
    return Promise.resolve();
  }

  async #open(file: string, flags: 'r' | 'r+' | 'wx', mode: number): Promise<OpenFile> {
    const handle = await this.#ask<Buffer>(flags === 'r' ? 'opening' : 'writing', file, (done) => {
      this.#sftp.open(file, flags, { mode }, done);
    });
    return {
      read: async (buffer, position) => {
        const filled = await inParts(buffer, (part, offset) => this.#fill(file, handle, part, position + offset));
        // Behind a part that is not full the file has ended.
        const last = filled.findIndex((bytes) => bytes < requestBytes);
        return sum(last === -1 ? filled : filled.slice(0, last + 1));
      },
      write: async (buffer, position) => {
        await inParts(buffer, (part, offset) =>
          this.#do('writing', file, (done) => {
            this.#sftp.write(handle, part, 0, part.length, position + offset, done);
          }),
        );
      },
      setAttributes: async ({ size, mode, modified }) => {
        await this.#do('setting the mode of', file, (done) => {
          this.#sftp.fsetstat(handle, { size, mode, atime: modified, mtime: modified }, done);
        });
      },
      close: async () => {
        await this.#do('closing', file, (done) => {
          this.#sftp.close(handle, done);
        });
      },
    };
  }

  /** A server may send less than it was asked for; nothing means the end of the file. */
  async #fill(file: string, handle: Buffer, buffer: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.length) {
      const bytes = await this.#ask<number>('reading', file, (done) => {
        this.#sftp.read(handle, buffer, filled, buffer.length - filled, position + filled, done);
      });
      if (bytes === 0) break;
      filled += bytes;
    }
    return filled;
  }

  #ask<T>(
    doing: string,
    file: string,
    start: (done: (error: Error | undefined, value: T) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        this.#waiting.delete(fail);
        reject(this.#failure(`${doing} ${this.describe(file)}`, error));
      };
      if (this.#isLost) {
        fail(lost);
        return;
      }
      this.#waiting.add(fail);
      try {
        start((error, value) => {
          this.#waiting.delete(fail);
          if (error) fail(error);
          else resolve(value);
        });
      } catch (error) {
        // What ssh2 does when a server lacks an extension.
        fail(error);
      }
    });
  }

  #do(doing: string, file: string, start: (done: (error?: Error | null) => void) => void): Promise<void> {
    return this.#ask<undefined>(doing, file, (done) => {
      start((error) => {
        done(error ?? undefined, undefined);
      });
    });
  }

  #failure(doing: string, error: unknown): Failure {
    const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
    const reason = error instanceof Error ? error.message : 'unknown reason';
    const details = { cause: error };
    if (code === noSuchFile)
      return new Failure('not-found', 'remote-not-found', `${doing}: it does not exist`, details);
    if (code === permissionDenied) {
      return new Failure('permission', 'remote-permission', `${doing}: permission denied`, details);
    }
    if (typeof code === 'number') return new Failure('failed', 'remote-failed', `${doing}: ${reason}`, details);
    return new Failure('unreachable', 'connection-lost', `${doing}: ${reason}`, {
      ...details,
      hint: 'Check that the device is still on and in the network',
    });
  }
}

function entryOf(stats: Stats): FileEntry {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other';
  // SFTP does not tell how much room a file takes.
  return { kind, mode: stats.mode & 0o7777, size: stats.size, isSparse: true, modified: stats.mtime };
}

/** Does something with every part of a buffer at once. */
function inParts<T>(buffer: Buffer, work: (part: Buffer, offset: number) => Promise<T>): Promise<T[]> {
  const parts: Promise<T>[] = [];
  for (let offset = 0; offset < buffer.length; offset += requestBytes) {
    parts.push(work(buffer.subarray(offset, offset + requestBytes), offset));
  }
  return allEnded(parts);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
