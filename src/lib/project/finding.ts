import type { Place } from './composition.js';

/** Something about a project that is worth knowing before it is pushed. */
export interface Finding {
  /** An error keeps the push from working; a warning is something that will not be as it is written; a note is good to know. */
  readonly level: 'error' | 'warning' | 'note';
  /** A stable word for scripts: `key-dropped`. */
  readonly code: string;
  readonly service?: string;
  /** Where it was written. */
  readonly place?: Place;
  /** What it is, and what happens instead. */
  readonly message: string;
}

/** The device that a project is checked for, as far as it is known. */
export interface CheckTarget {
  /** Whether a Supervisor runs the services; otherwise it is an engine alone. */
  readonly isSupervised: boolean;
  /** As balena names it: `aarch64`, `armv7hf`, `rpi`, `amd64`, `i386`. */
  readonly architecture?: string | undefined;
  readonly deviceType?: string | undefined;
}
