import { isIPv4 } from 'node:net';
import { Failure } from '../failure/failure.js';
import { connectTcp } from '../platform/tcp.js';
import { waitAtMost } from '../platform/wait.js';

/** A range of IPv4 addresses to knock at. */
export interface SweepRange {
  readonly first: number;
  readonly count: number;
}

/** How many addresses are tried in a second: few enough for the smallest router to resolve, and 10.0.0.0/24 takes a second. */
const addressesPerSecond = 256;
const burst = 16;
const knockMs = 1200;

/** The range that a text such as `192.168.1.0/24` means. */
export function parseSweepRange(text: string): SweepRange {
  const [address = '', bits = '', ...rest] = text.split('/');
  const prefix = /^\d{1,2}$/.test(bits) ? Number(bits) : NaN;
  if (rest.length > 0 || !isIPv4(address) || !(prefix <= 32)) {
    throw new Failure('usage', 'invalid-range', `"${text}" is not a range of IPv4 addresses`, {
      hint: 'Write it as network/bits: --sweep 192.168.1.0/24',
    });
  }
  if (prefix < 16) {
    const message = `${text} has ${2 ** (32 - prefix)} addresses, of which at most 65536 are swept`;
    throw new Failure('usage', 'range-too-large', message, { hint: 'Sweep a part of it, such as a /16 or a /24' });
  }
  const size = 2 ** (32 - prefix);
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const start = number - (number % size);
  // The first address is the network's own and the last one means everybody in it.
  return size > 2 ? { first: start + 1, count: size - 2 } : { first: start, count: size };
}

/** What is done while sweeping. */
export interface SweepOptions {
  readonly signal: AbortSignal;
  readonly port: number;
  /** Called for each address before it is knocked at. */
  readonly onTry: (address: string) => void;
  /** Called for each address whose port is open. */
  readonly onOpen: (address: string) => void;
}

/** Knocks at every address of some ranges, at a bounded rate. Done when the last has answered or not. */
export async function sweepRanges(
  ranges: readonly SweepRange[],
  { signal, port, onTry, onOpen }: SweepOptions,
): Promise<void> {
  const knocking: Promise<void>[] = [];
  let tried = 0;
  for (const { first, count } of ranges) {
    for (let offset = 0; offset < count && !signal.aborted; offset++) {
      const address = [24, 16, 8, 0].map((shift) => Math.floor((first + offset) / 2 ** shift) % 256).join('.');
      onTry(address);
      knocking.push(knock(address));
      if (++tried % burst === 0) await waitAtMost((burst * 1000) / addressesPerSecond, signal);
    }
  }
  await Promise.all(knocking);

  async function knock(address: string): Promise<void> {
    try {
      (await connectTcp({ address, port, timeoutMs: knockMs, signal })).destroy();
    } catch {
      return;
    }
    onOpen(address);
  }
}
