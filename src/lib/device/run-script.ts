import { buffer } from 'node:stream/consumers';
import { remoteCommandLine } from '../ssh/quote-command.js';
import type { RemoteExit } from '../platform/remote-program.js';
import type { SshConnection } from '../ssh/ssh-connection.js';

/** What a script is run with. */
export interface ScriptInput {
  /** Its `$1`, `$2`, …, which everybody on the device can read in the list of processes. */
  readonly words?: readonly string[];
  /** What it reads from standard input, which nobody else can. */
  readonly input?: string | Uint8Array;
}

/** What a script left. */
export interface ScriptResult extends RemoteExit {
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a script for POSIX shells on the host of a device to its end; a non-zero exit code is a result, not a failure. */
export async function runScript(
  connection: Pick<SshConnection, 'execute'>,
  script: string,
  { words = [], input = '' }: ScriptInput = {},
): Promise<ScriptResult> {
  // The login shell may be of another kind.
  const program = await connection.execute(remoteCommandLine(['exec', 'sh', '-c', script, 'davit', ...words]));
  // A script that ends before it has read everything is judged by its exit code.
  program.stdin.on('error', () => undefined);
  program.stdin.end(input);
  const [stdout, stderr, exit] = await Promise.all([buffer(program.stdout), buffer(program.stderr), program.exited]);
  return { ...exit, stdout, stderr: String(stderr) };
}
