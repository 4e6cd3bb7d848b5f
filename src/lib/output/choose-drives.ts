import type { Drive } from '../drives/drive.js';
import { describeDrive, refusedLines } from './drive-text.js';
import { answered, type Question, requireTerminal } from './prompts.js';
import type { Streams } from './streams.js';

/** The drives of this computer whenever they change, until the signal is aborted. */
export type WatchedDrives = (signal: AbortSignal) => AsyncIterable<readonly Drive[]>;

/**
 * Lets the user choose drives from those that can be flashed, and gives their paths. Nothing is chosen beforehand, not even a single drive. The
 * list follows what is plugged in; a drive that goes, or whose card is swapped, is no longer chosen. Fails without a terminal.
 */
export async function chooseDrives(question: Question, watch: WatchedDrives, streams: Streams): Promise<string[]> {
  requireTerminal(question, streams);
  const { createPrompt, isDownKey, isEnterKey, isSpaceKey, isUpKey, useEffect, useKeypress, useState } =
    await import('@inquirer/core');
  const prompt = createPrompt<string[], { readonly message: string }>(({ message }, done) => {
    const [drives, setDrives] = useState<readonly Drive[] | undefined>(undefined);
    const [chosen, setChosen] = useState<readonly string[]>([]);
    const [active, setActive] = useState('');
    const [hint, setHint] = useState('');
    const [isDone, setDone] = useState(false);
    useEffect(() => {
      const watching = new AbortController();
      void follow(watch(watching.signal), setDrives).catch((error: unknown) => {
        // That the watching ends with the prompt is no news.
        if (!watching.signal.aborted) setHint(error instanceof Error ? error.message : String(error));
      });
      return () => {
        watching.abort();
      };
    }, []);
    const choices = (drives ?? []).filter((drive) => drive.refusals.length === 0);
    const marked = choices.filter((drive) => chosen.includes(drive.identity));
    const at = Math.max(
      0,
      choices.findIndex((drive) => drive.identity === active),
    );
    useKeypress((key) => {
      const step = isUpKey(key) ? -1 : isDownKey(key) ? 1 : 0;
      const current = choices[at];
      setHint('');
      if (step !== 0) setActive(choices.at((at + step) % choices.length)?.identity ?? '');
      else if (isSpaceKey(key) && current !== undefined) {
        setActive(current.identity);
        const others = chosen.filter((one) => one !== current.identity);
        setChosen(others.length === chosen.length ? [...chosen, current.identity] : others);
      } else if (isEnterKey(key)) {
        if (marked.length === 0) {
          setHint('Nothing is chosen: choose with the space bar.');
          return;
        }
        setDone(true);
        done(marked.map((drive) => drive.path));
      }
    });
    if (isDone) return `${message} ${marked.map((drive) => drive.path).join(', ')}`;
    const width = streams.columns() - 1;
    const lines = choices.map((drive, index) => {
      const box = marked.includes(drive) ? '[x]' : '[ ]';
      return `${index === at ? '>' : ' '} ${box} ${describeDrive(drive)}`.slice(0, width);
    });
    if (drives !== undefined && lines.length === 0) lines.push('  No drive that can be flashed: insert a card.');
    const refused = (drives ?? []).filter((drive) => drive.refusals.length > 0);
    const below = refused.length === 0 ? [] : ['', ...refusedLines(refused, width)];
    const help = hint === '' ? 'Up and down move, space chooses, Enter goes on.' : hint;
    // The question, an empty line and the help are always there; of the rest, what can be chosen goes before what cannot.
    const room = Math.max(1, streams.windowSize().rows - 4);
    const first = Math.max(0, Math.min(at - Math.floor(room / 2), lines.length - room));
    const shown = lines.slice(first, first + room);
    return [message, ...shown, ...below.slice(0, room - shown.length), '', help].join('\n');
  });
  const context = { input: streams.stdin, output: streams.stderr, signal: question.signal };
  return answered(question, () => prompt({ message: question.message }, context));
}

async function follow(lists: AsyncIterable<readonly Drive[]>, show: (drives: readonly Drive[]) => void): Promise<void> {
  for await (const drives of lists) show(drives);
}
