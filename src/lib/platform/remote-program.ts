import type { Readable, Writable } from 'node:stream';

/** A terminal as the remote side should see it. */
export interface RemoteTerminal {
  /** The value of TERM: `xterm-256color`. */
  readonly type: string;
  readonly columns: number;
  readonly rows: number;
}

/** How a remote program ended. */
export interface RemoteExit {
  /** Its own exit code, or 128 + the signal's number, as shells have it. */
  readonly exitCode: number;
  /** The signal that ended it: `SIGTERM`. */
  readonly signal?: string;
}

/** A program that runs on a device, on its host or in one of its containers. Its output must be read, or it never ends. */
export interface RemoteProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when the program has ended and its output has arrived; fails as unreachable when the connection is lost first. */
  readonly exited: Promise<RemoteExit>;
  resize(columns: number, rows: number): void;
  /** Asks it to end, as Ctrl-C does; over SSH all else of that connection as well. */
  interrupt(): Promise<void>;
  /** Stops listening to the program. */
  close(): void;
}
