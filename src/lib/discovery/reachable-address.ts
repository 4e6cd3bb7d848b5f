import { systemErrorCode } from '../failure/while-doing.js';
import { limit } from '../platform/limit.js';
import { connectTcp } from '../platform/tcp.js';
import { waitAtMost } from '../platform/wait.js';
import { isLoopback } from './network-links.js';

/** Head start of each address over the next one (RFC 8305 calls it the connection attempt delay). */
const headStartMs = 250;

const patienceMs = 1500;

/**
 * The first of a device's addresses, best first, from which packets come back; the best one if none does, for whoever
 * connects to it to say why not.
 */
export async function reachableAddress(
  addresses: readonly [string, ...string[]],
  port: number,
  signal: AbortSignal,
): Promise<string> {
  const [best, ...others] = addresses;
  return others.length === 0 ? best : ((await answeringAddress(addresses, [port], signal)) ?? best);
}

/**
 * The first of some addresses, best first, from which packets come back on one of some ports, or undefined when none does. A port that
 * refuses the connection is as good a sign of life as one that accepts it, but for one of this computer.
 */
export async function answeringAddress(
  addresses: readonly string[],
  ports: readonly number[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const search = limit(signal, patienceMs);
  const tries = ports.flatMap((port) => addresses.map((address) => ({ address, port })));
  let found: string | undefined;
  await Promise.all(
    tries.map(async ({ address, port }, index) => {
      await waitAtMost(index * headStartMs, search.signal);
      if (search.signal.aborted || !(await answers(address, port, search.signal))) return;
      found ??= address;
      search.end();
    }),
  );
  search.end();
  return found;
}

async function answers(address: string, port: number, signal: AbortSignal): Promise<boolean> {
  try {
    (await connectTcp({ address, port, timeoutMs: patienceMs, signal })).destroy();
    return true;
  } catch (error) {
    return systemErrorCode(error) === 'ECONNREFUSED' && !isLoopback(address);
  }
}
