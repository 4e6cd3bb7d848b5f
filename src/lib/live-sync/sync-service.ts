import path from 'node:path';
import { containerEvents } from '../engine/container-events.js';
import { type EngineContainer, lookInArchive } from '../engine/container-archive.js';
import { restartContainer } from '../engine/containers.js';
import { execInContainer } from '../engine/exec.js';
import { textLines } from '../engine/text-lines.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { type Applied, type ContainerEntry, ContainerFiles, type Owner } from './container-files.js';
import { ownerIn } from './container-owner.js';
import { type Run, type SyncRule, syncTarget } from './sync-rule.js';
import { changesIn, type Tree, type TreeChanges, type TreeEntry, type TreeScope } from './tree.js';
import { type FolderWatch, watchFolder } from './watch-folder.js';

/** A service's container, as it is kept in step with the files of its project. */
export interface SyncRequest {
  readonly service: string;
  readonly scope: TreeScope;
  readonly rules: readonly SyncRule[];
  /** The files as they were when the image was built, see `readTree`. */
  readonly built: Tree;
  /** The service's container, running or not; undefined while there is none. Fails as unreachable while the device is. */
  readonly findContainer: () => Promise<SyncedContainer | undefined>;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
}

/** A container on an engine, and the image that it was made of. */
export interface SyncedContainer extends EngineContainer {
  readonly imageId: string;
}

/** Why a service cannot be kept in step any longer without a build. */
export interface BuildNeeded {
  readonly reason: string;
}

const longestPauseMs = 10_000;

/** Programs under development rarely mind how they are ended, and whoever changes one waits for it. */
const restartGraceSeconds = 1;

/**
 * Carries changes of a project's files into a service's container until the signal is aborted (then undefined), or until one of them needs a
 * build. Begins with what has changed since the image was built. A lost link and a container that stops, starts or is made anew from the same
 * image are waited for, and what it then lacks is carried over.
 */
export async function syncService(request: SyncRequest): Promise<BuildNeeded | undefined> {
  const { scope, signal, progress = ignoreProgress } = request;
  const step = limit(signal);
  const watch = await watchFolder({ ...scope, signal: step.signal, progress });
  const service = new SyncedService({ ...request, signal: step.signal, progress }, watch);
  try {
    return await service.run();
  } finally {
    step.end();
    watch.close();
    service.leave();
  }
}

/** What is to be done for changes of a project. */
interface Work {
  /** By path in the container, each with its path in the project. */
  readonly entries: ReadonlyMap<string, ContainerEntry & { readonly file: string }>;
  /** Paths in the container by path in the project. */
  readonly removed: ReadonlyMap<string, readonly string[]>;
  readonly runs: readonly Run[];
  readonly restarts: boolean;
}

const nothingOwed = { runs: [], restarts: false };

/** In the place of a path, for what is not carried into the container. */
const nowhere = '';

class SyncedService {
  readonly #request: Required<SyncRequest>;
  readonly #watch: FolderWatch;
  #container: SyncedContainer | undefined;
  #files: ContainerFiles | undefined;
  #following = new AbortController();
  #imageId: string | undefined;
  #containerId: string | undefined;
  #known: Map<string, TreeEntry>;
  /** What has to follow changes that were carried over, as the container did not run or the link was lost before it was done. */
  #owed: Pick<Work, 'runs' | 'restarts'> = nothingOwed;
  readonly #owners = new Map<string, Owner>();
  readonly #isFolder = new Map<string, boolean>();

  constructor(request: Required<SyncRequest>, watch: FolderWatch) {
    this.#request = request;
    this.#watch = watch;
    this.#known = new Map(request.built);
  }

