import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { fillTemplate, type TemplateValues } from './dockerfile-template.js';
import { type IgnoreRules, parseIgnoreRules } from './ignore-rules.js';
import type { Project } from './project.js';

/** What the image of one service is built from, for one kind of device. */
export interface BuildSource {
  /** Absolute path of the build context. */
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

/**
 * Reads what a service is built from: its Dockerfile for the device (`Dockerfile.<device type>` before `Dockerfile.<architecture>`
 * before `Dockerfile.template` before `Dockerfile`) and its ignore rules. Undefined for a service that is not built.
 */
export async function readBuildSource(project: Project, values: TemplateValues): Promise<BuildSource | undefined> {
  const build = project.composition.services[values.service]?.build;
  if (build === undefined) return undefined;
  const folder = build.context;
  const base = insideFolder(folder, build.dockerfile ?? 'Dockerfile');
  for (const candidate of dockerfileCandidates(base, values)) {
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
  throw noDockerfile(folder, dockerfileCandidates(base, values).join(', no '));
}

function dockerfileCandidates(base: string, { deviceType, architecture }: TemplateValues): readonly string[] {
  const suffixes = [deviceType, architecture, 'template'].filter((suffix) => suffix !== undefined);
  return [...suffixes.map((suffix) => `${base}.${suffix}`), base];
}

/** The failure of a folder in which no Dockerfile of these names is. */
export function noDockerfile(folder: string, names: string): Failure {
  return new Failure('not-found', 'dockerfile-not-found', `${folder} has no ${names}`, {
    hint: 'Name the project folder with --source and the Dockerfile with --file',
  });
}

/** A path relative to a folder, with forward slashes; refuses one that is not inside. */
export function insideFolder(folder: string, file: string): string {
  const relative = path.relative(folder, path.resolve(folder, file));
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative)) {
    throw new Failure('usage', 'dockerfile-outside', `${file} is not a file inside ${folder}`);
  }
  return relative.split(path.sep).join('/');
}

/** The text of a file, or undefined where there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return undefined;
    throw whileDoing(`reading ${file}`, error);
  }
}
