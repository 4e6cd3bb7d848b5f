import { StringDecoder } from 'node:string_decoder';

/** Cuts a byte stream into lines of text without their line ends, whatever the chunks' boundaries are. */
export async function* textLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let partial = '';
  for await (const chunk of chunks) {
    // Only what is new is searched: a long line comes in many chunks.
    const [first = '', ...more] = decoder.write(chunk).split('\n');
    const lines = [partial + first, ...more];
    partial = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  partial += decoder.end();
  if (partial !== '') yield partial;
}
