import { type Duplex, PassThrough, type Readable } from 'node:stream';

/** The two outputs of a program, which an engine sends through one stream. */
export interface SplitOutput {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when nothing more comes, for whatever reason. */
  readonly ended: Promise<void>;
}

/**
 * Takes the frames apart in which an engine sends two outputs: eight bytes of header (stream, three zero bytes, length), then as many of
 * content. When one of the outputs is not read, the engine has to wait, and so the program.
 */
export function splitOutput(stream: Duplex): SplitOutput {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let header: Buffer = Buffer.alloc(0);
  let [output, left] = [stdout, 0];
  const take = (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const piece = chunk.subarray(at, at + 8 - header.length);
        header = Buffer.concat([header, piece]);
        at += piece.length;
        if (header.length < 8) return;
        output = header.readUInt8(0) === 2 ? stderr : stdout;
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const content = chunk.subarray(at, at + left);
      at += content.length;
      left -= content.length;
      if (!output.write(content)) waitFor(output);
    }
  };
  const waitFor = (full: PassThrough) => {
    stream.pause();
    full.once('drain', () => {
      if (!stdout.writableNeedDrain && !stderr.writableNeedDrain) stream.resume();
    });
  };
  stream.on('data', take);
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      stdout.end();
      stderr.end();
      resolve();
    };
    stream.once('end', end);
    stream.once('close', end);
    stream.once('error', end);
  });
  return { stdout, stderr, ended };
}
