import { Failure } from '../failure/failure.js';
import { HttpFile, type HttpFileOptions, type HttpRetry } from '../platform/http-file.js';
import type { ProgressListener } from '../platform/progress.js';
import type { ImageOrigin } from './image-origin.js';

/** How a URL is opened. */
export interface UrlOptions {
  readonly signal: AbortSignal;
  /** Told when a connection is lost. */
  readonly progress?: ProgressListener | undefined;
  /** Time limits and tries other than the usual ones. */
  readonly http?: Pick<HttpFileOptions, 'limits' | 'retryDelaysMs'> | undefined;
}

/** Opens what a web server has as the origin of an image. Bytes flow from the network as they are read; nothing is stored. */
export async function openUrlOrigin(url: URL, options: UrlOptions): Promise<ImageOrigin> {
  // Ends a wait for the network; following the outer signal by hand, because Node 20 may collect the one of AbortSignal.any.
  const abort = new AbortController();
  const stop = () => {
    abort.abort();
  };
  options.signal.addEventListener('abort', stop, { once: true });
  if (options.signal.aborted) stop();
  const leave = () => {
    options.signal.removeEventListener('abort', stop);
  };
  try {
    const { progress } = options;
    const onRetry = (retry: HttpRetry) => progress?.({ type: 'notice', level: 'warning', text: retryText(retry) });
    const file = await HttpFile.open(url, { ...options.http, onRetry, signal: abort.signal });
    const { name, size, identity } = file;
    return {
      name,
      size,
      identity,
      reader: file.hasRanges && size !== undefined ? { size, read: (at, length) => file.read(at, length) } : undefined,
      file: undefined,
      stream: (range) => (range === undefined ? imageBytes(file) : file.stream(range.start, range.start + range.size)),
      // Every answer was compared with the first one when it came.
      requireUnchanged: () => Promise.resolve(),
      reopen: identity === undefined ? undefined : () => reopen(url, identity, options),
      stop,
      close: () => {
        leave();
        file.close();
        return Promise.resolve();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}

async function reopen(url: URL, identity: string, options: UrlOptions): Promise<ImageOrigin> {
  const again = await openUrlOrigin(url, options);
  if (again.identity === identity) return again;
  await again.close();
  throw new Failure('failed', 'source-changed', `${again.name} was changed on the server while it was read`, {
    hint: 'Run the command again',
  });
}

/** All bytes of a file; fails with `wrong-content` when they are a page, such as one that wants a login or says that something is missing. */
async function* imageBytes(file: HttpFile): AsyncGenerator<Buffer> {
  let isFirst = true;
  for await (const chunk of file.stream()) {
    if (isFirst && isPage(chunk)) {
      throw new Failure(
        'failed',
        'wrong-content',
        `${file.name} is a page (${file.contentType ?? 'HTML'}), not an image`,
        {
          hint: 'Give the address of the file itself; what the page says can be read in a browser',
        },
      );
    }
    isFirst = false;
    yield chunk;
  }
}

/** Whether bytes are HTML, XML or JSON; a disk image that begins like one would have no boot sector. */
function isPage(head: Buffer): boolean {
  const text = head.subarray(0, 256).toString('utf8');
  return /^\uFEFF?\s*(<(!doctype|html|head)\b|<\?xml|\{\s*")/i.test(text);
}

function retryText({ failure, offset, delayMs }: HttpRetry): string {
  const when = delayMs < 1000 ? 'at once' : `in ${Math.round(delayMs / 1000)} s`;
  return `${failure.message}; going on at byte ${offset} ${when}`;
}
