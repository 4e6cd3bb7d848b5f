import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type ProcessResult, run, runChecked, type RunOptions } from '../../src/lib/platform/child-process.js';

/** Why tests on a network of their own cannot run here, or false when they can: pass it as `{ skip }`. */
export function networkSkipReason(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'network namespaces need root on Linux';
  try {
    accessSync('/usr/sbin/avahi-daemon');
    return false;
  } catch {
    return 'avahi-daemon is not installed';
  }
}

/** A device to put on a test network. */
export interface AnnouncedDevice {
  /** Announced as `<hostname>.local`. */
  readonly hostname: string;
  /** Devices with the same word share one Ethernet segment; without it the device has a segment to itself. */
  readonly segment?: string;
  /** IP versions that the device has addresses of; IPv6 is link-local only. */
  readonly versions?: 'both' | 'ipv4' | 'ipv6';
  /** Announced port of SSH, 22222 without it; `false` is a computer that announces no device service. */
  readonly port?: number | false;
}

/** A device that is on the network and has announced itself. */
export interface NetworkedDevice {
  readonly hostname: string;
  /** Its network namespace, for `ip netns exec`. */
  readonly namespace: string;
  /** Its IPv4 address, or undefined when it has none. */
  readonly ipv4: string | undefined;
  /** Interface of the host namespace that leads to it. */
  readonly hostInterface: string;
  /** Starts a program on the device; it is ended with the network. */
  start: (command: string, commandArguments: readonly string[]) => ChildProcess;
  /** Takes the device's cable out, or puts it back. */
  setConnected: (connected: boolean) => Promise<void>;
}

/** A network namespace that stands for the user's computer, and devices around it, each in a namespace of its own. */
export interface TestNetwork {
  /** Name of the user's computer's namespace, for `ip netns exec`. */
  readonly host: string;
  readonly devices: readonly NetworkedDevice[];
  /** Words put before a command to run it on the user's computer; `davit` takes them as `wrapper`. */
  readonly wrapper: readonly string[];
  /** Runs a command on the user's computer to its end. */
  readonly run: (command: string, commandArguments: readonly string[], options?: RunOptions) => Promise<ProcessResult>;
  /** Ends everything that runs on the network and removes it. */
  readonly close: () => Promise<void>;
}

let networksMade = 0;

/**
 * Makes a network of devices that announce themselves through Avahi as balenaOS does: `_ssh._tcp` with the subtype
 * `_resin-device._sub._ssh._tcp`, no TXT record. Resolves once every device has announced itself.
 *
 * The host has one interface per segment (`lan0`, `lan1`, …: 10.77.<n>.1/24) and no default route.
 */
