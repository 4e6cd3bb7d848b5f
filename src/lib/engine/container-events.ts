import { isRecord } from '../platform/json.js';
import { textAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineStream } from './engine-request.js';
import { textLines } from './text-lines.js';

/** Something that happened to a container. */
export interface ContainerEvent {
  readonly container: string;
  /** `start`, `die`, `destroy`, … */
  readonly action: string;
}

/** What happens to an engine's containers from now on, until the signal is aborted or the connection is lost. */
export async function* containerEvents(
  engine: EngineConnection,
  actions: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<ContainerEvent> {
  const query = { filters: { type: ['container'], event: [...actions] } };
  const request = { method: 'GET', path: '/events', query, signal, timeoutMs: Infinity } as const;
  for await (const line of textLines(engineStream(engine, request))) {
    const event: unknown = JSON.parse(line);
    if (isRecord(event)) yield { container: textAt(event, 'id'), action: textAt(event, 'Action') };
  }
}
