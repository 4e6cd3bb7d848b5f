import { once } from 'node:events';
import { Failure } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { pingEngine } from '../engine/engine-info.js';
import { tcpEngineConnection } from '../engine/engine-connection.js';
import { limit } from '../platform/limit.js';
import { connectTcp } from '../platform/tcp.js';
import { waitAtMost } from '../platform/wait.js';

/** Where a service of a device is reached. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Time between two attempts. */
const pauseMs = 500;
/** Time that a server may take to greet. */
const greetingMs = 3000;

/** Waits until an SSH server greets at the endpoint, or until the signal is aborted; tells which. */
export function sshAnswers(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  return untilAnswered(signal, async () => {
    const socket = await connectTcp({ ...endpoint, timeoutMs: greetingMs, signal });
    const patience = limit(signal, greetingMs);
    try {
      // QEMU accepts connections to a forwarded port before the device does: only a greeting counts (RFC 4253, 4.2).
      const received: unknown[] = await once(socket, 'data', { signal: patience.signal });
      if (!String(received[0]).startsWith('SSH-')) throw new Failure('unreachable', 'not-ssh', 'no SSH server answers');
    } finally {
      patience.end();
      socket.on('error', () => undefined);
      socket.destroy();
    }
  });
}

/** Waits until an engine answers at the endpoint, or until the signal is aborted; tells which. */
export function engineAnswers(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  return untilAnswered(signal, () => pingEngine(tcpEngineConnection(endpoint.address, endpoint.port), signal));
}

async function untilAnswered(signal: AbortSignal, attempt: () => Promise<void>): Promise<boolean> {
  while (!signal.aborted) {
    try {
      await attempt();
      return true;
    } catch (error) {
      const isExpected = error instanceof Failure || isAbort(error) || systemErrorCode(error) !== undefined;
      if (!isExpected) throw error;
    }
    await waitAtMost(pauseMs, signal);
  }
  return false;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
