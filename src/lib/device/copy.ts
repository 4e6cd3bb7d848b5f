import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { copyFile, type PlacedFile } from './copy-file.js';
import type { FileEntry, Files } from '../platform/files.js';

/** What was copied. */
export interface Copied {
  readonly files: number;
  readonly folders: number;
  readonly links: number;
  readonly bytes: number;
  /** Where it is now. */
  readonly path: string;
}

/** How a copy is made. */
export interface CopyOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Something to copy, and its name below what is copied: `[]` for that itself. */
interface PlannedEntry {
  readonly names: readonly string[];
  readonly entry: FileEntry;
}

const filesAtOnce = 6;

const reportEveryMs = 100;

/**
 * Copies a file, or a folder with all that is in it, with modes, times and symbolic links. A file gets its name when it is complete, a new
 * folder when all of it is there; what is written into a folder that exists appears file by file. Whatever goes wrong leaves nothing half
 * done under a name that was asked for.
 *
 * @param to a path; if that is a folder, the copy goes into it under the name that the source has
 */
export async function copy(from: PlacedFile, to: PlacedFile, { signal, progress }: CopyOptions): Promise<Copied> {
  const source = await from.files.look(from.path, true);
  if (source === undefined) {
    throw new Failure('not-found', 'source-not-found', `${from.files.describe(from.path)} does not exist`);
  }
  const target = await targetOf(from, source, to);
  const planned = await plan(from, source, signal);
  const total = planned.reduce((sum, { entry }) => sum + (entry.kind === 'file' ? entry.size : 0), 0);
  const counts = { files: 0, folders: 0, links: 0, bytes: 0 };
  let reportedAt = -Infinity;
  const report = (state: 'active' | 'done' | 'failed') => {
    const now = performance.now();
    if (state === 'active' && now - reportedAt < reportEveryMs) return;
    reportedAt = now;
    const id = from.files.describe(from.path);
    progress({ type: 'step', id, phase: 'copy', state, current: counts.bytes, total: Math.max(total, counts.bytes) });
  };
  const existing = await to.files.look(target, true);
  const isNewFolder = source.kind === 'folder' && existing === undefined;
  const root = isNewFolder ? beside(to.files, target) : target;
  // What is left in a folder without a name is left with it.
  const left = isNewFolder ? ignoreProgress : progress;
  try {
    report('active');
    await each(planned, async ({ names, entry }) => {
      signal.throwIfAborted();
      const place = { files: to.files, path: names.reduce((folder, name) => to.files.join(folder, name), root) };
      const origin = {
        files: from.files,
        path: names.reduce((folder, name) => from.files.join(folder, name), from.path),
      };
      if (entry.kind === 'folder') {
        counts.folders++;
        // Whoever is copied from may have planted a link before that leads elsewhere: only one that the user names is followed.
        const there = await to.files.look(place.path, names.length === 0);
        if (there?.kind === 'link') throw inTheWay(to.files, place.path);
        // Writable until all is in it.
        if (there?.kind !== 'folder') await to.files.makeFolder(place.path, 0o700);
      } else if (entry.kind === 'link') {
        counts.links++;
        const link = await from.files.readLink(origin.path);
        await named(place, left, (draft) => to.files.makeLink(draft, link));
      } else if (entry.kind === 'file') {
        await named(place, left, async (draft) => {
          const draftFile = { files: to.files, path: draft };
          await copyFile(origin, entry, draftFile, signal, (bytes) => {
            counts.bytes += bytes;
            report('active');
          });
        });
        counts.files++;
      } else {
        const text = `${origin.files.describe(origin.path)} is neither a file nor a folder nor a link, and was left out`;
        progress({ type: 'notice', level: 'warning', text });
      }
    });
    for (const { names, entry } of planned.filter((one) => one.entry.kind === 'folder').reverse()) {
      await to.files.setFolder(
        names.reduce((folder, name) => to.files.join(folder, name), root),
        entry,
      );
    }
    if (isNewFolder) await to.files.rename(root, target);
  } catch (error) {
    report('failed');
    if (isNewFolder) await discard({ files: to.files, path: root }, progress);
    throw error;
  }
  report('done');
  return { ...counts, path: target };
}

