import path from 'node:path';
import { type ResourceLimits, Worker } from 'node:worker_threads';

/** What a thread is started with. */
export interface WorkerOptions<Message> {
  readonly onMessage: (message: Message) => void;
  readonly onError: (error: Error) => void;
  readonly resourceLimits?: ResourceLimits;
}

/**
 * Starts a file of davit in a thread of its own: the compiled one or, where the caller itself runs from source, as in tests, the source.
 * The thread does not keep the process alive.
 *
 * @param name the file beside the caller, without its extension
 * @param caller the caller's `import.meta.url`
 */
export function startWorker<Message>(name: string, caller: string, options: WorkerOptions<Message>): Worker {
  const extension = path.extname(caller);
  const url = new URL(`${name}${extension}`, caller);
  const { resourceLimits = {} } = options;
  const worker =
    extension === '.ts'
      ? new Worker(loadSource(url), { eval: true, resourceLimits })
      : new Worker(url, { resourceLimits });
  worker.on('message', options.onMessage).on('error', options.onError);
  // Listening for messages keeps the process alive, so this comes last.
  worker.unref();
  return worker;
}

/** A thread inherits `--import tsx`, but tsx then only looks after the main thread. */
function loadSource({ href }: URL): string {
  const tsx = import.meta.resolve('tsx/esm/api');
  return `import('${tsx}').then(({ register }) => (register(), import('${href}')))`;
}
