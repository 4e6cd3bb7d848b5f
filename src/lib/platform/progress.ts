/** One unit of long work as it goes on: a drive being written, a partition being built, a service being built. */
export interface StepProgress {
  readonly type: 'step';
  /** What is worked on, unique within the command: `/dev/sdb`, `resin-rootA`, `main`. */
  readonly id: string;
  /** What is being done to it, one lower-case verb: `write`, `verify`, `build`. */
  readonly phase: string;
  readonly state: 'active' | 'done' | 'failed';
  /** Bytes done and bytes in all, where they are known. */
  readonly current?: number;
  readonly total?: number;
  /** A few words beside the numbers: the file, the layer, the reason. */
  readonly detail?: string;
}

/** Something the user should know that is not an error. */
export interface Notice {
  readonly type: 'notice';
  readonly level: 'info' | 'warning';
  readonly text: string;
}

/** A line that a remote build or program printed, without its line end. */
export interface OutputLine {
  readonly type: 'line';
  /** Who printed it: a service, a build. */
  readonly id: string;
  readonly text: string;
}

/** What domain functions report while they work; `lib/output` renders it. */
export type ProgressEvent = StepProgress | Notice | OutputLine;

/** Takes the events of a domain function. Must not throw and must return at once. */
export type ProgressListener = (event: ProgressEvent) => void;

/** A listener for callers that do not care. */
export const ignoreProgress: ProgressListener = () => undefined;