async function targetOf(from: PlacedFile, source: FileEntry, to: PlacedFile): Promise<string> {
  const existing = await to.files.look(to.path, true);
  if (existing?.kind === 'folder') {
    const inside = to.files.join(to.path, baseName(from));
    const there = await to.files.look(inside, true);
    if (there !== undefined && (there.kind === 'folder') !== (source.kind === 'folder'))
      throw inTheWay(to.files, inside);
    return inside;
  }
  if (existing !== undefined && source.kind === 'folder') throw inTheWay(to.files, to.path);
  if (existing === undefined && /[/\\]$/.test(to.path) && source.kind !== 'folder') {
    const message = `the folder ${to.files.describe(to.path)} does not exist`;
    throw new Failure('not-found', 'target-folder-not-found', message, {
      hint: 'Make it first, or leave the last / away',
    });
  }
  return to.path.replace(/(?<=.)\/+$/, '');
}

function inTheWay(files: Files, path: string): Failure {
  return new Failure('refused', 'target-in-the-way', `${files.describe(path)} exists and is of another kind`, {
    hint: 'Remove it, or give another name',
  });
}

/** The last name of a path; a path that has none, such as `/` or `..`, cannot say how its copy is to be called. */
function baseName({ files, path }: PlacedFile): string {
  const name = files.nameOf(path);
  if (name !== '' && name !== '.' && name !== '..') return name;
  throw new Failure('usage', 'copy-needs-name', `a copy of ${files.describe(path)} needs a name`, {
    hint: 'Give a target that does not exist yet',
  });
}

/** Everything to copy, folders before what is in them. */
async function plan(from: PlacedFile, source: FileEntry, signal: AbortSignal): Promise<PlannedEntry[]> {
  const planned: PlannedEntry[] = [{ names: [], entry: source }];
  for (const { names, entry } of planned) {
    if (entry.kind !== 'folder') continue;
    signal.throwIfAborted();
    const folder = names.reduce((path, name) => from.files.join(path, name), from.path);
    const found = await Promise.all(
      (await from.files.list(folder)).toSorted().map(async (name) => {
        requireName(name, from.files.describe(folder));
        const inside = await from.files.look(from.files.join(folder, name), false);
        return inside === undefined ? [] : { names: [...names, name], entry: inside };
      }),
    );
    planned.push(...found.flat());
  }
  return planned;
}

/** Fails for what a device calls a name and is a way out of the folder that is copied to. */
function requireName(name: string, folder: string): void {
  if (path.basename(name) === name && !['', '.', '..'].includes(name) && !name.includes('\0')) return;
  const message = `${folder} is said to contain ${JSON.stringify(name)}, which is no name of a file`;
  throw new Failure('refused', 'not-a-file-name', message, {
    hint: 'Nothing was copied. Ask yourself whether the device is in the right hands',
  });
}

/** Does something with every entry: folders one after the other, as what is in them needs them, then all else, several at once. */
async function each(planned: readonly PlannedEntry[], work: (one: PlannedEntry) => Promise<void>): Promise<void> {
  for (const one of planned) if (one.entry.kind === 'folder') await work(one);
  const others = planned.filter((one) => one.entry.kind !== 'folder')[Symbol.iterator]();
  let hasFailed = false;
  const goOn = async () => {
    for (const one of others) {
      if (hasFailed) return;
      try {
        await work(one);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: filesAtOnce }, goOn));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** Makes something under another name and gives it its own when it is complete. */
async function named(
  { files, path }: PlacedFile,
  left: ProgressListener,
  make: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = beside(files, path);
  try {
    await make(draft);
    await files.rename(draft, path);
  } catch (error) {
    await discard({ files, path: draft }, left);
    throw error;
  }
}

/** Removes what has no name yet; tells what stays, where the device does not answer any more. */
async function discard({ files, path }: PlacedFile, progress: ProgressListener): Promise<void> {
  try {
    await removeAll(files, path);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const text = `${files.describe(path)} is left behind: ${error.message}`;
    progress({ type: 'notice', level: 'warning', text });
  }
}

function beside(files: Files, path: string): string {
  return files.join(files.folderOf(path), `.davit-${randomBytes(8).toString('hex')}.partial`);
}

async function removeAll(files: Files, path: string): Promise<void> {
  const entry = await files.look(path, false);
  if (entry === undefined) return;
  if (entry.kind !== 'folder') return files.remove(path);
  for (const name of await files.list(path)) await removeAll(files, files.join(path, name));
  return files.removeFolder(path);
}
