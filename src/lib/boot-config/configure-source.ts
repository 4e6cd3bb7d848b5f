import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { BlockFile, openBlockFile } from '../image/block-file.js';
import { runsWithData } from '../image/copy-image.js';
import { readDmgTrailer } from '../image/dmg-trailer.js';
import { type ChangedRanges, layChangesOver } from '../image/overlay.js';
import { readPartitionTable } from '../image/partition-table.js';
import { type ImageSource, openImageSource, type SourceOptions } from '../image/source.js';
import { findSourceChecks, type SourceCheckRequest } from '../image/source-checks.js';
import { detectFormat, formatHeadSize } from '../image/source-format.js';
import { httpUrl, shownLocation } from '../image/source-location.js';
import { type SourceFindings, SourceProof } from '../image/source-proof.js';
import { DraftFile } from '../platform/draft-file.js';
import { shellWord } from '../platform/shell-word.js';
import type { ConfiguredImage, ConfigureImageOptions } from './configure-image.js';
import { configuredName, requireOutput } from './configured-name.js';
import { configuredImage, requireWhole } from './plan-image-configuration.js';
import { planSourceConfiguration } from './plan-source-configuration.js';
import { writeHints } from './write-hints.js';

/** How an image is read that comes in order, because it is packed, from a server or from standard input. */
export interface SourceReading extends Pick<SourceOptions, 'entry' | 'chooseEntry' | 'standardInput'> {
  /** What it is compared with. */
  readonly checks?: SourceCheckRequest;
  /** Whether the SHA-256 of the image is wanted. */
  readonly hash?: boolean;
}

/** Whether an image has to be read in order: it is packed, at a URL or standard input, or all of it is to be compared with something. */
export async function isReadInOrder(image: string, reading: SourceReading): Promise<boolean> {
  if (image === '-' || httpUrl(image) !== undefined || isProofAsked(reading)) return true;
  const file = await openBlockFile(image);
  try {
    const head = await file.read(0, Math.min(formatHeadSize, file.size));
    return detectFormat(head, image) !== 'raw' || (await readDmgTrailer(file)) !== undefined;
  } finally {
    await file.close();
  }
}

function isProofAsked({ checks = {}, hash = false }: SourceReading): boolean {
  const { checksums, ...others } = checks;
  const isListAsked = checksums !== undefined && checksums !== 'none';
  return hash || isListAsked || Object.values(others).some((value) => value !== undefined);
}

/**
 * Writes an image that comes in order into a new file, unpacked, with holes where it has only zeros, and with the configuration laid over it,
 * in one pass after its boot partition was looked at. The file gets its name when it is complete and the image was proven to be the right one.
 */
export async function configureSource(
  options: ConfigureImageOptions,
  reading: SourceReading,
): Promise<ConfiguredImage> {
  const { image, target, request, isDryRun, signal, progress } = options;
  if (target.kind === 'in-place') throw notInPlace(image, reading);
  const output = target.kind === 'new-file' ? await chooseOutput(image, target) : shownLocation(image);
  const checks = await findSourceChecks(image, reading.checks ?? {}, signal);
  const proof = new SourceProof(checks, reading.hash ?? false);
  try {
    const source = await openImageSource(image, { ...reading, proof, signal, progress });
    try {
      const plan = await planSourceConfiguration(source, request, options);
      const isWritten = target.kind === 'new-file' && !isDryRun;
      const configured = configuredImage(plan, { image: source.name, target }, { output, isWritten });
      if (target.kind !== 'new-file' || isDryRun) return configured;
      const { mayOverwrite } = target;
      const findings = await writeConfigured(source, plan.changes, { output, mayOverwrite, proof, signal, progress });
      return findings === undefined ? configured : { ...configured, findings };
    } finally {
      await source.close();
    }
  } finally {
    await proof.close();
  }
}

function notInPlace(image: string, reading: SourceReading): Failure {
  const isFile = image !== '-' && httpUrl(image) === undefined;
  const why = isFile && isProofAsked(reading) ? 'is to be proven while it is copied' : 'is not an unpacked file';
  const output = isFile ? `--output ${shellWord(configuredName(image))}` : 'name it with --output';
  return new Failure(
    'refused',
    'in-place-impossible',
    `${shownLocation(image)} ${why}, so that it cannot be changed in place`,
    {
      hint: `Write a new, unpacked image instead: ${output}`,
    },
  );
}

