import { randomBytes } from 'node:crypto';
import { run, runChecked } from '../../src/lib/platform/child-process.js';

/** A terminal with a program on it and somebody who types, made by a tmux server of its own. */
export interface Terminal {
  /** What is on the screen. */
  screen: () => Promise<string>;
  /** Resolves with the screen once it shows something; fails after ten seconds. */
  until: (shown: RegExp) => Promise<string>;
  /** Types text as it is. */
  type: (text: string) => Promise<void>;
  /** Presses a key by its tmux name: `Enter`, `C-c`. */
  press: (key: string) => Promise<void>;
  resize: (columns: number, rows: number) => Promise<void>;
  close: () => Promise<void>;
}

/** Starts a shell command on a terminal of 80 by 24. */
export async function openTerminal(
  command: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<Terminal> {
  const server = `davit-${process.pid}-${randomBytes(4).toString('hex')}`;
  const tmux = (...words: string[]) => run('tmux', ['-L', server, ...words]);
  await runChecked(
    'starting a terminal',
    'tmux',
    ['-L', server, '-f', '/dev/null', 'new-session', '-d', '-x', '80', '-y', '24', command],
    { environment: { ...environment, NODE_TEST_CONTEXT: '' } },
  );
  // The screen of a program that has ended stays, to be looked at.
  const screen = async () => (await tmux('capture-pane', '-p')).stdout;
  return {
    screen,
    until: async (shown) => {
      const end = performance.now() + 10_000;
      for (;;) {
        const text = await screen();
        if (shown.test(text)) return text;
        if (performance.now() > end) throw new Error(`${String(shown)} never appeared on the screen:\n${text}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    type: async (text) => {
      await tmux('send-keys', '-l', text);
    },
    press: async (key) => {
      await tmux('send-keys', key);
    },
    resize: async (columns, rows) => {
      await tmux('resize-window', '-x', String(columns), '-y', String(rows));
    },
    close: async () => {
      await tmux('kill-server');
    },
  };
}
