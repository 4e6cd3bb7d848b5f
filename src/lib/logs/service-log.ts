import { containerLogs, type LogLine } from '../engine/container-logs.js';
import type { ContainerDetails } from '../engine/containers.js';
import { findService } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';
import type { EngineLink } from '../device/engine-link.js';
import { LogCursor } from './log-cursor.js';
import type { LogRequest, LogSource } from './log-source.js';

const pollMs = 500;
const longestPauseMs = 10_000;

/** The log of a service's container. */
export class ServiceLog implements LogSource {
  readonly #link: EngineLink;
  readonly #service: string;
  readonly #request: LogRequest;
  readonly #cursor = new LogCursor();
  #attached: ContainerDetails | undefined;

  constructor(link: EngineLink, service: string, request: LogRequest) {
    this.#link = link;
    this.#service = service;
    this.#request = request;
  }

  get name(): string {
    return this.#service;
  }

  async *there(): AsyncGenerator<LogLine> {
    const { follow, timeoutMs = 0, signal } = this.#request;
    const engine = await this.#link.answeringEngine(timeoutMs, signal);
    try {
      yield* this.#read(engine, await findService(engine, this.#service, signal), false);
    } catch (error) {
      signal.throwIfAborted();
      // Whoever waits for what comes gets the rest with that.
      if (!follow || this.#attached === undefined || !isPassing(error)) throw error;
    }
  }

  async *coming(): AsyncGenerator<LogLine> {
    const { signal, progress } = this.#request;
    let losses = 0;
    for (;;) {
      signal.throwIfAborted();
      try {
        const engine = await this.#link.engine();
        const container = await findService(engine, this.#service, signal);
        if (losses > 0) notice('info', `connected to ${engine.description} again`);
        losses = 0;
        const { id, startedAt } = this.#attached ?? {};
        const hasEnded = container.id === id && container.startedAt === startedAt && container.state !== 'running';
        if (!hasEnded) yield* this.#read(engine, container, true);
        await waitAtMost(pollMs, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error;
        if (losses === 0) notice('warning', `${error.message}; trying again until Ctrl-C`);
        losses += 1;
        await this.#link.drop();
        await waitAtMost(Math.min(pollMs * 2 ** losses, longestPauseMs), signal);
      }
    }
    function notice(level: 'info' | 'warning', text: string): void {
      progress({ type: 'notice', level, text });
    }
  }

  /** Reads on in a container's log where it was left, or from its beginning if it is another container. */
  async *#read(
    engine: Parameters<typeof containerLogs>[0],
    container: ContainerDetails,
    follow: boolean,
  ): AsyncGenerator<LogLine> {
    const { tail, since, signal } = this.#request;
    const isFirst = this.#attached === undefined;
    const isSame = container.id === this.#attached?.id;
    if (isSame) this.#cursor.resume();
    else this.#cursor.reset();
    this.#attached = container;
    const from = this.#cursor.since;
    // Of a container in which nothing was read, it is the same that is wanted as at first.
    const selection = from !== undefined ? { since: from } : isFirst || isSame ? { tail, since } : {};
    for await (const line of containerLogs(engine, container, { follow, signal, ...selection })) {
      if (this.#cursor.take(line)) yield line;
    }
  }
}

/** Whether waiting may mend what went wrong; a device that does not let us in or is another one now stays so. */
function isPassing(error: unknown): error is Failure {
  return error instanceof Failure && error.kind !== 'permission' && error.code !== 'host-key-changed';
}