async function chooseOutput(
  image: string,
  { path, mayOverwrite }: { readonly path: string | undefined; readonly mayOverwrite: boolean },
): Promise<string> {
  const isFile = image !== '-' && httpUrl(image) === undefined;
  if (path === undefined && !isFile) {
    throw new Failure(
      'usage',
      'output-needed',
      'an image that is no file has no place beside it for the configured one',
      {
        hint: 'Name the configured image with --output',
      },
    );
  }
  const output = path ?? configuredName(image);
  await requireOutput(output, mayOverwrite, isFile ? image : undefined);
  return output;
}

interface WriteRequest extends Pick<ConfigureImageOptions, 'signal' | 'progress'> {
  readonly output: string;
  readonly mayOverwrite: boolean;
  readonly proof: SourceProof;
}

async function writeConfigured(
  source: ImageSource,
  changes: ChangedRanges,
  request: WriteRequest,
): Promise<SourceFindings | undefined> {
  const { output, mayOverwrite, proof, signal } = request;
  try {
    // It may hold secrets that the source does not.
    const draft = await DraftFile.begin(output, { mayOverwrite, mode: 0o600 });
    try {
      const size = await writeContent(source, changes, draft, request);
      await draft.handle.truncate(size);
      await source.requireUnchanged();
      requireWhole(await readPartitionTable(new BlockFile(output, draft.handle, size, false)), size);
      const findings = proof.readsContent ? await proof.finish() : undefined;
      if (source.file !== undefined) await draft.handle.chmod(Number((await source.file.blocks.stat()).mode) & 0o777);
      if (signal.aborted) throw interrupted();
      await draft.complete();
      return findings;
    } finally {
      await draft.discard();
    }
  } catch (error) {
    const hint = writeHints[systemErrorCode(error instanceof Failure ? error.cause : error) ?? ''];
    throw whileDoing(`configuring ${source.name}`, error, hint === undefined ? {} : { hint });
  }
}

const windowSize = 4 * 1024 * 1024;

/** Writes an image while the next part of it is being unpacked; gives its size. */
async function writeContent(
  source: ImageSource,
  changes: ChangedRanges,
  draft: DraftFile,
  { output, proof, signal, progress }: WriteRequest,
): Promise<number> {
  // What is hashed in a thread of its own lies in shared memory.
  const windows = [0, 1].map(() => Buffer.from(new SharedArrayBuffer(windowSize)));
  const step = { type: 'step', id: output, phase: 'copy' } as const;
  let writing = Promise.resolve();
  let start = 0;
  let filled = 0;
  const flush = async () => {
    await writing;
    const bytes = windows[0]?.subarray(0, filled) ?? Buffer.alloc(0);
    progress({ ...step, state: 'active', ...progressOf(source, start) });
    writing = writeWindow(bytes, start, { draft, changes, proof });
    // Whoever writes next gets its failure.
    writing.catch(() => undefined);
    windows.reverse();
    start += filled;
    filled = 0;
  };
  for await (const chunk of source.stream) {
    if (signal.aborted) throw interrupted();
    for (let at = 0; at < chunk.length;) {
      const copied = windows[0] === undefined ? 0 : chunk.copy(windows[0], filled, at);
      at += copied;
      filled += copied;
      if (filled === windowSize) await flush();
    }
  }
  if (filled > 0) await flush();
  await writing;
  progress({ ...step, state: 'done', ...progressOf(source, start) });
  return start;
}

async function writeWindow(
  bytes: Buffer,
  start: number,
  { draft, changes, proof }: { draft: DraftFile; changes: ChangedRanges; proof: SourceProof },
): Promise<void> {
  if (proof.readsContent) await proof.takeContent(bytes);
  layChangesOver(bytes, start, changes);
  for (const run of runsWithData(bytes)) {
    for (let at = run.start; at < run.end;) {
      at += (await draft.handle.write(bytes, at, run.end - at, start + at)).bytesWritten;
    }
  }
}

/** How far an image has been read: in bytes of it, or, where nobody knows how many it has, in packed ones. */
function progressOf(source: ImageSource, written: number): { readonly current: number; readonly total?: number } {
  if (source.size !== undefined && source.format !== 'zstd') return { current: written, total: source.size };
  const { current, total } = source.packedProgress();
  return total === undefined ? { current: written } : { current, total };
}
