/**
 * The ways a command can fail, as a user or a script tells them apart.
 * `failed` means the work was tried and its result is bad: a write, a verification or a build did not succeed.
 */
export type FailureKind = 'usage' | 'not-found' | 'refused' | 'failed' | 'unreachable' | 'permission' | 'interrupted';

/** Exit code of each kind; 0 is done and 1 is a bug in davit. Documented in the README and in `davit help`. */
export const exitCodes: Readonly<Record<FailureKind, number>> = {
  usage: 2,
  'not-found': 3,
  refused: 4,
  failed: 5,
  unreachable: 6,
  permission: 7,
  interrupted: 130,
};

/** Exit code when something other than a `Failure` reaches the top. */
const bugExitCode = 1;

/** One of several things that are wrong with a file of the user's. */
export interface FailureProblem {
  readonly file?: string;
  /** Counted from 1, as columns are. */
  readonly line?: number;
  readonly column?: number;
  /** JSON pointer (RFC 6901) to the value; empty for the whole. */
  readonly pointer: string;
  readonly message: string;
}

/** What a failure may carry besides its message. */
export interface FailureDetails {
  /** The exact next step for the user, as a sentence or a command. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** The parts of a message that has a line for each. */
  readonly problems?: readonly FailureProblem[];
  /** What else scripts may want to know, as plain values that the error document shows: what became of each drive. */
  readonly report?: object;
}

/**
 * The one error class that davit throws on purpose: `kind` chooses the exit code, `code` is a stable kebab-case word for
 * scripts, `message` says what failed and on which object. Secrets never belong in any of them.
 */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;
  readonly code: string;
  readonly hint: string | undefined;
  readonly problems: readonly FailureProblem[];
  readonly report: object | undefined;

  constructor(kind: FailureKind, code: string, message: string, details: FailureDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.kind = kind;
    this.code = code;
    this.hint = details.hint;
    this.problems = details.problems ?? [];
    this.report = details.report;
  }

  /** The same failure with another next step for the user. */
  withHint(hint: string): Failure {
    const { kind, code, message, problems } = this;
    const details = { hint, cause: this, problems };
    return new Failure(kind, code, message, this.report === undefined ? details : { ...details, report: this.report });
  }

  /** The same failure with what came of it: `; what ran before runs again`. */
  withOutcome(outcome: string): Failure {
    const { kind, code, message, hint, problems } = this;
    const details = { ...(hint === undefined ? {} : { hint }), cause: this, problems };
    return new Failure(kind, code, `${message}${outcome}`, details);
  }

  /** The same failure with something more for scripts. */
  withReport(report: object): Failure {
    const { kind, code, message, hint, problems } = this;
    return new Failure(kind, code, message, { ...(hint === undefined ? {} : { hint }), cause: this, problems, report });
  }
}

/** Exit code for whatever was thrown: the kind's own for a `Failure`, 1 for anything else. */
export function exitCodeOf(error: unknown): number {
  return error instanceof Failure ? exitCodes[error.kind] : bugExitCode;
}

/** The failure that an interrupted command ends with. */
export function interrupted(): Failure {
  return new Failure('interrupted', 'interrupted', 'interrupted');
}