export async function createNetwork(specifications: readonly AnnouncedDevice[]): Promise<TestNetwork> {
  const prefix = `davit-${process.pid}-${++networksMade}`;
  const folder = await mkdtemp(path.join(tmpdir(), 'davit-network-'));
  const namespaces: string[] = [];
  const children: ChildProcess[] = [];

  const addNamespace = async (name: string) => {
    await ip('netns', 'add', name);
    namespaces.push(name);
    // Without duplicate address detection an address can be used as soon as it is there.
    await inNamespace(name, 'sysctl', ['-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0']);
    await ip('-n', name, 'link', 'set', 'lo', 'up');
  };
  const start = (namespace: string, command: string, commandArguments: readonly string[]) => {
    const child = spawn('ip', ['netns', 'exec', namespace, command, ...commandArguments], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    return child;
  };
  const close = async () => {
    await Promise.all(children.map(end));
    for (const name of namespaces) await ip('netns', 'del', name);
    await rm(folder, { recursive: true });
  };

  try {
    const host = `${prefix}-host`;
    await addNamespace(host);
    const segments = new Map<string, number>();
    const devices: NetworkedDevice[] = [];
    for (const [index, specification] of specifications.entries()) {
      const segmentName = specification.segment ?? `device ${index}`;
      let segment = segments.get(segmentName);
      if (segment === undefined) {
        segment = segments.size;
        segments.set(segmentName, segment);
        await addSegment(host, segment);
      }
      const namespace = `${prefix}-${index}`;
      await addNamespace(namespace);
      const hostInterface = `lan${segment}`;
      const ipv4 = await connect({ host, hostInterface, namespace, segment, index, specification });
      devices.push({
        hostname: specification.hostname,
        namespace,
        ipv4,
        hostInterface,
        start: (command, commandArguments) => start(namespace, command, commandArguments),
        setConnected: async (connected) => {
          await ip('-n', namespace, 'link', 'set', 'eth0', connected ? 'up' : 'down');
        },
      });
    }
    await Promise.all(
      devices.map(async (device, index) => {
        const specification = specifications[index];
        if (specification === undefined) return;
        const script = await avahiScript(path.join(folder, String(index)), specification);
        const daemon = device.start('unshare', ['-m', 'sh', '-c', script]);
        await untilAnnounced(daemon, specification);
      }),
    );
    return {
      host,
      devices,
      wrapper: ['ip', 'netns', 'exec', host],
      run: (command, commandArguments, options) =>
        run('ip', ['netns', 'exec', host, command, ...commandArguments], options),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function addSegment(host: string, segment: number): Promise<void> {
  const bridge = `lan${segment}`;
  // Multicast snooping without a querier on the segment would lose IPv6 mDNS.
  await ip('-n', host, 'link', 'add', bridge, 'type', 'bridge', 'mcast_snooping', '0');
  await ip('-n', host, 'address', 'add', `10.77.${segment}.1/24`, 'dev', bridge);
  await ip('-n', host, 'link', 'set', bridge, 'up');
}

interface Connection {
  readonly host: string;
  readonly hostInterface: string;
  readonly namespace: string;
  readonly segment: number;
  readonly index: number;
  readonly specification: AnnouncedDevice;
}

async function connect(connection: Connection): Promise<string | undefined> {
  const { host, hostInterface, namespace, segment, index, specification } = connection;
  const port = `port${index}`;
  await ip('link', 'add', port, 'netns', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  await ip('-n', host, 'link', 'set', port, 'master', hostInterface, 'up');
  // A bridge port needs no address of its own: an asker would otherwise find the segment twice.
  await inNamespace(host, 'sysctl', ['-qw', `net.ipv6.conf.${port}.disable_ipv6=1`]);
  if (specification.versions === 'ipv4') {
    await inNamespace(namespace, 'sysctl', ['-qw', 'net.ipv6.conf.eth0.disable_ipv6=1']);
  }
  await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  if (specification.versions === 'ipv6') return undefined;
  const address = `10.77.${segment}.${index + 2}`;
  await ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0');
  return address;
}

/** The shell script that becomes an avahi-daemon with a /run, a configuration and services of its own. */
async function avahiScript(folder: string, specification: AnnouncedDevice): Promise<string> {
  const services = path.join(folder, 'services');
  await mkdir(services, { recursive: true });
  const configuration = path.join(folder, 'avahi-daemon.conf');
  const { hostname, versions = 'both', port = 22222 } = specification;
  await writeFile(
    configuration,
    [
      '[server]',
      `host-name=${hostname}`,
      `use-ipv4=${versions === 'ipv6' ? 'no' : 'yes'}`,
      `use-ipv6=${versions === 'ipv4' ? 'no' : 'yes'}`,
      'allow-interfaces=eth0',
      'enable-dbus=no',
      '[publish]',
      'publish-hinfo=no',
      'publish-workstation=no',
      '',
    ].join('\n'),
  );
  if (port !== false) await writeFile(path.join(services, 'resin-device.service'), serviceFile(port));
  return [
    'set -e',
    'mount -t tmpfs tmpfs /run',
    `mount --bind ${services} /etc/avahi/services`,
    `exec avahi-daemon --no-drop-root --no-rlimits --no-chroot --file=${configuration}`,
  ].join('\n');
}

function serviceFile(port: number): string {
  return `<?xml version="1.0" standalone='no'?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name replace-wildcards="yes">%h</name>
  <service>
    <type>_ssh._tcp</type>
    <subtype>_resin-device._sub._ssh._tcp</subtype>
    <port>${port}</port>
  </service>
</service-group>
`;
}

async function untilAnnounced(daemon: ChildProcess, specification: AnnouncedDevice): Promise<void> {
  const wanted = specification.port === false ? 'Server startup complete' : 'successfully established';
  const said: string[] = [];
  if (daemon.stderr === null) throw new Error('the standard error of avahi-daemon is not a pipe');
  for await (const line of createInterface({ input: daemon.stderr })) {
    said.push(line);
    if (!line.includes(wanted)) continue;
    // Reading ended with the loop; what follows must not fill the pipe.
    daemon.stderr.resume();
    return;
  }
  throw new Error(`avahi-daemon for ${specification.hostname} ended before it announced anything:\n${said.join('\n')}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'exit');
  child.kill('SIGTERM');
  await closed;
}

async function ip(...commandArguments: string[]): Promise<void> {
  await runChecked('changing the test network', 'ip', commandArguments);
}

async function inNamespace(namespace: string, command: string, commandArguments: readonly string[]): Promise<void> {
  await runChecked('changing the test network', 'ip', ['netns', 'exec', namespace, command, ...commandArguments]);
}
