import { Failure } from '../failure/failure.js';
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

const levels = ['error', 'warning', 'note'] as const;

/** Findings with the worst first. */
export function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  return levels.flatMap((level) => findings.filter((one) => one.level === level));
}

/** A finding in one line: `docker-compose.yml:7:5: warning: services.web.links is dropped: …`. Names from files cannot take over a terminal. */
export function findingLine({ place, level, message }: Finding): string {
  const at = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `;
  return `${at}${level}: ${message}`.replaceAll(/\p{Cc}/gu, '\uFFFD');
}

/** Fails with everything that was found if there is an error among it. */
export function refuseErrors(findings: readonly Finding[], report: object): void {
  if (!findings.some(({ level }) => level === 'error')) return;
  throw new Failure('refused', 'project-unfit', worstFirst(findings).map(findingLine).join('\n'), {
    hint: 'Correct the errors at these places; docs/project.md says what a device can do',
    report,
  });
}
