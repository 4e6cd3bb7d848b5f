import { lstat, readFile, realpath, unlink } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { DraftFile } from '../platform/draft-file.js';
import { isProcessGone, ownProcess, processNumber } from '../platform/process-identity.js';
import { type BlockFile, openBlockFile } from './block-file.js';
import type { StagedChanges } from './overlay.js';
import { applyStages, stateOf, undoStages } from './staged-changes.js';
import { encodeUndoJournal, parseUndoJournal, type UndoJournal } from './undo-journal.js';

/** Whoever finds the journal takes all writes back, so that they need not reach the disk in any order. */
const anyOrder = { inOrder: false } as const;

/**
 * Changes an image file, all or nothing: what is there is kept in a journal beside it until the change is on the disk, and `restoreImage`
 * takes back what a process that was killed had done. Only one process at a time has such a journal.
 *
 * @param requireUnchanged fails when the image is no longer what the change was planned for; called when nobody else can change it any more
 */
export async function changeImage(
  file: BlockFile,
  changes: StagedChanges,
  requireUnchanged: () => Promise<void>,
): Promise<void> {
  // Who knows it by another name does not see the journal; a lock takes a tenth of the time of all this, so only then.
  if ((await file.stat()).nlink > 1n && !(await file.lock())) throw imageInUse(file.path);
  const journal = await writeJournal(file, changes);
  try {
    await requireUnchanged();
  } catch (error) {
    // What is there now is somebody else's, and must not be taken back.
    await removeJournal(file.path);
    throw error;
  }
  try {
    await applyStages(file, changes, anyOrder);
  } catch (error) {
    // Where even that fails, the journal stays for the next command, and what failed first says why.
    await takeBack(file, journal).then(
      () => removeJournal(file.path),
      () => undefined,
    );
    throw error;
  }
  await removeJournal(file.path);
}

/** An image file that is open for reading, and what had to be done to it before. */
export interface OpenImageFile {
  readonly file: BlockFile;
  readonly notices: readonly string[];
}

/** Opens an image file or a drive for reading, as it was before a change that was not completed. The caller closes it. */
export async function openImageFile(path: string): Promise<OpenImageFile> {
  const notices = await restoreImage(path);
  return { file: await openBlockFile(path), notices };
}

/**
 * Puts an image file back into the state that it had before a change that was not completed, if there was one, and tells what was done.
 * Fails with `image-in-use` while another process is at it, and when the image cannot be written.
 */
export async function restoreImage(image: string): Promise<readonly string[]> {
  // Whoever opens it says what is wrong with it.
  const path = await realpath(image).catch(() => image);
  if ((await readJournal(path)) === undefined) return [];
  const file = await openForRestoring(path);
  try {
    // Of two commands that find the same journal, one works on it.
    if (!(await file.lock())) throw imageInUse(path);
    const journal = await readJournal(path);
    const notices = journal === undefined || journal === 'damaged' ? [] : await restore(file, journal);
    await removeJournal(path);
    return notices;
  } finally {
    await file.close();
  }
}

async function restore(file: BlockFile, journal: UndoJournal): Promise<readonly string[]> {
  const { path } = file;
  switch (await stateOf(file, journal.changes)) {
    case 'between':
      await takeBack(file, journal);
      return [`${path} was being changed when davit was ended: it is as it was before that`];
    case 'new':
      await file.sync();
      return [];
    case 'old':
      return [];
    case 'unknown':
      if (journal.inode === Number((await file.stat()).ino)) throw halfChanged(path);
      return [`${journalOf(path)} was left by a change of another image of that name, and is removed`];
  }
}

async function takeBack(file: BlockFile, { changes, accessedMs, modifiedMs }: UndoJournal): Promise<void> {
  await undoStages(file, changes, anyOrder);
  await file.setTimes(accessedMs, modifiedMs);
}

function journalOf(path: string): string {
  return `${path}.davit-undo`;
}

async function writeJournal(file: BlockFile, changes: StagedChanges): Promise<UndoJournal> {
  const { ino, uid, gid, mode, atimeMs, mtimeMs } = await file.stat();
  const journal = {
    ...{ owner: await ownProcess(), inode: Number(ino), changes },
    ...{ accessedMs: Number(atimeMs), modifiedMs: Number(mtimeMs) },
  };
  try {
    // Whoever may read and write the image may do so with what is kept of it.
    const draft = await DraftFile.begin(journalOf(file.path), { mayOverwrite: false, mode: 0o600 });
    try {
      await draft.handle.writeFile(encodeUndoJournal(journal));
      if (process.getuid?.() === 0) await draft.handle.chown(Number(uid), Number(gid));
      await draft.handle.chmod(Number(mode) & 0o666);
      await draft.complete();
    } finally {
      await draft.discard();
    }
  } catch (error) {
    if (error instanceof Failure && error.code === 'output-exists') throw imageInUse(file.path);
    throw whileDoing(`changing ${file.path} in place`, error, {
      hint: 'A file has to be made beside it while it is changed; write a copy elsewhere with --output',
    });
  }
  return journal;
}

async function removeJournal(path: string): Promise<void> {
  try {
    await unlink(journalOf(path));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw whileDoing(`removing ${journalOf(path)}, which is no longer needed`, error, {
      hint: 'Run the command as the user who may remove it, or remove it',
    });
  }
}

/** The journal of a process that is gone; undefined when there is none. */
async function readJournal(path: string): Promise<UndoJournal | 'damaged' | undefined> {
  let text: string;
  try {
    // What is no file was not left by davit, and a pipe might never end.
    if (!(await lstat(journalOf(path))).isFile()) return undefined;
    text = await readFile(journalOf(path), 'utf8');
  } catch (error) {
    const isMissing = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(systemErrorCode(error) ?? '');
    if (isMissing) return undefined;
    throw whileDoing(`reading ${journalOf(path)}, by which a change of ${path} is taken back`, error, restoreHint);
  }
  const journal = parseUndoJournal(text);
  if (journal === undefined) return 'damaged';
  if (!(await isProcessGone(journal.owner))) throw imageInUse(path, journal.owner);
  return journal;
}

const restoreHint = { hint: 'Run the command as the user who may write the image, where it can be written' };

async function openForRestoring(path: string): Promise<BlockFile> {
  try {
    return await openBlockFile(path, { writable: true });
  } catch (error) {
    throw whileDoing(`restoring ${path}, whose change was not completed`, error, restoreHint);
  }
}

function imageInUse(path: string, owner?: string): Failure {
  const who = owner === undefined ? '' : ` (process ${processNumber(owner)})`;
  return new Failure('refused', 'image-in-use', `${path} is being changed by another davit${who}`, {
    hint: `Wait until it is done. If no davit is running on any computer that has the image, get it again and remove ${journalOf(path)}`,
  });
}

function halfChanged(path: string): Failure {
  return new Failure(
    'refused',
    'image-half-changed',
    `a change of ${path} was not completed, and something else has changed it since, so that it cannot be taken back`,
    { hint: `Get the image again. If it is as you want it, remove ${journalOf(path)}` },
  );
}
