import type { LogLine } from '../engine/container-logs.js';
import { listContainers } from '../engine/containers.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import type { EngineLink } from '../device/engine-link.js';
import type { LogRequest, LogSource } from './log-source.js';
import { asTheyCome, byTime } from './merged-lines.js';
import { ServiceLog } from './service-log.js';
import { SystemLog } from './system-log.js';

/** A device whose logs are wanted. */
export interface LoggingDevice {
  /** As the user calls it. */
  readonly name: string;
  readonly link: EngineLink;
}

/** Which logs are wanted. */
export interface LogsRequest extends LogRequest {
  /** Services by name; none for all that there are. */
  readonly services: readonly string[];
  /** Whether the system's own journal is wanted, besides the services that are named. */
  readonly system: boolean;
}

/** A line of one of several logs. */
export interface DeviceLogLine extends LogLine {
  readonly device: string;
  /** The service; `system` for the device itself. */
  readonly source: string;
}

const newServiceMs = 2000;

/** The logs of devices as one. */
export interface DeviceLogs {
  /** What is read at first: a device's services, its system. */
  readonly sources: readonly { readonly device: string; readonly source: string }[];
  /**
   * What is there in the order of its times, then, if more is wanted, lines as they come, also of services that come later. Fails at the
   * end, or when it is left with nothing to wait for, if one of several devices has failed.
   */
  readonly lines: AsyncGenerator<DeviceLogLine>;
}

/** Opens the logs of devices. Of several devices, one that fails is told of and left out. */
export async function openDeviceLogs(
  devices: readonly LoggingDevice[],
  { signal, ...wanted }: LogsRequest,
): Promise<DeviceLogs> {
  const reading = limit(signal);
  const request = { ...wanted, signal: reading.signal };
  const failed = new Map<string, Failure>();
  const unlessFailed = async <T>(device: string, work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (devices.length === 1 || !(error instanceof Failure) || request.signal.aborted) throw error;
      if (!failed.has(device)) {
        const text = [`${device}: ${error.message}`, ...(error.hint === undefined ? [] : [error.hint])].join('\n');
        request.progress({ type: 'notice', level: 'warning', text });
      }
      failed.set(device, error);
      return undefined;
    }
  };
  const logs = await Promise.all(
    devices.map(async (device) => ({
      device,
      sources: (await unlessFailed(device.name, sourcesOf(device, request))) ?? [],
    })),
  );
  const all = logs.flatMap(({ device, sources }) => sources.map((source) => ({ device: device.name, source })));
  async function* named(device: string, source: string, lines: AsyncGenerator<LogLine>) {
    for (;;) {
      const next = await unlessFailed(device, lines.next());
      if (next === undefined || next.done === true) return;
      yield { device, source, ...next.value };
    }
  }
  async function* merged(): AsyncGenerator<DeviceLogLine> {
    yield* byTime(all.map(({ device, source }) => named(device, source.name, source.there())));
    if (request.follow) {
      const isAll = request.services.length === 0 && !request.system;
      const added = isAll
        ? logs.flatMap(({ device, sources }) =>
            failed.has(device.name) ? [] : [newServices(device, sources, request)],
          )
        : [];
      const going = all.filter(({ device }) => !failed.has(device));
      yield* asTheyCome(
        going.map(({ device, source }) => named(device, source.name, source.coming())),
        mapped(asTheyCome(added), ({ device, source }) => named(device, source.name, source.coming())),
      );
    }
    if (failed.size === 0) return;
    const message = `${failed.size} of ${devices.length} devices failed: ${[...failed.keys()].join(', ')}`;
    const reports = [...failed].map(([device, { code, message: reason }]) => ({
      device,
      error: { code, message: reason },
    }));
    throw new Failure('failed', 'devices-failed', message, { report: { devices: reports } });
  }
  async function* lines(): AsyncGenerator<DeviceLogLine> {
    try {
      yield* merged();
    } finally {
      // Whoever leaves in the middle leaves all of them.
      reading.end();
    }
  }
  return { sources: all.map(({ device, source }) => ({ device, source: source.name })), lines: lines() };
}

async function* mapped<T, U>(items: AsyncGenerator<T>, map: (item: T) => U): AsyncGenerator<U> {
  for await (const item of items) yield map(item);
}

async function sourcesOf({ link }: LoggingDevice, request: LogsRequest): Promise<LogSource[]> {
  const { services, system, timeoutMs = 0, signal } = request;
  const wanted = services.map((service) => new ServiceLog(link, service, request));
  if (system) return [...wanted, new SystemLog(link, request)];
  if (services.length > 0) return wanted;
  await link.answeringEngine(timeoutMs, signal);
  const found = await servicesOn(link, signal);
  if (found.length === 0 && !request.follow) {
    throw new Failure('not-found', 'service-not-found', 'the device has no service', {
      hint: 'Push a project to it first: davit push',
    });
  }
  return found.map((service) => new ServiceLog(link, service, request));
}

async function servicesOn(link: EngineLink, signal: AbortSignal): Promise<string[]> {
  const containers = await listContainers(await link.engine(), signal);
  return [...new Set(containers.flatMap(({ name }) => serviceOfContainer(name) ?? []))].sort();
}

/** Services that a device has not had before, as it gets them. */
async function* newServices(
  { name, link }: LoggingDevice,
  sources: readonly LogSource[],
  request: LogsRequest,
): AsyncGenerator<{ readonly device: string; readonly source: LogSource }> {
  const { signal } = request;
  const known = new Set(sources.map((source) => source.name));
  const whole = { ...request, tail: undefined, since: undefined };
  for (;;) {
    await waitAtMost(newServiceMs, signal);
    signal.throwIfAborted();
    try {
      for (const service of await servicesOn(link, signal)) {
        if (known.has(service)) continue;
        known.add(service);
        yield { device: name, source: new ServiceLog(link, service, whole) };
      }
    } catch (error) {
      // The logs that are followed tell of a device that is away, and of one that lets nobody in.
      if (!(error instanceof Failure)) throw error;
      signal.throwIfAborted();
    }
  }
}
