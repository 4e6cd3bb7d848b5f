import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';

/** What was seen in the lists of processes. */
export interface SeenCommandLines {
  /** Whether any process had a text among its words or in its environment. */
  readonly has: (text: string) => boolean;
  /** How often they were looked at. */
  readonly looks: number;
}

/**
 * Looks at the words and the environments of all processes, over and over, until something is done. Devices of tests run here, so theirs are
 * among them.
 */
export async function watchCommandLines(until: Promise<unknown>): Promise<SeenCommandLines> {
  const watch = { isOver: false, looks: 0 };
  const seen = new Set<string>();
  const done = () => {
    watch.isOver = true;
  };
  until.then(done, done);
  while (!watch.isOver) {
    watch.looks += 1;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid))) {
      for (const name of ['cmdline', 'environ']) seen.add(contentOf(`/proc/${pid}/${name}`));
    }
    await setImmediate();
  }
  const all = [...seen].join('\n');
  return { has: (text) => all.includes(text), looks: watch.looks };
}

/** Processes end while they are looked at. */
function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
