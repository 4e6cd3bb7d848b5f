import { constants } from 'node:fs';
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  utimes,
} from 'node:fs/promises';
import path from 'node:path';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { FileEntry, Files, OpenFile } from '../platform/files.js';

/** The files of this computer. */
export class LocalFiles implements Files {
  describe(file: string): string {
    return file;
  }

  join(folder: string, name: string): string {
    return path.join(folder, name);
  }

  folderOf(file: string): string {
    return path.dirname(file);
  }

  nameOf(file: string): string {
    return path.basename(file);
  }

  async look(file: string, followLink: boolean): Promise<FileEntry | undefined> {
    try {
      const stats = await (followLink ? stat(file) : lstat(file));
      const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other';
      const isSparse = stats.blocks * 512 < stats.size;
      return { kind, mode: stats.mode & 0o7777, size: stats.size, isSparse, modified: stats.mtimeMs / 1000 };
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw whileDoing(`looking at ${file}`, error);
    }
  }

  list(folder: string): Promise<string[]> {
    return doing(`listing ${folder}`, readdir(folder));
  }

  readLink(file: string): Promise<string> {
    return doing(`reading the link ${file}`, readlink(file));
  }

  makeLink(file: string, target: string): Promise<void> {
    return doing(`making the link ${file}`, symlink(target, file));
  }

  async makeFolder(folder: string, mode: number): Promise<void> {
    await doing(`making the folder ${folder}`, mkdir(folder, mode));
  }

  async setFolder(folder: string, { mode, modified }: { readonly mode: number; readonly modified: number }) {
    await doing(`setting the mode of ${folder}`, chmod(folder, mode));
    await doing(`setting the time of ${folder}`, utimes(folder, modified, modified));
  }

  rename(from: string, to: string): Promise<void> {
    return doing(`writing ${to}`, rename(from, to));
  }

  remove(file: string): Promise<void> {
    return doing(`removing ${file}`, rm(file));
  }

  removeFolder(folder: string): Promise<void> {
    return doing(`removing ${folder}`, rmdir(folder));
  }

  async openToRead(file: string): Promise<OpenFile> {
    return new LocalFile(file, await doing(`opening ${file}`, open(file, 'r')));
  }

  async openToWrite(file: string): Promise<OpenFile> {
    return new LocalFile(file, await doing(`writing ${file}`, open(file, 'r+')));
  }

  async create(file: string, mode: number): Promise<OpenFile> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    return new LocalFile(file, await doing(`writing ${file}`, open(file, flags, mode)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class LocalFile implements OpenFile {
  readonly #file: string;
  readonly #handle: FileHandle;

  constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    let filled = 0;
    while (filled < buffer.length) {
      const reading = this.#handle.read(buffer, filled, buffer.length - filled, position + filled);
      const { bytesRead } = await doing(`reading ${this.#file}`, reading);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  }

  async write(buffer: Buffer, position: number): Promise<void> {
    let written = 0;
    while (written < buffer.length) {
      const writing = this.#handle.write(buffer, written, buffer.length - written, position + written);
      written += (await doing(`writing ${this.#file}`, writing)).bytesWritten;
    }
  }

  async setAttributes({ size, mode, modified }: Parameters<OpenFile['setAttributes']>[0]): Promise<void> {
    await doing(`writing ${this.#file}`, this.#handle.truncate(size));
    await doing(`setting the mode of ${this.#file}`, this.#handle.chmod(mode));
    await doing(`setting the time of ${this.#file}`, this.#handle.utimes(modified, modified));
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function doing<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw whileDoing(what, error);
  }
}
