import path from 'node:path';
import type { EngineConnection } from '../engine/engine-connection.js';
import { findService } from '../engine/find-service.js';
import { imageDetails } from '../engine/images.js';
import { Failure } from '../failure/failure.js';
import { baseImageOf, dockerfileRules } from '../live-sync/live-dockerfile.js';
import type { SyncRule } from '../live-sync/sync-rule.js';
import { type BuildNeeded, type SyncedContainer, syncService } from '../live-sync/sync-service.js';
import { readTree, type Tree, type TreeScope } from '../live-sync/tree.js';
import { watchedFolders } from '../live-sync/watched-folders.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import type { Composition } from '../project/composition.js';
import type { BuiltService, ServiceImage } from './delivery.js';
import type { Device } from '../device/device.js';
import type { EngineLink } from '../device/engine-link.js';

/** A folder whose files a service's container is kept in step with, as it was before its image was built. */
export interface LiveFolder {
  readonly service: string;
  readonly scope: TreeScope;
  /** The rules, as soon as the image is there. */
  readonly rules: (engine: EngineConnection, signal: AbortSignal) => Promise<readonly SyncRule[]>;
  readonly built: Tree;
}

/** A project as it is about to be built. */
export interface LiveProject {
  readonly composition: Composition;
  readonly images: readonly ServiceImage[];
  /** The files that say what the project is. */
  readonly files: readonly string[];
}

/**
 * Looks at the folders of a project that is about to be built: those of `develop.watch` where a service has it, else the build context, by the
 * rules of the Dockerfile; and the files that say what is built, which always need a build.
 */
export async function lookAtLiveFolders({ composition, images, files }: LiveProject): Promise<LiveFolder[]> {
  const folders: LiveFolder[] = [];
  for (const image of images) {
    const { service } = image;
    const { develop, read_only: isReadOnly = false } = composition.services[service] ?? {};
    const watch = develop?.watch;
    const convertsLineEnds = 'build' in image && image.source.convertsLineEnds;
    const ofService = (rules: readonly SyncRule[]) =>
      rules.map((rule) => ({
        ...rule,
        convertsLineEnds,
        needsBuild: rule.needsBuild ?? (isReadOnly && rule.target !== undefined ? readOnly : undefined),
      }));
    for (const { scope, rules } of await watchedFolders(watch ?? [])) {
      folders.push({ service, scope, rules: () => Promise.resolve(ofService(rules)), built: await readTree(scope) });
    }
    if ('build' in image) {
      const { rules, ...folder } = await contextOf(image, watch === undefined);
      folders.push({ ...folder, rules: async (engine, signal) => ofService(await rules(engine, signal)) });
    }
  }
  const [first] = images;
  for (const file of first === undefined ? [] : files) folders.push(await definitionOf(file, first?.service ?? ''));
  return folders;
}

const readOnly = 'engines write nothing into a container whose root file system is read-only';

/** The build context of a service; where only the Dockerfile counts, nothing else of it does. */
async function contextOf(image: BuiltService, isFollowed: boolean): Promise<LiveFolder> {
  const { service, source } = image;
  const ignoreFiles = ['.dockerignore', `${source.dockerfile.path}.dockerignore`];
  const definition = buildRule('it says how the image is built', [source.dockerfile.source, ...ignoreFiles]);
  const { ignores, mayIncludeInside } = source.rules;
  const isDefinition = (name: string) => definition.sources.includes(name);
  const scope = {
    folder: source.folder,
    ignores: (name: string) => !isDefinition(name) && (!isFollowed || ignores(name)),
    skips: (name: string) =>
      !definition.sources.some((one) => one.startsWith(`${name}/`)) &&
      (!isFollowed || (ignores(name) && !mayIncludeInside(name))),
  };
  const rules = async (engine: EngineConnection, signal: AbortSignal) => [
    definition,
    ...(isFollowed ? await rulesOf(image, engine, signal) : []),
  ];
  return { service, scope, rules, built: await readTree(scope) };
}

/** A file that says what the project is. */
async function definitionOf(file: string, service: string): Promise<LiveFolder> {
  const name = path.basename(file);
  const scope = { folder: path.dirname(path.resolve(file)), ignores: (one: string) => one !== name, skips: () => true };
  const rules = [buildRule('it says what the project is', [name])];
  return { service, scope, rules: () => Promise.resolve(rules), built: await readTree(scope) };
}

function buildRule(needsBuild: string, sources: readonly string[]): SyncRule {
  const nothing = { target: undefined, isFolder: false, owner: undefined, mode: undefined, runs: [], restarts: false };
  return { ...nothing, origin: 'the project', sources, needsBuild };
}

async function rulesOf({ service, build, source }: BuiltService, engine: EngineConnection, signal: AbortSignal) {
  const { text } = source.dockerfile;
  const facts = { target: build.target, buildArguments: build.args };
  const name = baseImageOf(text, facts);
  // What is built elsewhere leaves no base image on the device; what it sets itself is then in what was built.
  const base =
    (name === undefined || name === 'scratch' ? undefined : await imageDetails(engine, name, signal)) ??
    (await imageDetails(engine, (await findService(engine, service, signal)).imageId, signal));
  return dockerfileRules(text, { ...facts, base });
}

/** What goes with keeping services in step. */
export interface LiveOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Keeps the containers of a device in step with folders until something needs a build; undefined when the signal was aborted. */
export async function keepInStep(
  link: EngineLink,
  folders: readonly LiveFolder[],
  { signal, progress }: LiveOptions,
): Promise<(BuildNeeded & { readonly service: string }) | undefined> {
  const step = limit(signal);
  const engine = await link.engine();
  const following = folders.map(async ({ service, scope, rules, built }) => {
    const outcome = await syncService({
      service,
      scope,
      built,
      rules: await rules(engine, step.signal),
      findContainer: () => findContainer(link, service, step.signal),
      signal: step.signal,
      progress,
    });
    return outcome && { ...outcome, service };
  });
  try {
    // A service of a given image has no folder to follow.
    return await Promise.race([...following, whenAborted(step.signal)]);
  } finally {
    step.end();
    await Promise.allSettled(following);
  }
}

function whenAborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    const finish = () => {
      resolve(undefined);
    };
    signal.addEventListener('abort', finish, { once: true });
    if (signal.aborted) finish();
  });
}

async function findContainer(
  link: EngineLink,
  service: string,
  signal: AbortSignal,
): Promise<SyncedContainer | undefined> {
  let device: Device | undefined;
  try {
    device = await link.device();
    const engine = await device.engine();
    const { id, imageId } = await findService(engine, service, signal);
    return { engine, id, imageId };
  } catch (error) {
    if (error instanceof Failure && error.code === 'service-not-found') return undefined;
    if (error instanceof Failure && error.kind === 'unreachable' && device !== undefined) await link.drop(device);
    throw error;
  }
}
