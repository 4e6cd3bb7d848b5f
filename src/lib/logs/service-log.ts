import { containerLogs, type LogLine } from '../engine/container-logs.js';
import type { ContainerDetails } from '../engine/containers.js';
import { findService } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import type { Device } from '../device/device.js';
import type { EngineLink } from '../device/engine-link.js';
import { LogCursor } from './log-cursor.js';
import type { LogRequest, LogSource } from './log-source.js';
import { throughLosses } from './through-losses.js';

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
      if (!follow || this.#attached === undefined || !(error instanceof Failure && isPassing(error))) throw error;
    }
  }

  coming(): AsyncGenerator<LogLine> {
    return throughLosses(this.#link, this.#request, { read: this.#readOn.bind(this), isPassing });
  }

  async *#readOn(device: Device, reached: (where: string) => void): AsyncGenerator<LogLine> {
    const engine = await device.engine();
    const container = await findService(engine, this.#service, this.#request.signal);
    reached(engine.description);
    const { id, startedAt } = this.#attached ?? {};
    const hasEnded = container.id === id && container.startedAt === startedAt && container.state !== 'running';
    if (!hasEnded) yield* this.#read(engine, container, true);
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
function isPassing({ kind, code }: Failure): boolean {
  return kind !== 'permission' && code !== 'host-key-changed';
}
