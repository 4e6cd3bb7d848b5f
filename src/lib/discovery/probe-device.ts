import { get } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { isRecord } from '../platform/json.js';
import { limit } from '../platform/limit.js';
import { connectTcp } from '../platform/tcp.js';

/** What a device says about itself without a login. Facts it does not give are null. */
export interface DeviceFacts {
  /** Development mode is what opens the engine's port; unknown when not even SSH answers. */
  readonly mode: 'development' | 'production' | 'unknown';
  /** `balenaOS 6.8.1` */
  readonly os: string | null;
  /** `aarch64` */
  readonly architecture: string | null;
  readonly engineVersion: string | null;
  /** Those of SSH, the engine and the Supervisor that accept connections. */
  readonly openPorts: readonly number[];
}

const enginePort = 2375;
const supervisorPort = 48484;
const timeoutMs = 1500;

/** Knocks at a device's ports and asks its engine where that is open. Whatever does not answer is left out; never fails. */
export async function probeDevice(
  device: { readonly address: string; readonly sshPort: number },
  signal: AbortSignal,
): Promise<DeviceFacts> {
  const { address, sshPort } = device;
  const ports = [sshPort, enginePort, supervisorPort];
  const [info, version, ...answers] = await Promise.all([
    engineDocument(address, '/info', signal),
    engineDocument(address, '/version', signal),
    ...ports.map((port) => isOpen(address, port, signal)),
  ]);
  const openPorts = ports.filter((_, index) => answers[index]);
  return {
    mode: openPorts.includes(enginePort) ? 'development' : openPorts.includes(sshPort) ? 'production' : 'unknown',
    os: textField(info, 'OperatingSystem'),
    architecture: textField(info, 'Architecture'),
    engineVersion: textField(version, 'Version'),
    openPorts,
  };
}

async function isOpen(address: string, port: number, signal: AbortSignal): Promise<boolean> {
  try {
    (await connectTcp({ address, port, timeoutMs, signal })).destroy();
    return true;
  } catch {
    return false;
  }
}

async function engineDocument(address: string, path: string, signal: AbortSignal): Promise<unknown> {
  const patience = limit(signal, timeoutMs);
  try {
    const { status, body } = await new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      // Go's HTTP server refuses a Host header with a zone in it.
      const headers = { host: 'engine' };
      get({ host: address, port: enginePort, path, headers, agent: false, signal: patience.signal }, (response) => {
        textOf(response).then((body) => {
          resolve({ status: response.statusCode, body });
        }, reject);
      }).on('error', reject);
    });
    return status === 200 ? JSON.parse(body) : undefined;
  } catch {
    return undefined;
  } finally {
    patience.end();
  }
}

function textField(document: unknown, name: string): string | null {
  const value = isRecord(document) ? document[name] : undefined;
  // Whoever answers there may be anyone; the text ends up on a terminal.
  const text = typeof value === 'string' ? value.replaceAll(/\p{C}/gu, '').slice(0, 100) : '';
  return text === '' ? null : text;
}
