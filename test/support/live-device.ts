import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { openSsh } from '../../src/lib/ssh/open-ssh.js';
import type { SshConnection } from '../../src/lib/ssh/ssh-connection.js';
import { type SshServer, type SshServerOptions, startSshServer } from './ssh-server.js';
import { temporaryFolder } from './temporary-folder.js';

/** What a device has that runs. */
export interface LiveDeviceOptions extends SshServerOptions {
  /** Files of its boot partition, by name. */
  readonly boot: Readonly<Record<string, string>>;
  /** Scripts that stand in for programs of the OS, by name. */
  readonly programs?: Readonly<Record<string, string>>;
}

/** A real OpenSSH server that has /mnt, /run and programs of its own, as far as davit needs a balenaOS device. */
export interface LiveDevice {
  readonly server: SshServer;
  /** The name of one of its files here. */
  file: (name: string) => string;
  read: (name: string) => Promise<string>;
  /** What its `systemctl` was called with, apart from questions. */
  unitCalls: () => Promise<readonly string[]>;
  /** Logs in without the rest of davit; the connection is closed after the test. */
  connect: () => Promise<SshConnection>;
}

/** Stands in for systemctl: units are files of /run/units, and what is done to them is noted. */
const systemctl = `#!/bin/sh
verb=$1; shift
[ "$1" = --quiet ] && shift
unit=/run/units/\${1%.service}
case $verb in
  is-active) [ "$(cat "$unit" 2>/dev/null)" = active ]; exit ;;
  cat) [ -e "$unit" ]; exit ;;
esac
echo "$verb \${1%.service}" >> /run/unit-calls
[ -e "$unit" ] || { echo "Unit $1 not found" >&2; exit 5; }
case $verb in start|restart|reload-or-restart) echo active ;; *) echo inactive ;; esac > "$unit"
`;

/** Starts such a device, with an active Supervisor; it ends with the test. */
export async function startLiveDevice(t: TestContext, options: LiveDeviceOptions): Promise<LiveDevice> {
  const folder = await temporaryFolder(t);
  const inside = (...names: string[]) => path.join(folder, ...names);
  await Promise.all(['boot', 'programs'].map((name) => mkdir(inside(name))));
  for (const [name, content] of Object.entries(options.boot)) await writeFile(inside('boot', name), content);
  for (const [name, content] of Object.entries({ systemctl, ...options.programs })) {
    await writeFile(inside('programs', name), content, { mode: 0o755 });
  }
  const rest = {
    ...options,
    configuration: [...(options.configuration ?? []), `SetEnv PATH=${pathOf(inside('programs'))}`],
  };
  const wrapper = ['unshare', '-m', 'sh', '-c', withOwnFolders, 'sh', inside('boot'), ...(options.wrapper ?? [])];
  const server = await startSshServer({ ...rest, wrapper });
  t.after(() => server.close());
  const file = (name: string) => `/proc/${server.pid()}/root${name}`;
  const read = (name: string) => readFile(file(name), 'utf8');
  return {
    server,
    file,
    read,
    unitCalls: async () => (await read('/run/unit-calls').catch(() => '')).split('\n').filter(Boolean),
    connect: async () => {
      const abort = new AbortController();
      const target = {
        name: 'crane',
        uuid: undefined,
        address: '127.0.0.1',
        settings: undefined,
        signal: abort.signal,
        progress: () => undefined,
      };
      const connection = await openSsh(target, { port: server.port, identityFile: server.identityFile });
      t.after(() => connection.close());
      return connection;
    },
  };
}

function pathOf(programs: string): string {
  return `${programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`;
}

/** A shell script that gives what follows a boot partition of its own, with a Supervisor that runs. */
const withOwnFolders = `
boot=$1; shift
mount -t tmpfs tmpfs /mnt && mount -t tmpfs tmpfs /run && mkdir -p /mnt/boot /run/sshd /run/units || exit
cp "$boot"/* /mnt/boot/
echo active > /run/units/balena-supervisor
exec "$@"`;
