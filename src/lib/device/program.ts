import { execInContainer } from '../engine/exec.js';
import { findRunningService } from '../engine/find-service.js';
import type { RemoteProcess, RemoteTerminal } from '../platform/remote-program.js';
import { remoteCommandLine } from '../ssh/quote-command.js';
import type { Device } from './device.js';

/** What is to run on a device. */
export interface ProgramRequest {
  /** The service in whose container it runs; undefined for the host. */
  readonly service: string | undefined;
  /** A program and its arguments, or one line for the shell; nothing for the shell itself. */
  readonly words: readonly string[];
  readonly signal: AbortSignal;
}

/** Starts a program, on a terminal if one is given. */
export type ProgramStarter = (terminal: RemoteTerminal | undefined) => Promise<RemoteProcess>;

/** Makes the connection that a program needs, and gives what starts it. */
export async function programStarter(
  device: Device,
  { service, words, signal }: ProgramRequest,
): Promise<ProgramStarter> {
  if (service === undefined) {
    const connection = await device.ssh();
    return (terminal) =>
      words.length === 0 ? connection.shell(terminal) : connection.execute(remoteCommandLine(words), terminal);
  }
  const engine = await device.engine();
  const container = (await findRunningService(engine, service, signal)).id;
  const command = containerCommand(words);
  return (terminal) => execInContainer(engine, { container, command, terminal, signal });
}

/** The best shell that a container has. */
const anyShell = 'if [ -e /bin/bash ]; then exec /bin/bash; else exec /bin/sh; fi';

/** Several words are a program and its arguments; one is a line for the shell, unless it cannot be more than a program's name. */
function containerCommand(words: readonly string[]): readonly string[] {
  const [line = anyShell, ...more] = words;
  // Not every container has a shell.
  if (more.length > 0 || /^[\w./-]+$/.test(line)) return words;
  return ['/bin/sh', '-c', line];
}
