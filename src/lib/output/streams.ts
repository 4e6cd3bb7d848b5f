import type { ReadStream } from 'node:tty';

/** The three standard streams and what is known about the terminal behind them: the one place that decides on colour and width. */
export interface Streams {
  readonly stdin: NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY' | 'setRawMode'>>;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly stdinIsTerminal: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Whether colour is wanted on standard output and on standard error. */
  readonly stdoutHasColor: boolean;
  readonly stderrHasColor: boolean;
  /** Columns of the terminal behind standard error, asked anew each time because windows are resized. */
  readonly columns: () => number;
  /** Size in characters of the terminal behind standard output, 80 by 24 without one. */
  readonly windowSize: () => { readonly columns: number; readonly rows: number };
  /** Hands every key to the program, Ctrl-C included, or takes that back; undefined when standard input is not a terminal. */
  readonly setRawMode: ((isRaw: boolean) => unknown) | undefined;
  /** Calls the listener whenever that terminal is resized; the returned function ends it. */
  readonly onResize: (listener: () => void) => () => void;
}

/**
 * The streams of this process. Colour follows, first to last: `--no-color`, `NO_COLOR` (https://no-color.org),
 * `FORCE_COLOR` (0 is off), `TERM=dumb`, and whether the stream is a terminal.
 */
export function processStreams(options: { readonly noColor: boolean }): Streams {
  const { stdin, stdout, stderr } = process;
  return {
    stdin,
    stdout,
    stderr,
    stdinIsTerminal: stdin.isTTY,
    stdoutIsTerminal: stdout.isTTY,
    stderrIsTerminal: stderr.isTTY,
    stdoutHasColor: wantsColor(stdout.isTTY, options.noColor),
    stderrHasColor: wantsColor(stderr.isTTY, options.noColor),
    columns: () => stderr.columns || 80,
    windowSize: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    setRawMode: stdin.isTTY ? (isRaw) => stdin.setRawMode(isRaw) : undefined,
    onResize: (listener) => {
      stdout.on('resize', listener);
      return () => stdout.off('resize', listener);
    },
  };
}

function wantsColor(isTerminal: boolean, noColor: boolean): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (noColor || (NO_COLOR !== undefined && NO_COLOR !== '')) return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return isTerminal && TERM !== 'dumb';
}
