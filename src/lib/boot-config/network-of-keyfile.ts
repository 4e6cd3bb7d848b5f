import { Failure } from '../failure/failure.js';
import { connectionSections, connectionType } from './connection-file.js';
import { type Keyfile, parseKeyfile, unescapeKeyfileValue } from './keyfile.js';
import { networkDataShape, type Network } from './network.js';
import { ipDefaults, networkFiles } from './network-files.js';
import { fits } from './shape.js';
import { readSsidValue } from './wifi-values.js';

/** A connection of NetworkManager as far as a profile can say it. */
export interface ReadNetwork {
  /** As a profile has it, with its secrets; undefined where a profile has no words for what it is. Certificates go by the names of their files. */
  readonly network: Network | undefined;
  /** What the network leaves unsaid, by section and key, values as the file has them: everything where there is no network. */
  readonly settings: Keyfile;
}

/** What a connection is read with. */
export interface KeyfileContext {
  readonly name: string;
  /** The key files of its ports. */
  readonly ports: readonly Keyfile[];
  /** The content of a file of the same folder, or undefined where there is none. */
  readonly fileBeside: (name: string) => Buffer | undefined;
}

/**
 * Reads a key file as a network of a profile. What is read is written again and compared, so that a network is only given where it means the
 * same to NetworkManager, and `settings` has all that it would not say.
 */
export async function networkOfKeyfile(keyfile: Keyfile, context: KeyfileContext): Promise<ReadNetwork> {
  const original = canonical(keyfile);
  const network = candidate(original, context);
  const rewritten = network && (await rewrittenAs(network, context));
  if (network === undefined || rewritten === undefined) return { network: undefined, settings: keyfile };
  const added = differences(rewritten, original).filter(
    (one) => !isDefault(one) && !isAddedAlways(one) && original.get(one.section)?.has(one.key) !== true,
  );
  if (added.length > 0) return { network: undefined, settings: keyfile };
  const unsaid = differences(original, rewritten).filter((one) => !isDefault(one) && !isCarried(one, context));
  return { network, settings: sectionsOf(unsaid) };
}

