import { run } from './child-process.js';

/**
 * The addresses that the operating system's resolver has for a name (hosts file, DNS, and whatever else is set up), IPv4
 * first; none when it knows nothing or the signal ends the search. The resolver cannot be interrupted and would keep davit
 * from ending for as long as a dead DNS server takes, so it is asked in a process that can.
 */
export async function systemAddresses(name: string, signal: AbortSignal): Promise<string[]> {
  try {
    const { exitCode, stdout } = await run(process.execPath, ['--eval', lookUp, name], { signal });
    return exitCode === 0 ? stdout.split('\n').filter((line) => line !== '') : [];
  } catch (error) {
    if (signal.aborted) return [];
    throw error;
  }
}

const lookUp = `
  require('node:dns').lookup(process.argv[1], { all: true, order: 'ipv4first' }, (error, found) => {
    if (error) process.exitCode = 1;
    else process.stdout.write(found.map(({ address }) => address + '\\n').join(''));
  });
`;
