import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { run, runChecked } from '../../src/lib/platform/child-process.js';
import type { TestNetwork } from './network-namespace.js';

/** An Avahi on the user's computer, with a bus of its own, to share port 5353 with and to compare answers with. */
export interface HostAvahi {
  /** Runs one of Avahi's tools (`avahi-browse`, `avahi-resolve`) and gives what it prints. */
  readonly run: (program: string, ...words: string[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Starts Avahi on the user's computer of a test network; from then on it holds port 5353 there. */
export async function startHostAvahi(network: TestNetwork, folder: string): Promise<HostAvahi> {
  const configuration = path.join(folder, 'avahi-daemon.conf');
  await writeFile(configuration, '[server]\nhost-name=desk\nuse-ipv4=yes\nuse-ipv6=yes\n');
  const script = `
    set -e
    mount -t tmpfs tmpfs /run
    mkdir /run/dbus
    dbus-daemon --system --fork
    exec avahi-daemon --no-drop-root --no-rlimits --no-chroot --file=${configuration}
  `;
  const [command, ...words] = [...network.wrapper, 'unshare', '-m', 'sh', '-c', script];
  const daemon = spawn(command, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  for await (const line of createInterface({ input: daemon.stderr })) {
    if (line.includes('Server startup complete')) break;
  }
  daemon.stderr.resume();
  return {
    run: (program, ...words) =>
      runChecked('asking Avahi', 'nsenter', ['-t', String(daemon.pid), '-m', '-r', '-n', program, ...words]),
    close: async () => {
      const ended = once(daemon, 'exit');
      // The bus is a child of its own, found by the socket's folder it lives in: this mount namespace.
      await run('nsenter', ['-t', String(daemon.pid), '-m', '-r', 'sh', '-c', 'kill $(cat /run/dbus/pid)']);
      daemon.kill();
      await ended;
    },
  };
}
