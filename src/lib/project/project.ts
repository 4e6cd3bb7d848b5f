import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { exactEnvironmentVariable } from '../platform/environment.js';
import { type BalenaSettings, readBalenaSettings } from './balena-settings.js';
import { insideFolder, noDockerfile, type SecretSource } from './build-source.js';
import { findComposeFiles } from './compose-files.js';
import type { Composition, Place } from './composition.js';
import { finishComposition } from './finish-composition.js';
import { projectName } from './finish-services.js';
import type { UnsetVariable } from './interpolate-tree.js';
import type { Variables } from './interpolation.js';
import { Problems } from './problems.js';
import { type FilesContext, variablesUnder } from './project-files.js';
import { readComposeFiles } from './read-compose.js';
import { singleImageComposition, singleServiceComposition } from './single-service.js';
import { entryOf, textOf } from './tree.js';

/** Which project is meant, and how it is to be read. */
export interface ProjectRequest {
  /** The project folder, as the user named it. */
  readonly folder: string;
  /** Compose files, or one Dockerfile, relative to the folder; those with the usual names where there are none. */
  readonly files?: readonly string[] | undefined;
  /** Profiles whose services belong to it, besides those of `COMPOSE_PROFILES`; `*` is all. */
  readonly profiles?: readonly string[] | undefined;
  /** Files with variables in the place of `.env`, relative to the folder. */
  readonly envFiles?: readonly string[] | undefined;
  /** Whether what git ignores stays out of build contexts, too. */
  readonly usesGitignore?: boolean;
  /** Whether text files with the line ends of Windows are sent with those of Unix; so it is by default where davit runs on Windows. */
  readonly convertsLineEnds?: boolean | undefined;
  /** What variables stand for before any file is asked; davit's own environment without it. */
  readonly environment?: Variables | undefined;
}

/** A project as it was read, for no device in particular; `readBuildSource` tells what each of its services is built from. */
export interface Project {
  readonly composition: Composition;
  /** The compose files, as the user would name them; none where there is only a Dockerfile. */
  readonly files: readonly string[];
  /** A file as the user would name it. */
  readonly shown: (file: string) => string;
  /** Where a value of the composition was written, or what it belongs to: `placeOf(['services', 'web', 'ports', 0])`. */
  readonly placeOf: (path: readonly (string | number)[]) => Place | undefined;
  /** Variables that the files refer to, that are not set, and that have nothing to stand in for them. */
  readonly unset: readonly UnsetVariable[];
  /** Variables of services that are asked for by name alone, and are empty as they have no value here. */
  readonly unsetInServices: readonly (UnsetVariable & { readonly service: string })[];
  /** Services that no active profile asks for, and their profiles. */
  readonly leftOut: ReadonlyMap<string, readonly string[]>;
  /** Names of files that look as if they counted and do not. */
  readonly unread: readonly string[];
  /** Secrets of the build of a service, by the path below `/run/secrets` at which its steps find them. */
  readonly buildSecrets: (service: string) => ReadonlyMap<string, SecretSource>;
  readonly usesGitignore: boolean;
  readonly convertsLineEnds: boolean;
}

/** A project before what `.balena` says of it. */
type Bare = Omit<Project, 'shown' | 'buildSecrets' | 'usesGitignore' | 'convertsLineEnds'>;

/** Reads a project without asking a device anything. Fails with all that is wrong with its compose files at once. */
export async function readProject(request: ProjectRequest, signal?: AbortSignal): Promise<Project> {
  const { folder: named, files = [] } = request;
  const folder = path.resolve(named);
  await requireFolder(folder);
  const shown = (file: string) => shownName(named, folder, file);
  const [file, ...others] = files;
  const dockerfiles = files.filter((one) => !isComposeName(one));
  const [dockerfile] = dockerfiles;
  if (dockerfile !== undefined && (others.length > 0 || dockerfile !== file)) {
    throw new Failure(
      'usage',
      'files-of-two-kinds',
      `${dockerfile} is a Dockerfile, which cannot be one of several files`,
      {
        hint: 'Name compose files, which end in .yml, .yaml or .json, or one Dockerfile, with --file',
      },
    );
  }
  const found =
    file === undefined
      ? await findComposeFiles(folder)
      : { files: dockerfile === undefined ? files.map((one) => path.resolve(folder, one)) : [], unread: [] };
  const problems = new Problems();
  const unset = new Map<string, UnsetVariable>();
  const onUnset = (one: UnsetVariable) => unset.set(`${one.place.file}:${one.place.line}:${one.name}`, one);
  const context: FilesContext = { shown, problems, signal, onUnset };
  const bare =
    found.files.length === 0
      ? await readSingle(folder, dockerfile)
      : { ...(await readComposition(request, { ...found, folder }, context)), unset: [...unset.values()] };
  const settings = await readBalenaSettings(folder, context);
  return {
    ...bare,
    shown,
    composition: withBuildVariables(bare.composition, settings),
    buildSecrets: (service) => buildSecretsOf(bare.composition, service, settings),
    usesGitignore: request.usesGitignore ?? false,
    convertsLineEnds: request.convertsLineEnds ?? process.platform === 'win32',
  };
}

