import type { LogLine } from '../engine/container-logs.js';
import type { EngineLink } from './engine-link.js';
import { serviceLogs, type ServiceLogRequest } from './service-logs.js';

/** A line of one of several services. */
export interface ServiceLogLine extends LogLine {
  readonly service: string;
}

/** The logs of several services as one, line by line as they come. Ends when all of them have ended. */
export async function* servicesLogs(
  link: EngineLink,
  services: readonly string[],
  request: Omit<ServiceLogRequest, 'service'>,
): AsyncGenerator<ServiceLogLine> {
  const logs = services.map((service) => ({ service, log: serviceLogs(link, { ...request, service }) }));
  const next = async (index: number) => {
    const one = logs[index];
    return { index, service: one?.service ?? '', result: await one?.log.next() };
  };
  const waiting = new Map(logs.map((_, index) => [index, next(index)]));
  while (waiting.size > 0) {
    const { index, service, result } = await Promise.race(waiting.values());
    if (result === undefined || result.done === true) {
      waiting.delete(index);
      continue;
    }
    waiting.set(index, next(index));
    yield { service, ...result.value };
  }
}
