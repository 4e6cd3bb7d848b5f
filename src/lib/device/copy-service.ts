import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Headers } from 'tar-fs';
import { type EngineContainer, lookInArchive, readArchive, writeArchive } from '../engine/container-archive.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { execInContainer } from '../engine/exec.js';
import { findService } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { limit } from '../platform/limit.js';
import { type Copied, copy, type CopyOptions } from './copy.js';
import { LocalFiles } from './local-files.js';

/** A path in the container of a service. */
export interface ServicePath {
  readonly engine: EngineConnection;
  readonly service: string;
  /** Absolute. */
  readonly path: string;
}

const mostLinks = 16;

/** How long an engine may take to remove what has no name yet. */
const discardMs = 5000;

/**
 * Copies a file or folder out of a service's container, which need not run. All of it is fetched beside the target before anything gets its
 * name.
 */
export async function copyFromService(from: ServicePath, target: string, options: CopyOptions): Promise<Copied> {
  const { signal, progress } = options;
  const container = await containerOf(from, signal);
  const source = await withoutLinks(container, from, signal);
  const local = new LocalFiles();
  const isInto = (await local.look(target, true))?.kind === 'folder';
  const folder = path.join(isInto ? target : path.dirname(target), `.davit-${randomBytes(8).toString('hex')}.partial`);
  const { default: tarFs } = await import('tar-fs');
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    throw whileDoing(`writing ${target}`, error);
  }
  try {
    let current = 0;
    const id = `${from.service}:${from.path}`;
    const counted = Readable.from(readArchive(container, source, signal)).on('data', (chunk: Buffer) => {
      current += chunk.length;
      progress({ type: 'step', id, phase: 'fetch', state: 'active', current });
    });
    // Links may lead anywhere; the library writes through none of them.
    const extraction = { validateSymlinks: false, strict: false, chown: false, umask: 0 };
    await pipeline(counted, tarFs.extract(folder, extraction));
    progress({ type: 'step', id, phase: 'fetch', state: 'done', current });
    const fetched = path.join(folder, path.posix.basename(source));
    // Under the name that was asked for, whatever a link that led there is called.
    const named = path.join(folder, path.posix.basename(from.path) || 'root');
    if (named !== fetched) await rename(fetched, named);
    return await copy(
      { files: local, path: named },
      { files: local, path: target },
      { signal, progress: notices(progress) },
    );
  } catch (error) {
    throw whileDoing(`copying ${from.service}:${from.path}`, error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Copies a file or folder into a service's container. In one that runs and has `mv`, it gets its name when it is complete; else, or where a
 * folder of that name is there already, the files appear one by one.
 */
export async function copyToService(source: string, to: ServicePath, options: CopyOptions): Promise<Copied> {
  const { signal, progress } = options;
  const local = new LocalFiles();
  const entry = await local.look(source, true);
  if (entry === undefined) {
    throw new Failure('not-found', 'source-not-found', `${source} does not exist`);
  }
  const container = await containerOf(to, signal);
  const asked = await withoutLinks(container, to, signal).catch(() => to.path);
  const isInto = (await lookInArchive(container, asked, signal))?.kind === 'folder';
  if (!isInto && asked.endsWith('/') && entry.kind !== 'folder') {
    throw new Failure('not-found', 'target-folder-not-found', `the folder ${to.service}:${asked} does not exist`, {
      hint: 'Make it first, or leave the last / away',
    });
  }
  const target = isInto ? path.posix.join(asked, path.basename(path.resolve(source))) : asked.replace(/(?<=.)\/+$/, '');
  const existing = await lookInArchive(container, target, signal);
  if (existing !== undefined && (existing.kind === 'folder') !== (entry.kind === 'folder')) {
    throw new Failure('refused', 'target-in-the-way', `${to.service}:${target} exists and is of another kind`, {
      hint: 'Remove it, or give another name',
    });
  }
  const isMerge = existing?.kind === 'folder';
  const draft = `.davit-${randomBytes(8).toString('hex')}.partial`;
  const hasDraft = !isMerge && (await canMove(container, signal));
  const folder = path.posix.dirname(target);
  const counts = { files: 0, folders: 0, links: 0, bytes: 0 };
  const id = `${to.service}:${target}`;
  const tar = await packed(source, hasDraft ? draft : path.posix.basename(target), (header) => {
    if (header.type === 'directory') counts.folders++;
    else if (header.type === 'symlink') counts.links++;
    else counts.files++;
    counts.bytes += header.size;
  });
  let current = 0;
  const passing = passed(tar, (bytes) => {
    current += bytes;
    progress({ type: 'step', id, phase: 'copy', state: 'active', current });
  });
  try {
    await writeArchive(container, folder, passing, signal);
    if (hasDraft) await runIn(container, ['mv', '-f', path.posix.join(folder, draft), target], signal);
  } catch (error) {
    if (hasDraft) await discard(container, path.posix.join(folder, draft), to.service, progress);
    throw whileDoing(`copying to ${id}`, error);
  }
  progress({ type: 'step', id, phase: 'copy', state: 'done', current: counts.bytes });
  return { ...counts, path: `${to.service}:${target}` };
}

async function containerOf(
  { engine, service, path: file }: ServicePath,
  signal: AbortSignal,
): Promise<EngineContainer> {
  if (!file.startsWith('/')) {
    throw new Failure('usage', 'invalid-copy-place', `the path ${file} in the service ${service} is not absolute`, {
      hint: `Begin it with a slash: ${service}:/${file}`,
    });
  }
  return { engine, id: (await findService(engine, service, signal)).id };
}

/** The path with what a link at its end leads to, as engines do not follow those. */
async function withoutLinks(container: EngineContainer, { service, path: asked }: ServicePath, signal: AbortSignal) {
  let file = asked;
  for (let links = 0; links < mostLinks; links++) {
    const found = await lookInArchive(container, file, signal);
    if (found === undefined) {
      throw new Failure('not-found', 'source-not-found', `${service}:${file} does not exist`);
    }
    if (found.kind !== 'link' || found.link === undefined) return file;
    file = path.posix.resolve(path.posix.dirname(file), found.link);
  }
  throw new Failure('usage', 'eloop', `the links at ${service}:${asked} lead back to themselves`);
}

/** A file or folder as a tar stream in which it has another name. Root owns what is copied, as it is root's container. */
async function packed(source: string, name: string, onEntry: (header: Headers) => void): Promise<Readable> {
  const { default: tarFs } = await import('tar-fs');
  const whole = path.resolve(source);
  const entry = path.basename(whole);
  const options = {
    entries: [entry],
    umask: 0,
    map: (header: Headers) => {
      onEntry(header);
      const renamed = `${name}${header.name.slice(entry.length)}`;
      return { ...header, name: renamed, uid: 0, gid: 0 };
    },
  };
  return Readable.from(tarFs.pack(path.dirname(whole), options), { objectMode: false });
}

/** The same stream; tells of each piece that is taken from it. */
function passed(stream: AsyncIterable<unknown>, onBytes: (bytes: number) => void): Readable {
  const pieces = async function* () {
    for await (const piece of stream) {
      if (Buffer.isBuffer(piece)) onBytes(piece.length);
      yield piece;
    }
  };
  return Readable.from(pieces(), { objectMode: false });
}

/** Whether something can get its name in one step. */
async function canMove(container: EngineContainer, signal: AbortSignal): Promise<boolean> {
  return runIn(container, ['mv', '--help'], signal).then(
    () => true,
    () => false,
  );
}

async function runIn({ engine, id }: EngineContainer, command: readonly string[], signal: AbortSignal): Promise<void> {
  const program = await execInContainer(engine, { container: id, command, signal });
  program.stdin.end();
  let said = '';
  program.stdout.resume();
  program.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const { exitCode } = await program.exited;
  if (exitCode === 0) return;
  throw new Failure('failed', 'remote-failed', said.trim() || `${command.join(' ')} ended with exit code ${exitCode}`);
}

/**
 * Removes what has no name yet; tells what stays. An engine that has not noticed that a link was lost waits for the rest of what it unpacks,
 * and does nothing else with that container.
 */
async function discard(
  container: EngineContainer,
  draft: string,
  service: string,
  progress: CopyOptions['progress'],
): Promise<void> {
  const time = limit(new AbortController().signal, discardMs);
  try {
    await runIn(container, ['rm', '-rf', draft], time.signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    progress({ type: 'notice', level: 'warning', text: `${service}:${draft} is left behind` });
  } finally {
    time.end();
  }
}

/** What is said about copying from one place here to another is of no interest. */
function notices(progress: CopyOptions['progress']): CopyOptions['progress'] {
  return (event) => {
    if (event.type === 'notice') progress(event);
  };
}
