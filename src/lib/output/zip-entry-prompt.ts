import type { ChooseEntry } from '../image/zip-image.js';
import { askWhich } from './prompts.js';
import { formatBytes, printable } from './format.js';
import type { Streams } from './streams.js';

/** Asks which file of a zip is the image; undefined where nobody can be asked. */
export function zipEntryPrompt(streams: Streams, signal: AbortSignal): ChooseEntry | undefined {
  if (!streams.stdinIsTerminal || !streams.stderrIsTerminal) return undefined;
  return (candidates) =>
    askWhich(
      {
        message: 'Which file is the image?',
        insteadOfAsking: '--entry',
        signal,
        choices: candidates.map(({ name, size }) => ({
          value: name,
          name: `${printable(name)} (${formatBytes(size)})`,
        })),
      },
      streams,
    );
}
