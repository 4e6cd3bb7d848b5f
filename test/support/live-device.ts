import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
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
  /** Files below /etc, by their paths there. */
  readonly etc?: Readonly<Record<string, string>>;
  /** Scripts that stand in for programs of the OS, by name. */
  readonly programs?: Readonly<Record<string, string>>;
  /** Whether its shell and its tools are those of BusyBox, as on devices, instead of this computer's. */
  readonly hasBusyBox?: boolean;
  /** Its services, which run, besides the Supervisor. */
  readonly units?: readonly string[];
}

/** A real OpenSSH server that has /mnt, /run and programs of its own, as far as davit needs a balenaOS device. */
export interface LiveDevice {
  readonly server: SshServer;
  /** The name of one of its files here. */
  file: (name: string) => string;
  read: (name: string) => Promise<string>;
  write: (name: string, content: string) => Promise<void>;
  exists: (name: string) => boolean;
  /** What its `systemctl` was called with, apart from questions. */
  unitCalls: () => Promise<readonly string[]>;
  /** Logs in without the rest of davit, at its own port unless another one is given; the connection is closed after the test. */
  connect: (port?: number) => Promise<SshConnection>;
}

/**
 * Stands in for systemctl: units are files of /run/units, and what is done to them is noted. A Supervisor that starts runs the program
 * `supervisor-start`, and one that stops does what is in /run/supervisor-stop, if there is one.
 */
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
[ "$verb $unit" != 'stop /run/units/balena-supervisor' ] || [ ! -e /run/supervisor-stop ] || sh /run/supervisor-stop
[ "$verb $unit" != 'start /run/units/balena-supervisor' ] || supervisor-start < /dev/null > /dev/null 2>&1 &
exit 0
`;

/** What scripts on a device may use. */
const busyBoxTools = [
  ...[
    'sh',
    'ash',
    'base64',
    'cat',
    'cmp',
    'cp',
    'cut',
    'df',
    'head',
    'ls',
    'mkdir',
    'mv',
    'nohup',
    'printf',
    'readlink',
    'rm',
    'sed',
  ],
  ...['setsid', 'sha256sum', 'sleep', 'sync', 'tail', 'touch', 'tr', 'wc'],
];

/** Starts such a device, with an active Supervisor; it ends with the test. */
export async function startLiveDevice(t: TestContext, options: LiveDeviceOptions): Promise<LiveDevice> {
  const folder = await temporaryFolder(t);
  const inside = (...names: string[]) => path.join(folder, ...names);
  await Promise.all(['boot', 'programs', 'etc'].map((name) => mkdir(inside(name))));
  for (const [name, content] of Object.entries(options.boot)) await writeFile(inside('boot', name), content);
  for (const [name, content] of Object.entries(options.etc ?? {})) {
    await mkdir(path.dirname(inside('etc', name)), { recursive: true });
    await writeFile(inside('etc', name), content);
  }
  for (const [name, content] of Object.entries({ systemctl, ...options.programs })) {
    await writeFile(inside('programs', name), content, { mode: 0o755 });
  }
  if (options.hasBusyBox === true) {
    for (const name of busyBoxTools) await symlink('/bin/busybox', inside('programs', name));
  }
  const rest = {
    ...options,
    configuration: [...(options.configuration ?? []), `SetEnv PATH=${pathOf(inside('programs'))}`],
  };
  const own = ['unshare', '-m', 'sh', '-c', withOwnFolders, 'sh', folder, (options.units ?? []).join(' ')];
  const wrapper = [...own, ...(options.wrapper ?? [])];
  const server = await startSshServer({ ...rest, wrapper });
  t.after(() => server.close());
  const file = (name: string) => `/proc/${server.pid()}/root${name}`;
  const read = (name: string) => readFile(file(name), 'utf8');
  return {
    server,
    file,
    read,
    write: (name, content) => writeFile(file(name), content),
    exists: (name) => existsSync(file(name)),
    unitCalls: async () => (await read('/run/unit-calls').catch(() => '')).split('\n').filter(Boolean),
    connect: async (port = server.port) => {
      const abort = new AbortController();
      const target = {
        name: 'crane',
        uuid: undefined,
        address: '127.0.0.1',
        settings: undefined,
        signal: abort.signal,
        progress: () => undefined,
      };
      const connection = await openSsh(target, { port, identityFile: server.identityFile });
      t.after(() => connection.close());
      return connection;
    },
  };
}

function pathOf(programs: string): string {
  return `${programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`;
}

/** A shell script that gives what follows a boot partition, an /etc and a /run of its own, with services that run. */
const withOwnFolders = `
folder=$1 units=$2; shift 2
mount -t tmpfs tmpfs /mnt && mount -t tmpfs tmpfs /run && mkdir -p /mnt/boot /mnt/etc /mnt/work /run/sshd /run/units || exit
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/work /etc || exit
cp -r "$folder"/boot/. /mnt/boot/ && cp -r "$folder"/etc/. /etc/ || exit
for unit in balena-supervisor $units; do echo active > "/run/units/$unit"; done
exec "$@"`;
