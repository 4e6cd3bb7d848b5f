import { certificateWarnings } from './certificate-warnings.js';
import { type ConnectionFile, connectionType, connectionValue, isNameIgnored } from './connection-file.js';
import { type Keyfile, parseKeyfile, unescapeKeyfileValue } from './keyfile.js';
import { isBalenaOs, isOlderThan, type OsFacts } from './os-facts.js';
import { isUnmanagedInterface } from './unmanaged-interface.js';

/** What a connection is judged with. */
export interface ConnectionSurroundings {
  readonly os: OsFacts;
  /** The content of a file of the same folder, or undefined where there is none. */
  readonly fileBeside: (name: string) => Buffer | undefined;
  /** The time that certificates are compared with; now. It decides what is told, never what is written. */
  readonly now?: Date;
}

/** The types of connections that balenaOS has what it takes for. */
const usableTypes: ReadonlySet<string> = new Set([
  ...['ethernet', 'wifi', 'gsm', 'cdma', 'bridge', 'bond', 'vlan', 'wireguard', 'vpn', 'loopback', 'dummy', 'tun'],
  ...['ip-tunnel', 'macvlan', 'vrf', 'vxlan', 'bluetooth', 'pppoe', 'infiniband'],
]);

/** What is likely not to work on a device about a connection that NetworkManager will read. */
export function connectionWarnings({ name, content }: ConnectionFile, surroundings: ConnectionSurroundings): string[] {
  if (isNameIgnored(name)) return [];
  const { os } = surroundings;
  const keyfile = parseKeyfile(String(content), name);
  const type = connectionType(keyfile) ?? '';
  const device = connectionValue(keyfile, 'connection', 'interface-name');
  const keyManagement = connectionValue(keyfile, 'wifi-security', 'key-mgmt');
  const isEnterprise = keyManagement?.startsWith('wpa-eap') === true;
  const warnings: readonly (readonly [boolean, string])[] = [
    [!usableTypes.has(type), `is of type ${type}, which balenaOS has no support for`],
    [
      device !== undefined && isUnmanagedInterface(device),
      `is for the interface ${device ?? ''}, which the OS keeps NetworkManager away from`,
    ],
    [
      keyManagement === 'sae' && isBalenaOs(os) && isOlderThan(os.osVersion, '6.5.50'),
      `needs WPA3, which balenaOS has since 6.5.50, and this is ${os.osVersion ?? 'older'}`,
    ],
    [
      isEnterprise && !isByCertificate(keyfile) && connectionValue(keyfile, '802-1x', 'ca-cert') === undefined,
      'has no ca-cert: the device will give its password to whoever names a network like it',
    ],
    ...absentSecrets(keyfile).map(
      (key) => [true, `does not hold its ${key}, and nobody is there to be asked`] as const,
    ),
  ];
  return [
    ...warnings.flatMap(([applies, text]) => (applies ? [`the connection ${name} ${text}`] : [])),
    ...certificateWarnings(name, keyfile, surroundings),
  ];
}

function isByCertificate(keyfile: Keyfile): boolean {
  return connectionValue(keyfile, '802-1x', 'eap')?.startsWith('tls') === true;
}

/** Secrets that NetworkManager would ask an agent for: by their flags (1 is kept by an agent, 2 is never kept), or because they are not there. */
function absentSecrets(keyfile: Keyfile): string[] {
  const keyManagement = connectionValue(keyfile, 'wifi-security', 'key-mgmt') ?? '';
  const hasLogin = keyfile.has('802-1x');
  const wanted: readonly (readonly [boolean, string, string])[] = [
    [keyManagement === 'wpa-psk' || keyManagement === 'sae', 'wifi-security', 'psk'],
    [hasLogin && !isByCertificate(keyfile), '802-1x', 'password'],
    [connectionValue(keyfile, 'gsm', 'username') !== undefined, 'gsm', 'password'],
    [keyfile.has('wireguard'), 'wireguard', 'private-key'],
  ];
  const optional: readonly (readonly [string, string])[] = [
    ['gsm', 'pin'],
    ['802-1x', 'private-key-password'],
  ];
  const flagsOf = (section: string, key: string) => Number(connectionValue(keyfile, section, `${key}-flags`) ?? 0);
  const isElsewhere = (section: string, key: string) => (flagsOf(section, key) & 3) !== 0;
  const isNotNeeded = (section: string, key: string) => (flagsOf(section, key) & 4) !== 0;
  return [
    ...wanted.flatMap(([applies, section, key]) => {
      const isThere = unescapeKeyfileValue(connectionValue(keyfile, section, key) ?? '') !== '';
      const isAbsent = isElsewhere(section, key) || !isThere;
      return applies && isAbsent && !isNotNeeded(section, key) ? [key] : [];
    }),
    ...optional.flatMap(([section, key]) => {
      // A key file without a password may well say where one would be kept.
      const isUsed = key !== 'private-key-password' || connectionValue(keyfile, section, 'private-key') !== undefined;
      return isUsed && isElsewhere(section, key) ? [key] : [];
    }),
  ];
}
