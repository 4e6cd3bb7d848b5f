import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { insideFolder, noDockerfile, readIfThere } from './build-source.js';
import type { Composition, Place } from './composition.js';
import { singleServiceComposition } from './single-service.js';

/** Which project is meant, and how it is to be read. */
export interface ProjectRequest {
  /** The project folder, as the user named it. */
  readonly folder: string;
  /** Compose files, or one Dockerfile, relative to the folder; those with the usual names where there are none. */
  readonly files?: readonly string[] | undefined;
  /** Profiles whose services belong to it; `*` is all. */
  readonly profiles?: readonly string[] | undefined;
}

/** A project as it was read, for no device in particular; `readBuildSource` tells what each of its services is built from. */
export interface Project {
  readonly composition: Composition;
  /** Where a value of the composition was written, or what it belongs to: `placeOf(['services', 'web', 'ports', 0])`. */
  readonly placeOf: (path: readonly (string | number)[]) => Place | undefined;
}

const composeFiles = ['docker-compose.yml', 'docker-compose.yaml'];

/** Reads a project without asking a device anything. */
export async function readProject({ folder: named, files = [] }: ProjectRequest): Promise<Project> {
  const folder = path.resolve(named);
  const [file] = files;
  await requireFolder(folder);
  if (file === undefined) await refuseCompose(folder);
  const base = path.join(folder, insideFolder(folder, file ?? 'Dockerfile'));
  const siblings = await readdir(path.dirname(base)).catch((error: unknown) => {
    throw whileDoing(`reading ${path.dirname(base)}`, error);
  });
  const name = path.basename(base);
  if (!siblings.some((one) => one === name || one.startsWith(`${name}.`))) throw noDockerfile(folder, name);
  return {
    composition: singleServiceComposition(path.basename(folder), folder, file && insideFolder(folder, file)),
    placeOf: () => undefined,
  };
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
