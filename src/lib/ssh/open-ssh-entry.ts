import { shellWord } from '../platform/shell-word.js';
import { deviceDefaults, proxyWords } from './host-settings.js';
import type { PinnedDevice } from './host-key-store.js';

/** What an entry for OpenSSH is made of. */
export interface EntryParts {
  readonly device: PinnedDevice;
  /** More names that davit knows the device by. */
  readonly aliases: readonly string[];
  /** File with the pinned keys. */
  readonly hostKeyFile: string;
  /** The words that run davit. */
  readonly program: readonly string[];
}

/**
 * The entry of an OpenSSH configuration (ssh_config(5)) by which plain ssh, and all that is built on it, reaches a device under davit's names
 * and takes no other host key than the pinned one; undefined for a device that has no name of its own.
 */
export function openSshEntry({ device, aliases, hostKeyFile, program }: EntryParts): string | undefined {
  const { uuid } = device;
  // Under another port it has a name like [crane]:2222.
  const places = device.names.map((name) => /^\[(?<host>.*)\]:(?<port>\d+)$/.exec(name)?.groups ?? { host: name });
  const port = places.find((place) => place.port !== undefined)?.port ?? String(deviceDefaults.port);
  const hosts = places.flatMap(({ host = '' }) => (host.includes(':') ? host : [host, ...localName(host)]));
  const names = [...aliases, ...hosts, ...(uuid === undefined ? [] : [uuid, uuid.slice(0, 7)])];
  const known = uuid ?? device.names[0];
  if (known === undefined) return undefined;
  const portWords = port === String(deviceDefaults.port) ? [] : ['--port', port];
  const proxy = [...program.map(shellWord), proxyWords, ...portWords, '%n'].join(' ');
  return [
    `Host ${[...new Set(names)].join(' ')}`,
    `  User ${deviceDefaults.user}`,
    `  Port ${port}`,
    `  HostKeyAlias ${known}`,
    `  UserKnownHostsFile "${hostKeyFile}"`,
    '  StrictHostKeyChecking yes',
    '  UpdateHostKeys no',
    `  ProxyCommand ${proxy}`,
    '',
  ].join('\n');
}

function localName(host: string): string[] {
  return host.includes('.') ? [] : [`${host}.local`];
}