  async run(): Promise<BuildNeeded | undefined> {
    const { service, signal } = this.#request;
    let dirty: ReadonlySet<string> = new Set(['']);
    let losses = 0;
    while (!signal.aborted) {
      try {
        const outcome = await this.#carry(dirty);
        if ('reason' in outcome) return outcome;
        if (losses > 0) this.#notice('info', `the container of ${service} is in step again`);
        losses = 0;
        dirty = new Set([...outcome.again, ...(await this.#watch.next())]);
      } catch (error) {
        if (this.#request.signal.aborted) break;
        if (!(error instanceof Failure) || !isPassing(error, losses)) throw error;
        if (losses === 0) this.#notice('warning', `${error.message}; changes are carried over when it is back`);
        losses += 1;
        this.leave();
        dirty = new Set(['']);
        await waitAtMost(Math.min(125 * 2 ** losses, longestPauseMs), signal);
      }
    }
    return undefined;
  }

  /** Ends what is open to the container; the next change opens it again. */
  leave(): void {
    this.#files?.close();
    this.#container = undefined;
    this.#following.abort();
  }

  /** Carries over what has changed of some paths; returns those to look at again. */
  async #carry(dirty: ReadonlySet<string>): Promise<BuildNeeded | { readonly again: readonly string[] }> {
    const { container, files } = await this.#find();
    const changes = await changesIn(this.#request.scope, dirty, this.#known);
    const needed = this.#needsBuild(changes);
    if (needed !== undefined) return needed;
    const work = await this.#workOf(changes, container);
    this.#forget(changes);
    const removed = [...work.removed.values()].flat();
    const applied = await files.apply({ entries: [...work.entries.values()], removed });
    if (applied.reach === 'no-shell' && removed.length > 0) {
      const [first = ''] = work.removed.keys();
      return { reason: `${first} was removed, and the image has no shell to remove it with` };
    }
    const again = this.#remember(changes, work, applied);
    const runs = withoutRepetition([...this.#owed.runs, ...work.runs]);
    if (applied.reach === 'stopped') {
      // Its own program sees them when it starts.
      this.#owed = { runs, restarts: false };
      this.#tell(work, []);
      return { again };
    }
    const restarts = this.#owed.restarts || work.restarts || runs.length > 0;
    this.#owed = { runs, restarts };
    const restarted = (await this.#runAll(runs, container)) && restarts;
    if (restarted) await restartContainer(container.engine, container.id, this.#request.signal, restartGraceSeconds);
    this.#owed = nothingOwed;
    this.#tell(work, [
      ...(runs.length === 0 ? [] : [`ran ${runs.map(({ origin }) => origin).join(', ')}`]),
      ...(restarted ? ['restarted'] : []),
    ]);
    return { again };
  }

  async #find(): Promise<{ readonly container: SyncedContainer; readonly files: ContainerFiles }> {
    const { service, findContainer, signal } = this.#request;
    if (this.#container !== undefined && this.#files !== undefined)
      return { container: this.#container, files: this.#files };
    const container = await findContainer();
    if (container === undefined) {
      throw new Failure('not-found', 'container-gone', `the service ${service} has no container`);
    }
    this.#imageId ??= container.imageId;
    if (container.imageId !== this.#imageId) {
      throw new Failure('refused', 'container-replaced', `the container of ${service} is of another image now`, {
        hint: 'Somebody else has pushed to this device; push again to go on',
      });
    }
    if (this.#files === undefined || this.#containerId !== container.id) {
      this.#known = new Map(this.#request.built);
      this.#files = new ContainerFiles(container, signal);
    }
    this.#containerId = container.id;
    this.#container = container;
    this.#following = new AbortController();
    void this.#follow(container, this.#following.signal);
    return { container, files: this.#files };
  }

  /** Has everything looked at again when the container starts, is removed, or cannot be heard any more. */
  async #follow(container: SyncedContainer, signal: AbortSignal): Promise<void> {
    try {
      for await (const event of containerEvents(container.engine, ['start', 'destroy'], signal)) {
        if (event.container !== container.id) continue;
        if (event.action === 'destroy') break;
        this.#watch.tell('');
      }
    } catch {
      // Whatever it was: the next request to the engine finds out.
    }
    if (signal.aborted) return;
    this.leave();
    this.#watch.tell('');
  }

  #needsBuild({ changed, gone }: TreeChanges): BuildNeeded | undefined {
    const names = [...[...changed].filter(([, { kind }]) => kind !== 'folder').map(([name]) => name), ...gone];
    for (const name of names) {
      const kind = changed.get(name)?.kind ?? this.#known.get(name)?.kind ?? 'file';
      for (const rule of this.#request.rules) {
        if (rule.needsBuild === undefined || syncTarget(rule, name, kind) === undefined) continue;
        return { reason: `${name} changed, which ${rule.origin} copies: ${rule.needsBuild}` };
      }
    }
    return undefined;
  }

  async #workOf({ changed, gone }: TreeChanges, container: SyncedContainer): Promise<Work> {
    const { rules, scope } = this.#request;
    const entries = new Map<string, ContainerEntry & { readonly file: string }>();
    const removed = new Map<string, string[]>();
    const runs: Run[] = [];
    let restarts = false;
    for (const rule of rules) {
      let isConcerned = false;
      for (const [file, entry] of changed) {
        const target = await this.#pathIn(container, rule, file, entry.kind);
        if (target === undefined) continue;
        isConcerned ||= entry.kind !== 'folder';
        if (target === nowhere) continue;
        const owner = await this.#ownerIn(container, rule.owner);
        const settled = { ...entry, mode: rule.mode ?? entry.mode };
        const source = path.join(scope.folder, file);
        const { convertsLineEnds = false } = rule;
        entries.set(target, { path: target, source, entry: settled, owner, convertsLineEnds, file });
      }
      for (const file of gone) {
        const target = await this.#pathIn(container, rule, file, this.#known.get(file)?.kind ?? 'file');
        if (target === undefined) continue;
        isConcerned = true;
        if (target !== nowhere) removed.set(file, [...(removed.get(file) ?? []), target]);
      }
      if (!isConcerned) continue;
      runs.push(...rule.runs);
      restarts ||= rule.restarts;
    }
    return { entries, removed, runs: withoutRepetition(runs), restarts };
  }

  async #pathIn(
    container: SyncedContainer,
    rule: SyncRule,
    file: string,
    kind: TreeEntry['kind'],
  ): Promise<string | undefined> {
    const target = syncTarget(rule, file, kind);
    if (target === undefined) return undefined;
    if (target.path === undefined) return nowhere;
    if (target.pathInFolder === undefined) return target.path;
    let isFolder = this.#isFolder.get(target.path);
    if (isFolder === undefined) {
      const found = await lookInArchive(container, target.path, this.#request.signal);
      isFolder = found?.kind === 'folder';
      this.#isFolder.set(target.path, isFolder);
    }
    return isFolder ? target.pathInFolder : target.path;
  }

  async #ownerIn(container: SyncedContainer, owner: string | undefined): Promise<Owner> {
    if (owner === undefined) return { uid: 0, gid: 0 };
    const known = this.#owners.get(owner) ?? (await ownerIn(container, owner, this.#request.signal));
    this.#owners.set(owner, known);
    return known;
  }

  /** What is being changed is not known until the engine has said that it is: an answer may get lost after the work was done. */
  #forget({ changed }: TreeChanges): void {
    for (const [name, entry] of changed) this.#known.set(name, { ...entry, stamp: '', content: undefined });
  }

  /** Notes what the container has now; returns what has to be looked at again, as it changed meanwhile. */
  #remember({ changed, gone }: TreeChanges, { entries }: Work, { contents, reach }: Applied): string[] {
    const again = new Set<string>();
    const written = new Map<string, string>();
    for (const { file, path: target, entry } of entries.values()) {
      const content = entry.kind === 'folder' ? '' : contents.get(target);
      if (content === undefined) again.add(file);
      else written.set(file, content);
    }
    for (const [name, entry] of changed) {
      if (!again.has(name)) this.#known.set(name, { ...entry, content: written.get(name) ?? entry.content });
    }
    // A container that does not run keeps what is gone; it is removed when it has started.
    if (reach !== 'stopped') for (const name of gone) this.#known.delete(name);
    return [...again];
  }

  /** Runs one after the other what has to run after a change; false when one of them failed. */
  async #runAll(runs: readonly Run[], container: SyncedContainer): Promise<boolean> {
    const { service, signal, progress } = this.#request;
    for (const { origin, command, user, workingFolder, environment } of runs) {
      const program = await execInContainer(container.engine, {
        container: container.id,
        command,
        user: user === '' ? undefined : user,
        workingFolder,
        environment,
        signal,
      });
      const onAbort = () => {
        program.close();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      program.stdin.end();
      const tell = async (output: AsyncIterable<Buffer>) => {
        for await (const text of textLines(output)) progress({ type: 'line', id: service, text });
      };
      const ended = Promise.all([program.exited, tell(program.stdout), tell(program.stderr)]);
      const [{ exitCode }] = await ended.finally(() => {
        signal.removeEventListener('abort', onAbort);
      });
      if (exitCode === 0) continue;
      this.#notice('warning', `${service}: ${origin} (${command.at(-1) ?? ''}) ended with exit code ${exitCode}`);
      return false;
    }
    return true;
  }

  #tell({ entries, removed }: Work, more: readonly string[]): void {
    const files = [...entries.values()].filter(({ entry }) => entry.kind !== 'folder').map(({ file }) => file);
    const said = [
      ...(files.length === 0 ? [] : [`${named(files)} carried over`]),
      ...(removed.size === 0 ? [] : [`${named([...removed.keys()])} removed`]),
      ...more,
    ];
    if (said.length > 0) this.#notice('info', `${this.#request.service}: ${said.join(', ')}`);
  }

  #notice(level: 'info' | 'warning', text: string): void {
    this.#request.progress({ type: 'notice', level, text });
  }
}

function named(files: readonly string[]): string {
  return files.length <= 3 ? files.join(', ') : `${files.length} files`;
}

function withoutRepetition(runs: readonly Run[]): readonly Run[] {
  return [...new Map(runs.map((run) => [run.origin, run])).values()];
}

/** Whether a device or container that comes back mends it. What engines do not name is tried some more times, as one that just ends says many things. */
function isPassing({ kind, code }: Failure, losses: number): boolean {
  if (code === 'engine-error') return losses < 5;
  return kind === 'unreachable' || ['container-gone', 'engine-object-not-found', 'engine-conflict'].includes(code);
}
