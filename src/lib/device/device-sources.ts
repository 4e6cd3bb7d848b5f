import { factsScript, parseLoginFacts } from '../discovery/login-facts.js';
import type { DeviceSources } from '../discovery/sightings.js';
import { Failure } from '../failure/failure.js';
import { ignoreProgress } from '../platform/progress.js';
import { openSsh } from '../ssh/open-ssh.js';
import { readHostKey } from '../ssh/read-host-key.js';

/** How many devices are logged in to at once: each login is work for both sides. */
const mostLogins = 8;

/** What a scan can learn by SSH. Logs in without asking anybody for anything; what fails is left out. */
export function deviceSources(): Required<DeviceSources> {
  const waiting: (() => void)[] = [];
  let free = mostLogins;
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
  return {
    hostKey: (address, port, signal) => inTurn(() => unlessFailed(undefined, () => readHostKey(address, port, signal))),
    login: ({ name, uuid, address, sshPort }, signal) =>
      inTurn(() =>
        unlessFailed({}, async () => {
          const target = { name, uuid, address, signal, progress: ignoreProgress };
          const connection = await openSsh(target, { port: sshPort });
          try {
            return parseLoginFacts((await connection.run(factsScript)).stdout);
          } finally {
            await connection.close();
          }
        }),
      ),
  };
}

async function unlessFailed<T>(otherwise: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure) return otherwise;
    throw error;
  }
}
