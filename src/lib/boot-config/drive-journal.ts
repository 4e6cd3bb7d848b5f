import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Drive } from '../drives/drive.js';
import { driveKey } from '../drives/drive-key.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { BlockFile } from '../image/block-file.js';
import type { StagedChanges } from '../image/overlay.js';
import { applyStages, stateOf, undoStages } from '../image/staged-changes.js';
import { encodeUndoJournal, parseUndoJournal } from '../image/undo-journal.js';
import { DraftFile } from '../platform/draft-file.js';
import { folders } from '../platform/environment.js';
import { ownProcess } from '../platform/process-identity.js';

/** Without a journal, which stays behind with this computer, a drive has to be sound at any moment. */
const inOrder = { inOrder: true } as const;

/**
 * What is kept of a change of a drive in davit's state folder. A drive that was pulled in the middle of a change is sound, but some of its
 * files may be old and some new, and some of its space lost; with this, the next davit takes the change back. Whoever uses it has the drive
 * for themselves.
 */
export class DriveJournal {
  readonly #file: string;

  private constructor(file: string) {
    this.#file = file;
  }

  static async of(drive: Drive): Promise<DriveJournal> {
    return new DriveJournal(path.join(folders.state(), 'configure', `${await driveKey(drive)}.undo`));
  }

  /** Whether there is one, of a change that was not completed. */
  async exists(): Promise<boolean> {
    return (await this.#read()) !== undefined;
  }

  /** Makes a change. */
  async apply(drive: BlockFile, changes: StagedChanges): Promise<void> {
    await this.#write(changes);
    try {
      await applyStages(drive, changes, inOrder);
    } catch (error) {
      // A drive that failed is likely to fail again; then the journal stays for the next command, and what failed first says why.
      await undoStages(drive, changes, inOrder).then(
        () => rm(this.#file, { force: true }),
        () => undefined,
      );
      throw error;
    }
    await rm(this.#file, { force: true });
  }

  /** Takes back what was not completed, and tells whether there was anything to be taken back. */
  async takeBack(drive: BlockFile): Promise<boolean> {
    const changes = await this.#read();
    if (changes === undefined) return false;
    // Something else may have changed the drive since, such as the device that it is for; then it is left as it is.
    const isBetween = (await stateOf(drive, changes)) === 'between';
    if (isBetween) await undoStages(drive, changes, inOrder);
    await rm(this.#file, { force: true });
    return isBetween;
  }

  async #read(): Promise<StagedChanges | undefined> {
    try {
      return parseUndoJournal(await readFile(this.#file, 'utf8'))?.changes;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw whileDoing(`reading ${this.#file}`, error);
    }
  }

  async #write(changes: StagedChanges): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    const draft = await DraftFile.begin(this.#file, { mayOverwrite: true, mode: 0o600 });
    try {
      const facts = { owner: await ownProcess(), inode: 0, accessedMs: 0, modifiedMs: 0 };
      await draft.handle.writeFile(encodeUndoJournal({ ...facts, changes }));
      await draft.complete();
    } finally {
      await draft.discard();
    }
  }
}
