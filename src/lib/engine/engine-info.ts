import { Failure } from '../failure/failure.js';
import { listAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson, engineStream, notAnEngine } from './engine-request.js';

/** What an engine says about itself and the computer it runs on. */
export interface EngineInfo {
  /** The host's name; on a balenaOS device its hostname or short UUID. */
  readonly hostname: string | undefined;
  /** What the engine calls itself, which is different for every installation. */
  readonly id: string | undefined;
  readonly operatingSystem: string | undefined;
  /** As the kernel calls it: `x86_64`, `aarch64`, `armv7l`, … */
  readonly machine: string | undefined;
  /** Whether it keeps images in containerd, as new Docker engines do, instead of in layers of its own; balenaEngine never does. */
  readonly keepsImagesInContainerd: boolean;
}

/** Makes sure that an engine answers; fails as unreachable otherwise. */
export async function pingEngine(engine: EngineConnection, signal?: AbortSignal): Promise<void> {
  let answer = '';
  const request = { method: 'GET', path: '/_ping', signal, timeoutMs: 5000 } as const;
  try {
    for await (const chunk of engineStream(engine, request)) answer += chunk.toString('latin1');
  } catch (error) {
    // Every engine knows this path.
    throw error instanceof Failure && error.kind === 'not-found' ? notAnEngine(engine, error) : error;
  }
  if (answer.trim() !== 'OK') throw notAnEngine(engine);
}

/** The engine's `/info`. */
export async function engineInfo(engine: EngineConnection, signal?: AbortSignal): Promise<EngineInfo> {
  const info = await engineJson(engine, { method: 'GET', path: '/info', signal });
  const text = (key: string) => {
    const value = valueAt(info, key);
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    hostname: text('Name'),
    id: text('ID'),
    operatingSystem: text('OperatingSystem'),
    machine: text('Architecture'),
    keepsImagesInContainerd: listAt(info, 'DriverStatus').some((pair) =>
      String(pair).includes('io.containerd.snapshotter'),
    ),
  };
}
