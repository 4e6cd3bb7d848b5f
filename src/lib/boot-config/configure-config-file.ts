import { realpath, stat } from 'node:fs/promises';
import { whileDoing } from '../failure/while-doing.js';
import { DraftFile } from '../platform/draft-file.js';
import { type BootConfigurationRequest, layersOf, planAnswered } from './boot-configuration-request.js';
import { changedConfig, requireGoodValues, shownChange, type ShownConfigChange } from './changed-config.js';
import { checkConfig } from './config-check.js';
import { configChanges } from './config-json.js';
import { editWarnings, moveWarnings } from './config-warnings.js';
import type { ConfigureTarget } from './configure-image.js';
import { readExistingConfig } from './existing-config.js';
import { type FileDifference, fileDifferences } from './file-difference.js';
import { editedJson } from './json-edit.js';
import { problemText } from './problem.js';

/** What to change in a file that is a config.json, and how. */
export interface ConfigureConfigFileOptions {
  readonly file: string;
  /** What it holds. */
  readonly bytes: Buffer;
  readonly target: ConfigureTarget;
  readonly request: BootConfigurationRequest;
  /** Plan only. */
  readonly isDryRun: boolean;
  readonly signal: AbortSignal;
}

/** What was changed in a config.json file, or would be. */
export interface ConfiguredConfigFile {
  readonly file: string;
  /** The changed file. */
  readonly output: string;
  readonly config: readonly ShownConfigChange[];
  readonly warnings: readonly string[];
  readonly isChanged: boolean;
  /** False for a dry run, and for a change in place that had nothing to change. */
  readonly isWritten: boolean;
  /** What changes, with secrets hidden; only where the result goes nowhere. */
  readonly differences?: readonly FileDifference[];
}

/** Changes a file that is a config.json, as it is changed in an image; it is replaced as a whole once everything is good. */
export async function configureConfigFile(options: ConfigureConfigFileOptions): Promise<ConfiguredConfigFile> {
  const { file, bytes, target, request, isDryRun, signal } = options;
  const { content, changes, warnings } = await planAnswered(request, (known) => planFor(file, bytes, known));
  const isChanged = !content.equals(bytes);
  const output = target.kind === 'new-file' && target.path !== undefined ? target.path : await realpath(file);
  const result = { file, output, config: changes.map(shownChange), warnings, isChanged };
  if (target.kind === 'nowhere') {
    const differences = fileDifferences([{ path: 'config.json', before: bytes, after: content }]);
    return { ...result, isWritten: false, differences };
  }
  const isWritten = !isDryRun && (isChanged || target.kind === 'new-file');
  signal.throwIfAborted();
  if (isWritten) await writeLike(file, output, content, target.kind === 'in-place' || target.mayOverwrite);
  return { ...result, isWritten };
}

function planFor(file: string, bytes: Buffer, request: BootConfigurationRequest) {
  const layers = layersOf(request);
  const replacesBroken = layers.some((layer) => layer.replacesBrokenConfig === true);
  const before = readExistingConfig(bytes, { what: file, os: {}, replacesBroken });
  const after = layers.reduce(changedConfig, before.config);
  const changes = configChanges(before.config, after);
  requireGoodValues(after, changes);
  const isSame = changes.length === 0 && before.madeAnew === undefined;
  const bad = [...before.oddities, ...checkConfig(after)].map((problem) =>
    problemText(problem, file, before.locate(problem.path)),
  );
  return {
    content: isSame ? bytes : Buffer.from(editedJson(before.text, after)),
    changes,
    warnings: [
      ...layers.flatMap((layer) => layer.warnings ?? []),
      ...(before.madeAnew === undefined ? [] : [before.madeAnew]),
      ...moveWarnings(before.config, after),
      ...bad,
      ...layers.flatMap((layer) => editWarnings(layer.edits ?? [], before.config)),
    ],
  };
}

/** Writes a file that others may read as far as they may read another one. */
async function writeLike(file: string, output: string, content: Buffer, mayOverwrite: boolean): Promise<void> {
  const { mode, uid, gid } = await stat(file);
  const draft = await DraftFile.begin(output, { mayOverwrite, mode: 0o600 });
  try {
    await draft.handle.writeFile(content);
    const own = await draft.handle.stat();
    if (own.uid !== uid || own.gid !== gid) await draft.handle.chown(uid, gid);
    await draft.handle.chmod(mode & 0o7777);
    await draft.complete();
  } catch (error) {
    throw whileDoing(`writing ${output}`, error);
  } finally {
    await draft.discard();
  }
}
