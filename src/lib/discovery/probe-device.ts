import { limit } from '../platform/limit.js';
import { connectTcp } from '../platform/tcp.js';
import { type DeviceFacts, mergeFacts, type PartialFacts } from './device-facts.js';
import { engineFacts } from './engine-facts.js';
import { DeviceHttp } from './http-document.js';
import { supervisorFacts } from './supervisor-facts.js';

/** What can be learned from a device without a login, and what its engine calls itself. */
export type ProbedFacts = DeviceFacts & { readonly engineId: string | undefined };

const enginePort = 2375;
const supervisorPort = 48484;
const timeoutMs = 1500;

/** Knocks at a device's ports and asks its engine and Supervisor where they are open. Whatever does not answer is left out; never fails. */
export async function probeDevice(
  device: { readonly address: string; readonly sshPort: number },
  signal: AbortSignal,
): Promise<ProbedFacts> {
  const { address, sshPort } = device;
  const patience = limit(signal, timeoutMs);
  const ask = async (port: number, facts: (http: DeviceHttp) => Promise<PartialFacts>) => {
    if (!(await isOpen(address, port, patience.signal))) return undefined;
    const http = new DeviceHttp(address, port, patience.signal);
    try {
      return await facts(http);
    } finally {
      http.close();
    }
  };
  const [hasSsh, engine, supervisor] = await Promise.all([
    isOpen(address, sshPort, patience.signal),
    ask(enginePort, engineFacts),
    ask(supervisorPort, supervisorFacts),
  ]);
  patience.end();
  const openPorts = [
    ...(hasSsh ? [sshPort] : []),
    ...(engine === undefined ? [] : [enginePort]),
    ...(supervisor === undefined ? [] : [supervisorPort]),
  ];
  // Development mode is what opens the port of the engine.
  const mode = engine !== undefined ? 'development' : hasSsh ? 'production' : 'unknown';
  return mergeFacts([supervisor ?? {}, engine ?? {}, { openPorts, mode }]);
}

/** The same with what a login has told, which knows best but for the open port of the engine. */
export function withLoginFacts(probed: ProbedFacts, said: PartialFacts): ProbedFacts {
  return mergeFacts([probed.openPorts.includes(enginePort) ? { mode: 'development' } : {}, said, probed]);
}

async function isOpen(address: string, port: number, signal: AbortSignal): Promise<boolean> {
  try {
    (await connectTcp({ address, port, timeoutMs, signal })).destroy();
    return true;
  } catch {
    return false;
  }
}