interface Setting {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

type Sections = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** The sections by their short names and the values without escapes, with different spellings of one thing made alike. */
function canonical(keyfile: Keyfile): Sections {
  const sections = new Map<string, Map<string, string>>();
  for (const [name, keys] of connectionSections(keyfile)) {
    const values = [...keys].map(([key, value]) => [key, canonicalValue(key, unescapeKeyfileValue(value))] as const);
    sections.set(name, new Map(values));
  }
  sections.get('connection')?.set('type', connectionType(keyfile) ?? '');
  for (const ip of [sections.get('ipv4'), sections.get('ipv6')]) {
    const [first, gateway] = [ip?.get('address1'), ip?.get('gateway')];
    if (ip === undefined || first === undefined || gateway === undefined || first.includes(',')) continue;
    ip.set('address1', `${first},${gateway}`);
    ip.delete('gateway');
  }
  return sections;
}

const lists: ReadonlySet<string> = new Set(['dns', 'dns-search', 'eap', 'proto', 'pairwise', 'allowed-ips']);

function canonicalValue(key: string, value: string): string {
  if (lists.has(key)) return value.split(';').filter(Boolean).join(';');
  if (key === 'ssid') return readSsidValue(value).toString('hex');
  return value;
}

/** The network that a key file seems to be. */
function candidate(sections: Sections, context: KeyfileContext): Network | undefined {
  const get = (section: string, key: string) => sections.get(section)?.get(key);
  const type = typeOf(sections);
  if (type === undefined || !context.ports.every(isPlainPort)) return undefined;
  const value = {
    type,
    interface: get('connection', 'interface-name'),
    autoconnect: truthOf(get('connection', 'autoconnect')),
    priority: numberOf(get('connection', 'autoconnect-priority')),
    metered: { 1: true, 2: false }[get('connection', 'metered') ?? ''],
    ...typeParts(type, sections, context),
    ...ipParts(type, sections),
  };
  const whole = withoutGaps(value);
  // A part that has no word in a profile, such as a MAC address that is chosen in another way, stays a setting.
  const bad = new Set(networkDataShape.problems(whole, []).map(({ path: [part] }) => part));
  const network: unknown = Object.fromEntries(Object.entries(whole).filter(([key]) => !bad.has(key)));
  return fits(networkDataShape, network) ? network : undefined;
}

function typeOf(sections: Sections): Network['type'] | undefined {
  const type = sections.get('connection')?.get('type');
  if (type === 'wifi') {
    const mode = sections.get('wifi')?.get('mode') ?? 'infrastructure';
    return ({ infrastructure: 'wifi', ap: 'access-point' } as const)[mode];
  }
  return (
    {
      ethernet: 'ethernet',
      gsm: 'cellular',
      vlan: 'vlan',
      bridge: 'bridge',
      bond: 'bond',
      wireguard: 'wireguard',
    } as const
  )[type ?? ''];
}

function typeParts(type: Network['type'], sections: Sections, context: KeyfileContext): object {
  const keys = (section: string) => (key: string) => sections.get(section)?.get(key);
  const [link, gsm, vlan, wireguard] = [keys('ethernet'), keys('gsm'), keys('vlan'), keys('wireguard')];
  const mtu = sizeOf(link('mtu'));
  const mac = link('cloned-mac-address');
  switch (type) {
    case 'ethernet':
      return { hardwareAddress: link('mac-address'), mac, mtu, enterprise: enterpriseOf(sections, context) };
    case 'wifi':
    case 'access-point':
      return wifiOf(sections, context);
    case 'cellular':
      return {
        apn: gsm('apn'),
        user: gsm('username'),
        password: gsm('password'),
        pin: gsm('pin'),
        networkId: gsm('network-id'),
        roaming: gsm('home-only') === 'true' ? false : undefined,
        number: gsm('number') === '*99#' ? undefined : gsm('number'),
        mtu: sizeOf(gsm('mtu')),
      };
    case 'vlan':
      return { id: numberOf(vlan('id')), parent: vlan('parent'), mtu };
    case 'bridge':
      return { ports: portsOf(context), stp: truthOf(keys('bridge')('stp')), mac, mtu };
    case 'bond': {
      const options = [...(sections.get('bond') ?? [])].filter(([key]) => key !== 'mode');
      return {
        ports: portsOf(context),
        mode: keys('bond')('mode'),
        options: options.length === 0 ? undefined : Object.fromEntries(options),
        mac,
        mtu,
      };
    }
    case 'wireguard':
      return {
        privateKey: wireguard('private-key'),
        listenPort: numberOf(wireguard('listen-port')),
        mtu: sizeOf(wireguard('mtu')),
        peers: peersOf(sections),
      };
  }
}

function wifiOf(sections: Sections, context: KeyfileContext): object {
  const wifi = (key: string) => sections.get('wifi')?.get(key);
  const security = (key: string) => sections.get('wifi-security')?.get(key);
  const isPersonal = security('key-mgmt') === 'sae' || security('key-mgmt') === 'wpa-psk';
  return {
    ...ssidOf(wifi('ssid') ?? ''),
    key: isPersonal ? security('psk') : undefined,
    security: securityOf(sections.get('wifi-security')),
    enterprise: isPersonal ? undefined : enterpriseOf(sections, context),
    hidden: truthOf(wifi('hidden')) === true ? true : undefined,
    bssid: wifi('bssid'),
    band: ({ bg: '2.4GHz', a: '5GHz' } as const)[wifi('band') ?? ''],
    channel: numberOf(wifi('channel')),
    mac: wifi('cloned-mac-address'),
    mtu: sizeOf(wifi('mtu')),
    powersave: { 2: false, 3: true }[wifi('powersave') ?? ''],
  };
}

function ssidOf(hex: string): { readonly ssid: string } | { readonly ssidHex: string } {
  const bytes = Buffer.from(hex, 'hex');
  const ssid = bytes.toString('utf8');
  const isText = Buffer.from(ssid).equals(bytes) && !/\p{Cc}/u.test(ssid);
  return isText ? { ssid } : { ssidHex: hex };
}

/** As a profile calls it; undefined for WPA2, and for what it has no word for. */
function securityOf(section: ReadonlyMap<string, string> | undefined): string | undefined {
  if (section === undefined) return 'open';
  const keyManagement = section.get('key-mgmt');
  if (keyManagement === 'sae') return 'wpa3';
  if (keyManagement === 'wpa-eap-suite-b-192') return 'wpa3-192';
  return keyManagement === 'wpa-eap' && section.get('pmf') === '3' ? 'wpa3' : undefined;
}

function enterpriseOf(sections: Sections, { fileBeside }: KeyfileContext): object | undefined {
  const section = sections.get('802-1x');
  if (section === undefined) return undefined;
  const file = (key: string) => {
    const name = /\/system-connections\/([^/]+)$/.exec(section.get(key) ?? '')?.[1];
    return name !== undefined && fileBeside(name) !== undefined ? name : undefined;
  };
  const inner = section.get('phase2-auth');
  return withoutGaps({
    method: section.get('eap'),
    identity: section.get('identity'),
    password: section.get('password'),
    innerMethod: inner === 'mschapv2' ? undefined : inner,
    anonymousIdentity: section.get('anonymous-identity'),
    domain: section.get('domain-suffix-match'),
    caCertificateFile: file('ca-cert'),
    clientCertificateFile: file('client-cert'),
    privateKeyFile: file('private-key'),
    privateKeyPassword: section.get('private-key-password'),
  });
}

function peersOf(sections: Sections): object[] {
  const prefix = 'wireguard-peer.';
  return [...sections].flatMap(([name, keys]) =>
    name.startsWith(prefix)
      ? [
          withoutGaps({
            publicKey: name.slice(prefix.length),
            allowedIps: listOf(keys.get('allowed-ips')),
            endpoint: keys.get('endpoint'),
            presharedKey: keys.get('preshared-key'),
            keepalive: numberOf(keys.get('persistent-keepalive')),
          }),
        ]
      : [],
  );
}

function portsOf({ ports }: KeyfileContext): string[] {
  return ports.flatMap((port) => canonical(port).get('connection')?.get('interface-name') ?? []);
}

/** Whether a port says nothing but which interface it is and what it belongs to. */
function isPlainPort(port: Keyfile): boolean {
  const said = new Set(['id', 'uuid', 'type', 'interface-name', 'master', 'controller', 'slave-type', 'port-type']);
  const sections = canonical(port);
  const connection = sections.get('connection');
  const more = differences(sections, new Map()).filter(
    (one) => !(one.section === 'connection' && said.has(one.key)) && !isDefault(one),
  );
  return connection?.get('type') === 'ethernet' && connection.has('interface-name') && more.length === 0;
}

/** The addresses, where they are got in another way than connections of the type do when nothing is said. */
function ipParts(type: Network['type'], sections: Sections): object {
  const [ipv4, ipv6] = [ipOf(sections.get('ipv4')), ipOf(sections.get('ipv6'))];
  const { ipv4: usual4 = 'auto', ipv6: usual6 = 'auto' } = ipDefaults({ type });
  return { ipv4: ipv4 === usual4 ? undefined : ipv4, ipv6: ipv6 === usual6 ? undefined : ipv6 };
}

function ipOf(section: ReadonlyMap<string, string> | undefined): unknown {
  if (section === undefined) return undefined;
  const numbered = (prefix: string) =>
    [...section]
      .filter(([key]) => new RegExp(`^${prefix}[1-9]\\d*$`).test(key))
      .sort(([a], [b]) => Number(a.slice(prefix.length)) - Number(b.slice(prefix.length)))
      .map(([, value]) => value.split(','));
  const addresses = numbered('address');
  const method = section.get('method');
  const settings = withoutGaps({
    method: method === 'manual' ? undefined : method,
    addresses: addresses.length === 0 ? undefined : addresses.map(([address]) => address),
    gateway: addresses[0]?.[1],
    dns: listOf(section.get('dns')),
    search: listOf(section.get('dns-search')),
    routes: routesOf(numbered('route')),
    metric: numberOf(section.get('route-metric')),
    default: section.get('never-default') === 'true' ? false : undefined,
    ignoreDns: section.get('ignore-auto-dns') === 'true' ? true : undefined,
    ignoreRoutes: section.get('ignore-auto-routes') === 'true' ? true : undefined,
    privacy: ({ 0: 'off', 1: 'public', 2: 'temporary' } as const)[section.get('ip6-privacy') ?? ''],
  });
  const isMethodAlone = method !== undefined && Object.keys(settings).join() === 'method';
  return isMethodAlone ? method : settings;
}

function routesOf(routes: readonly (readonly string[])[]): object[] | undefined {
  if (routes.length === 0) return undefined;
  return routes.map(([to, via, metric]) =>
    withoutGaps({ to, via: via === '0.0.0.0' || via === '::' ? undefined : via, metric: numberOf(metric) }),
  );
}

/** The sections that davit would write for a network; undefined where it cannot. */
async function rewrittenAs(network: Network, { name, fileBeside }: KeyfileContext): Promise<Sections | undefined> {
  const readFile = (file: string) => Promise.resolve(fileBeside(file) ?? Buffer.alloc(0));
  try {
    const [file] = await networkFiles(name, network, readFile);
    return file && canonical(parseKeyfile(String(file.content), name));
  } catch (error) {
    // A certificate that cannot be read could not be carried along.
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function differences(own: Sections, other: Sections): Setting[] {
  return [...own].flatMap(([section, keys]) =>
    [...keys].flatMap(([key, value]) => (other.get(section)?.get(key) === value ? [] : [{ section, key, value }])),
  );
}

function sectionsOf(settings: readonly Setting[]): Keyfile {
  const sections = new Map<string, Map<string, string>>();
  for (const { section, key, value } of settings) {
    sections.set(section, (sections.get(section) ?? new Map<string, string>()).set(key, value));
  }
  return sections;
}

/** What NetworkManager does anyway, as it and other tools like to spell it out. */
const defaults: ReadonlySet<string> = new Set([
  ...['connection.autoconnect=true', 'connection.autoconnect-priority=0', 'connection.metered=0'],
  ...['wifi.mode=infrastructure', 'wifi.hidden=false', 'wifi.security=802-11-wireless-security', 'wifi.powersave=0'],
  ...['wifi.security=wifi-security', 'wifi-security.auth-alg=open', 'wifi-security.pairwise=ccmp', 'bridge.stp=true'],
  ...['ipv4.method=auto', 'ipv6.method=auto', 'ipv6.addr-gen-mode=stable-privacy', 'ipv6.ip6-privacy=-1'],
  ...['gsm.number=*99#', 'serial.baud=115200', 'vlan.flags=1', '802-1x.private-key-password-flags=4'],
]);

function isDefault({ section, key, value }: Setting): boolean {
  if (value === '' || key === 'timestamp' || section === 'proxy') return true;
  if (key.endsWith('-flags') && value === '0') return true;
  if (key === 'mtu' && (value === '0' || value === 'auto')) return true;
  if (/^(may-fail=true|never-default=false|ignore-auto-(dns|routes)=false)$/.test(`${key}=${value}`)) return true;
  return defaults.has(`${section}.${key}=${value}`);
}

/** NetworkManager makes these up where a file has none. */
function isAddedAlways({ section, key }: Setting): boolean {
  return section === 'connection' && (key === 'id' || key === 'uuid');
}

/** Whether it names a file that is carried along, under whatever name. */
function isCarried({ section, key, value }: Setting, { fileBeside }: KeyfileContext): boolean {
  const name = /\/system-connections\/([^/]+)$/.exec(value)?.[1];
  const isFile = section === '802-1x' && ['ca-cert', 'client-cert', 'private-key'].includes(key);
  return isFile && name !== undefined && fileBeside(name) !== undefined;
}

function truthOf(value: string | undefined): boolean | undefined {
  return value === undefined ? undefined : { true: true, false: false }[value];
}

function numberOf(value: string | undefined): number | undefined {
  return value !== undefined && /^-?\d+$/.test(value) ? Number(value) : undefined;
}

function sizeOf(value: string | undefined): number | undefined {
  return numberOf(value) === 0 ? undefined : numberOf(value);
}

function listOf(value: string | undefined): string[] | undefined {
  const items = value?.split(';').filter(Boolean) ?? [];
  return items.length === 0 ? undefined : items;
}

function withoutGaps(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
