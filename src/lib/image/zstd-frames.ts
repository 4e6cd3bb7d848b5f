import { archiveCorrupt } from './archive-corrupt.js';
import { skippableFrameSize } from './source-format.js';
import { parseZstdHeader } from './zstd-header.js';

/** What a walk along frames wants next: so many bytes to look at, so many to pass over, or a cut. */
type Step = { readonly look: number; readonly mayEnd: boolean } | { readonly pass: number } | 'cut';

/**
 * Cuts Zstandard (RFC 8878) behind each frame without decoding anything: Node's decoder takes the end of a frame within a chunk, and the end
 * of the input within a frame, for the end of the file (seen with 22.23). What is no frame and what ends too early are `archive-corrupt`.
 *
 * @param onFrame called before each frame
 */
export async function* zstdFrames(
  input: AsyncIterable<Buffer>,
  name: string,
  onFrame: (frame: { readonly windowSize: number }) => void,
): AsyncGenerator<Buffer> {
  const walk = walkFrames(name, onFrame);
  let looked: Buffer = Buffer.alloc(0);
  let passed = 0;
  let step: Step = walk.next(looked).value;
  const next = () => {
    do step = walk.next(looked).value;
    while (step !== 'cut' && 'pass' in step && step.pass === 0);
    looked = Buffer.alloc(0);
    passed = 0;
  };
  for await (const chunk of input) {
    let start = 0;
    for (let at = 0; at < chunk.length;) {
      if (step === 'cut') {
        if (at > start) yield chunk.subarray(start, at);
        start = at;
        next();
      } else if ('pass' in step) {
        const size = Math.min(step.pass - passed, chunk.length - at);
        passed += size;
        at += size;
        if (passed === step.pass) next();
      } else {
        const size = Math.min(step.look - looked.length, chunk.length - at);
        looked = Buffer.concat([looked, chunk.subarray(at, at + size)]);
        at += size;
        if (looked.length === step.look) next();
      }
    }
    if (chunk.length > start) yield chunk.subarray(start);
  }
  if (!(step === 'cut' || ('look' in step && step.mayEnd && looked.length === 0))) {
    throw archiveCorrupt(name, 'it ends too early');
  }
}

function* walkFrames(
  name: string,
  onFrame: (frame: { readonly windowSize: number }) => void,
): Generator<Step, never, Buffer> {
  for (;;) {
    let head = yield { look: 5, mayEnd: true };
    if (skippableFrameSize(Buffer.concat([head, Buffer.alloc(3)])) !== undefined) {
      head = Buffer.concat([head, yield { look: 3, mayEnd: false }]);
      yield { pass: (skippableFrameSize(head) ?? 8) - 8 };
      yield 'cut';
      continue;
    }
    const size = parseZstdHeader(Buffer.concat([head, Buffer.alloc(13)]))?.size;
    if (size === undefined) throw archiveCorrupt(name, 'what follows is not Zstandard');
    head = Buffer.concat([head, yield { look: size - 5, mayEnd: false }]);
    const frame = parseZstdHeader(head);
    if (frame === undefined) throw archiveCorrupt(name, 'what follows is not Zstandard');
    onFrame(frame);
    for (let isLast = false; !isLast;) {
      const block = (yield { look: 3, mayEnd: false }).readUIntLE(0, 3);
      isLast = (block & 1) === 1;
      // A block of the second type is one byte, to be repeated.
      yield { pass: ((block >> 1) & 3) === 1 ? 1 : block >> 3 };
    }
    if (frame.hasChecksum) yield { pass: 4 };
    yield 'cut';
  }
}
