import type { ProgressEvent } from '../platform/progress.js';
import { noticeText } from './event-text.js';
import { paintFor } from './paint.js';
import { PlainRenderer } from './plain-renderer.js';
import type { Streams } from './streams.js';
import { TerminalRenderer } from './terminal-renderer.js';

/** How progress is shown: `auto` is `terminal` on a terminal and `plain` elsewhere. */
export const progressModes = ['auto', 'terminal', 'plain', 'json', 'none'] as const;
export type ProgressMode = (typeof progressModes)[number];

/** Shows events on standard error. `close` leaves the terminal as it was found. */
export interface Renderer {
  readonly render: (event: ProgressEvent) => void;
  /** Lets something be written to standard output above the live lines, where it keeps some. */
  readonly above?: (write: () => void) => void;
  readonly close: () => void;
}

/** The renderer for a mode. `now` gives milliseconds. */
export function createRenderer(mode: ProgressMode, streams: Streams, now: () => number = Date.now): Renderer {
  switch (mode) {
    case 'terminal':
      return new TerminalRenderer(streams, now);
    case 'plain':
      return new PlainRenderer(streams, now);
    case 'json':
      return { render: (event) => streams.stderr.write(`${JSON.stringify(event)}\n`), close: () => undefined };
    case 'none':
      return noticesOnly(streams);
    case 'auto':
      return createRenderer(streams.stderrIsTerminal ? 'terminal' : 'plain', streams, now);
  }
}

/** Without progress, what the user should know is still said. */
function noticesOnly(streams: Streams): Renderer {
  const paint = paintFor(streams.stderrHasColor);
  return {
    render: (event) => {
      if (event.type === 'notice') streams.stderr.write(`${noticeText(event, paint)}\n`);
    },
    close: () => undefined,
  };
}
