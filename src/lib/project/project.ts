import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { fillTemplate, type TemplateValues } from './dockerfile-template.js';
import { type IgnoreRules, parseIgnoreRules } from './ignore-rules.js';

/** A project folder as it is to be built for one device. */
export interface Project {
  readonly folder: string;
  readonly dockerfile: {
    /** The file it comes from, relative to the folder: `Dockerfile.template`. */
    readonly source: string;
    /** Where the engine finds it in the build context: `Dockerfile`. */
    readonly path: string;
    /** Its text, with variables filled in. */
    readonly text: string;
    /** Whether the file at `path` on disk is not what is to be built. */
    readonly isDerived: boolean;
  };
  readonly rules: IgnoreRules;
  readonly hasDockerignore: boolean;
}

const composeFiles = ['docker-compose.yml', 'docker-compose.yaml'];

/**
 * Reads a project: its Dockerfile for the device (`Dockerfile.<device type>` before `Dockerfile.<architecture>` before
 * `Dockerfile.template` before `Dockerfile`) and its ignore rules.
 *
 * @param file another name in the place of `Dockerfile`, relative to the folder
 */
export async function readProject(folder: string, file: string | undefined, values: TemplateValues): Promise<Project> {
  const base = insideFolder(folder, file ?? 'Dockerfile');
  for (const candidate of candidates(base, values)) {
    const text = await readIfThere(path.join(folder, candidate));
    if (text === undefined) continue;
    const isDerived = candidate !== base;
    const ignoreText = await readIfThere(path.join(folder, '.dockerignore'));
    return {
      folder,
      dockerfile: {
        source: candidate,
        path: base,
        text: isDerived ? fillTemplate(text, values, candidate) : text,
        isDerived,
      },
      rules: parseIgnoreRules(ignoreText ?? '', '.dockerignore'),
      hasDockerignore: ignoreText !== undefined,
    };
  }
  throw noDockerfile(folder, candidates(base, values).join(', no '));
}

function candidates(base: string, { deviceType, architecture }: TemplateValues): readonly string[] {
  const suffixes = [deviceType, architecture, 'template'].filter((suffix) => suffix !== undefined);
  return [...suffixes.map((suffix) => `${base}.${suffix}`), base];
}

/** Refuses what cannot be a project for any device, before a device is asked anything. */
export async function checkProject(folder: string, file: string | undefined): Promise<void> {
  await requireFolder(folder);
  if (file === undefined) await refuseCompose(folder);
  const base = path.join(folder, insideFolder(folder, file ?? 'Dockerfile'));
  const siblings = await readdir(path.dirname(base)).catch((error: unknown) => {
    throw whileDoing(`reading ${path.dirname(base)}`, error);
  });
  const name = path.basename(base);
  if (!siblings.some((one) => one === name || one.startsWith(`${name}.`))) throw noDockerfile(folder, name);
}

function noDockerfile(folder: string, names: string): Failure {
  return new Failure('not-found', 'dockerfile-not-found', `${folder} has no ${names}`, {
    hint: 'Name the project folder with --source and the Dockerfile with --file',
  });
}

async function requireFolder(folder: string): Promise<void> {
  try {
    if ((await stat(folder)).isDirectory()) return;
  } catch (error) {
    throw whileDoing(`opening the project folder ${folder}`, error, { hint: 'Name the project folder with --source' });
  }
  throw new Failure('usage', 'not-a-folder', `${folder} is not a folder`, {
    hint: 'Name the project folder with --source',
  });
}

async function refuseCompose(folder: string): Promise<void> {
  for (const name of composeFiles) {
    if ((await readIfThere(path.join(folder, name))) === undefined) continue;
    throw new Failure(
      'refused',
      'compose-unsupported',
      `${folder} has a ${name}, and this version pushes only single Dockerfiles`,
      {
        hint: 'To build one Dockerfile of it as the service "main", name it with --file',
      },
    );
  }
}

function insideFolder(folder: string, file: string): string {
  const relative = path.relative(folder, path.resolve(folder, file));
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative)) {
    throw new Failure('usage', 'dockerfile-outside', `${file} is not a file inside ${folder}`);
  }
  return relative.split(path.sep).join('/');
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return undefined;
    throw whileDoing(`reading ${file}`, error);
  }
}
