import { Failure } from '../failure/failure.js';
import { changesIn, readTree } from '../live-sync/tree.js';
import { watchFolder } from '../live-sync/watch-folder.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import type { EngineLink } from '../device/engine-link.js';
import { keepInStep, type LiveFolder, lookAtLiveFolders } from './live-services.js';
import { planPush, type PlanOptions, type PushRequest, type PushPlan, type Pushed, runPush } from './push.js';

/** A push whose services can be kept in step with the project. */
export interface LivePush {
  readonly pushed: Pushed;
  readonly plan: PushPlan;
  readonly folders: readonly LiveFolder[];
}

/** After what time a build for which the device was away is tried again. */
const retryMs = 3000;

/** What goes with a live push besides its subject. */
export interface LivePushOptions extends PlanOptions {
  readonly progress: ProgressListener;
}

/** Pushes a project and notes how it was, so that changes of its files can be carried over from then on. */
export async function pushLive(link: EngineLink, plan: PushPlan, options: LivePushOptions): Promise<LivePush> {
  // Before the build: what changes during it is carried over as well.
  const folders = await lookAtLiveFolders(plan);
  return { plan, folders, pushed: await runPush(plan, options) };
}

/**
 * Keeps the services of a push in step with the project until the signal is aborted: carries changed files into their containers, and builds
 * and deploys anew where a change needs that. A build that fails changes nothing; the next change tries again, or the device when it is back.
 */
export async function stayInStep(
  link: EngineLink,
  request: PushRequest,
  first: LivePush,
  options: LivePushOptions & { readonly onPushed: (push: LivePush) => void },
): Promise<void> {
  const { signal, progress, onPushed } = options;
  const notice = (level: 'info' | 'warning', text: string) => {
    progress({ type: 'notice', level, text });
  };
  let { folders } = first;
  while (!signal.aborted) {
    const needed = await keepInStep(link, folders, { signal, progress });
    if (needed === undefined) return;
    notice('info', `${needed.service} is built anew: ${needed.reason}`);
    let said = '';
    for (;;) {
      try {
        // A project that cannot even be read is tried again when it is another one than now.
        folders = await asTheyAre(folders);
        const plan = await planPush(link, request, options);
        // From here on it is their state that a build is tried with.
        folders = await lookAtLiveFolders(plan);
        const pushed = await runPush(plan, options);
        onPushed({ plan, folders, pushed });
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        const isAway = error.kind === 'unreachable';
        if (isAway) await link.drop();
        const text = `${error.message}; what ran before runs on, and ${isAway ? 'it is tried again' : 'the next change tries again'}`;
        if (!isAway || text !== said) notice('warning', text);
        said = text;
        await anyChange(folders, signal, isAway ? retryMs : undefined);
        signal.throwIfAborted();
      }
    }
  }
}

/** Stays in step while something else is done: when that ends, or one of them fails, both have ended. */
export async function whileInStep(
  meanwhile: (signal: AbortSignal) => Promise<void>,
  stay: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const both = limit(signal);
  const [doing, staying] = [meanwhile(both.signal), stay(both.signal)];
  try {
    await Promise.race([doing, staying.then(() => doing)]);
  } finally {
    both.end();
    await Promise.allSettled([doing, staying]);
  }
}

async function asTheyAre(folders: readonly LiveFolder[]): Promise<LiveFolder[]> {
  return Promise.all(folders.map(async (folder) => ({ ...folder, built: await readTree(folder.scope) })));
}

/** Waits until a file of the folders is another one than when they were looked at, so long at most, or the signal is aborted. */
async function anyChange(
  folders: readonly LiveFolder[],
  signal: AbortSignal,
  atMostMs: number | undefined,
): Promise<void> {
  const wait = limit(signal, atMostMs);
  try {
    await Promise.race(folders.map((folder) => oneChange(folder, wait.signal)));
  } finally {
    wait.end();
  }
}

async function oneChange({ scope, built }: LiveFolder, signal: AbortSignal): Promise<void> {
  const watch = await watchFolder({ ...scope, signal });
  try {
    let paths: Iterable<string> = [''];
    while (!signal.aborted) {
      const { changed, gone } = await changesIn(scope, paths, built);
      if (changed.size > 0 || gone.length > 0) return;
      paths = await watch.next();
    }
  } finally {
    watch.close();
  }
}
