import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Makes V8 do each collection of garbage in one go from now on. Where buffers stream through by the hundreds of megabytes it otherwise begins to trace
 * everything that is in memory over and over again, dozens of times a second, beside the work: a third of the processor time of a
 * copy by SSH (`bench/ssh.ts`). The few pauses instead are of some 10 ms.
 */
export function collectInOneGo(): void {
  // V8 ends the process ("unreachable code") if this changes while it traces; a whole collection ends that.
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
  setFlagsFromString('--no-incremental-marking');
}
