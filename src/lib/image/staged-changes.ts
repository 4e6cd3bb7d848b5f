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
  const sectors: SectorState[] = [];
  for (const [offset, contents] of contentsOf(changes)) {
    sectors.push({ offset, contents, now: await blocks.read(offset, contents[0]?.data.length ?? 0) });
  }
  for (let stage = stageReached(sectors, changes.stages.length); stage >= 0; stage -= 1) {
    let isWritten = false;
    for (const sector of sectors) {
      const wanted = contentAfter(sector, stage - 1);
      if (!sector.contents.some((one) => one.stage === stage) || wanted.equals(sector.now)) continue;
      await blocks.write(sector.offset, wanted);
      sector.now = wanted;
      isWritten = true;
    }
    if (isWritten && inOrder) await blocks.sync();
  }
  await blocks.sync();
}

interface SectorState {
  readonly offset: number;
  readonly contents: readonly SectorContent[];
  now: Buffer;
}

/** The first stage that may have been under way; the last one when nothing went in order. */
function stageReached(sectors: readonly SectorState[], stages: number): number {
  for (let stage = 0; stage < stages; stage += 1) {
    const isPossible = (sector: SectorState) =>
      contentAfter(sector, stage - 1).equals(sector.now) || contentAfter(sector, stage).equals(sector.now);
    if (sectors.every(isPossible)) return stage;
  }
  return stages - 1;
}

function contentAfter({ contents, now }: SectorState, stage: number): Buffer {
  return contents.findLast((one) => one.stage <= stage)?.data ?? now;
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