/** The composition with the build variables of `.balena/balena.yml` among the arguments of its builds. */
function withBuildVariables(composition: Composition, settings: BalenaSettings): Composition {
  const services = Object.entries(composition.services).map(([name, service]) => {
    if (service.build === undefined) return [name, service] as const;
    const args = { ...service.build.args, ...settings.buildVariables(name) };
    return [name, { ...service, build: { ...service.build, args } }] as const;
  });
  return { ...composition, services: Object.fromEntries(services) };
}

function buildSecretsOf(
  { services, secrets }: Composition,
  service: string,
  settings: BalenaSettings,
): ReadonlyMap<string, SecretSource> {
  const found = new Map<string, SecretSource>();
  for (const [name, file] of settings.buildSecrets(service)) found.set(name, { file });
  for (const { source, target = source } of services[service]?.build?.secrets ?? []) {
    const { file, environment } = secrets[source] ?? {};
    if (file !== undefined) found.set(target, { file });
    else if (environment !== undefined) found.set(target, { variable: environment });
  }
  return found;
}

/** Whether a file is a compose file, by its name. */
function isComposeName(file: string): boolean {
  return /\.(ya?ml|json)$/i.test(file);
}

async function readSingle(folder: string, file: string | undefined): Promise<Bare> {
  const inside = insideFolder(folder, file ?? 'Dockerfile');
  const base = path.join(folder, inside);
  const siblings = await readdir(path.dirname(base)).catch((error: unknown) => {
    throw whileDoing(`reading ${path.dirname(base)}`, error);
  });
  const name = path.basename(base);
  if (!siblings.some((one) => one === name || one.startsWith(`${name}.`))) throw noDockerfile(folder, name);
  return withoutFiles(singleServiceComposition(projectName(folder), folder, file && inside));
}

/** The project that an image is by itself: a service like that of a project without a compose file. */
export function imageProject(named: string, image: string): Project {
  const folder = path.resolve(named);
  return {
    ...withoutFiles(singleImageComposition(projectName(folder), folder, image)),
    shown: (file) => shownName(named, folder, file),
    buildSecrets: () => new Map(),
    usesGitignore: false,
    convertsLineEnds: false,
  };
}

function withoutFiles(composition: Composition): Bare {
  return {
    composition,
    files: [],
    placeOf: () => undefined,
    unset: [],
    unsetInServices: [],
    leftOut: new Map(),
    unread: [],
  };
}

async function readComposition(
  request: ProjectRequest,
  found: { readonly files: readonly string[]; readonly unread: readonly string[]; readonly folder: string },
  context: FilesContext,
): Promise<Omit<Bare, 'unset'>> {
  const { files, folder, unread } = found;
  const { shown } = context;
  const outside = request.environment ?? exactEnvironmentVariable;
  const envFiles = request.envFiles?.map((one) => path.resolve(folder, one));
  const base = await variablesUnder(outside, { named: envFiles, folder }, context, (missing) => {
    throw new Failure('not-found', 'env-file-not-found', `there is no file ${shown(missing)}`, {
      hint: 'Name files with variables with --env-file, relative to the project folder',
    });
  });
  const chosen = base('COMPOSE_PROJECT_NAME');
  const fallback = chosen === undefined || chosen === '' ? projectName(folder) : chosen;
  const variables: Variables = (name) => base(name) ?? (name === 'COMPOSE_PROJECT_NAME' ? fallback : undefined);
  const model = await readComposeFiles({ files, folder, variables }, context);
  const name = chosen === undefined || chosen === '' ? (textOf(entryOf(model, 'name')) ?? fallback) : chosen;
  const profiles = [...(request.profiles ?? []), ...(variables('COMPOSE_PROFILES') ?? '').split(',')].filter(Boolean);
  const finished = await finishComposition(model, { name, folder, variables, profiles }, context);
  const { composition, placeOf, leftOut, unset: unsetInServices } = finished;
  return { composition, files: files.map(shown), placeOf, unsetInServices, leftOut, unread };
}

/** A file as a user who named the folder so would name it. */
function shownName(named: string, folder: string, file: string): string {
  const relative = path.relative(folder, file);
  if (relative.startsWith('..') || path.isAbsolute(relative)) return file;
  return path.join(named, relative);
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
