import path from 'node:path';
import type { Path } from '../boot-config/problem.js';
import { Failure } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { readUserFile } from '../platform/read-user-file.js';
import type { Place } from './composition.js';
import { parseEnvFile } from './env-file.js';
import type { UnsetVariable } from './interpolate-tree.js';
import type { Variables } from './interpolation.js';
import type { Problems } from './problems.js';
import type { Tree } from './tree.js';
import { parseYamlTree } from './yaml-tree.js';

/** Everything that the files of one project share while they are read. */
export interface FilesContext {
  /** What a file is called in messages. */
  readonly shown: (file: string) => string;
  readonly problems: Problems;
  readonly onUnset: (variable: UnsetVariable) => void;
  readonly signal: AbortSignal | undefined;
}

const mostBytes = 16 * 1024 * 1024;

/** The text of a file of the project, or undefined where there is none. */
export async function readProjectFile(file: string, signal?: AbortSignal): Promise<string | undefined> {
  try {
    const options = { most: mostBytes, ...(signal === undefined ? {} : { signal }) };
    return (await readUserFile(file, options)).bytes.toString();
  } catch (error) {
    const code = error instanceof Failure ? systemErrorCode(error.cause) : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The tree of a file that another one names; that it cannot be read is told at the place that does. */
export async function parseNamedFile(
  file: string,
  namedAt: Place,
  path: Path,
  { problems, shown, signal }: FilesContext,
): Promise<Tree | undefined> {
  const text = await readProjectFile(file, signal);
  if (text !== undefined) return parseYamlTree(text, shown(file), problems);
  problems.report(namedAt, path, `names ${shown(file)}, which is not there`);
  return undefined;
}

/** Variables with those of env files below them: of the files that are named, or of the `.env` of the folder if it is there. */
export async function variablesUnder(
  above: Variables,
  { named, folder }: { readonly named: readonly string[] | undefined; readonly folder: string },
  { shown, problems, signal }: FilesContext,
  missing: (file: string) => void,
): Promise<Variables> {
  const found = new Map<string, string>();
  const variables: Variables = (name) => above(name) ?? found.get(name);
  for (const file of named ?? [path.join(folder, '.env')]) {
    const text = await readProjectFile(file, signal);
    if (text === undefined && named !== undefined) missing(file);
    for (const [name, { value }] of parseEnvFile(text ?? '', shown(file), variables, problems)) found.set(name, value);
  }
  return variables;
}
