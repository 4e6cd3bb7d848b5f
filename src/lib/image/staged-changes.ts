import type { BlockReader, BlockWriter } from './block-file.js';
import { applyChanges, type ChangedRange, sectorSize, type StagedChanges } from './overlay.js';

/** A file or drive that can be changed and waits for its medium when told to. */
export interface ChangeableBlocks extends BlockReader, BlockWriter {
  sync(): Promise<void>;
}

/** How sure it has to be that what is written first is there first. */
export interface StageOptions {
  /** Whether each stage has to be on the medium before the next is begun, or only all of them in the end. */
  readonly inOrder: boolean;
}

/** Makes changes, one stage after the other, and waits until they are on the medium. */
export async function applyStages(
  blocks: ChangeableBlocks,
  { stages }: StagedChanges,
  { inOrder }: StageOptions,
): Promise<void> {
  for (const [index, stage] of stages.entries()) {
    await applyChanges(blocks, stage);
    if (inOrder || index === stages.length - 1) await blocks.sync();
  }
}

/** How far changes have come: not at all, to the end, in between, or `unknown` when something else has been written where they go. */
export type ChangeState = 'old' | 'new' | 'between' | 'unknown';

/** Finds out how far changes have come. A sector holds one of the contents that it is given in turn, or it was written by somebody else. */
export async function stateOf(reader: BlockReader, changes: StagedChanges): Promise<ChangeState> {
  let isOld = true;
  let isNew = true;
  for (const [offset, contents] of contentsOf(changes)) {
    const first = contents[0]?.data;
    const last = contents.at(-1)?.data;
    if (first === undefined || offset + first.length > reader.size) return 'unknown';
    const now = await reader.read(offset, first.length);
    if (!contents.some(({ data }) => data.equals(now))) return 'unknown';
    isOld &&= first.equals(now);
    isNew &&= last?.equals(now) === true;
  }
  if (isOld) return 'old';
  return isNew ? 'new' : 'between';
}

/**
 * Takes changes back that were made in part, the last stage first, so that on the way back nothing is there that was not there on the way
 * forth either. What holds its old content is not written.
 */
export async function undoStages(
  blocks: ChangeableBlocks,
  changes: StagedChanges,
  { inOrder }: StageOptions,
): Promise<void> {
  const contents = [...contentsOf(changes)];
  for (let stage = changes.stages.length - 1; stage >= 0; stage -= 1) {
    let isWritten = false;
    for (const [offset, ofSector] of contents) {
      const index = ofSector.findIndex((one) => one.stage === stage);
      const wanted = ofSector[index - 1]?.data;
      if (wanted === undefined || wanted.equals(await blocks.read(offset, wanted.length))) continue;
      await blocks.write(offset, wanted);
      isWritten = true;
    }
    if (isWritten && inOrder) await blocks.sync();
  }
  await blocks.sync();
}

interface SectorContent {
  /** -1 is before all stages. */
  readonly stage: number;
  readonly data: Buffer;
}

/** What each sector is to hold in turn, by its offset. */
function contentsOf({ before, stages }: StagedChanges): Map<number, SectorContent[]> {
  const contents = new Map<number, SectorContent[]>();
  for (const [stage, ranges] of [before, ...stages].entries()) {
    for (const { offset, data } of ranges.flatMap(sectorsOf)) {
      contents.set(offset, [...(contents.get(offset) ?? []), { stage: stage - 1, data }]);
    }
  }
  return contents;
}

function sectorsOf({ offset, data }: ChangedRange): ChangedRange[] {
  return Array.from({ length: Math.ceil(data.length / sectorSize) }, (_, index) => ({
    offset: offset + index * sectorSize,
    data: data.subarray(index * sectorSize, (index + 1) * sectorSize),
  }));
}
