import { isIPv6 } from 'node:net';
import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import type { Network } from '../boot-config/network.js';
import type { Path, Problem } from '../boot-config/problem.js';
import { Failure } from '../failure/failure.js';
import { readUserFile } from '../platform/read-user-file.js';
import type { NetworkFlagValues } from './network-flags.js';
import { readSecret, type SecretContext, type SecretFromFlags, wifiKey } from './secret-from-flags.js';

type Connections = Pick<BootConfigurationRequest, 'connections' | 'warnings' | 'later'>;

/** The network that the flags describe, as a request that puts it in; its secrets come from files, the environment or, later, questions. */
export async function networkFromFlags(
  name: string,
  flags: NetworkFlagValues,
  context: SecretContext,
): Promise<Connections> {
  const type = flags.type ?? impliedType(flags);
  const secrets = await readSecrets(name, type, flags, context);
  const request = async (secretOf: (secret: SecretFromFlags) => Promise<string> | string): Promise<Connections> => {
    const values = new Map<string, string>();
    for (const [key, secret] of secrets) values.set(key, await secretOf(secret));
    const warnings = [...secrets.values()].flatMap((secret) => secret.warnings);
    return {
      connections: await filesOf(name, networkValue(type, flags, values), context.signal),
      ...(warnings.length === 0 ? {} : { warnings }),
    };
  };
  const known = await request((secret) => secret.value);
  const isAsked = [...secrets.values()].some((secret) => secret.ask !== undefined);
  return isAsked ? { ...known, later: () => request((secret) => secret.ask?.() ?? secret.value) } : known;
}

function impliedType(flags: NetworkFlagValues): Network['type'] {
  if (flags['wifi-ssid'] !== undefined || flags['wifi-ssid-hex'] !== undefined) return 'wifi';
  if (flags.apn !== undefined) return 'cellular';
  return flags['vlan-id'] === undefined ? 'ethernet' : 'vlan';
}

async function readSecrets(
  name: string,
  type: Network['type'],
  flags: NetworkFlagValues,
  context: SecretContext,
): Promise<ReadonlyMap<string, SecretFromFlags>> {
  const isWifi = type === 'wifi' || type === 'access-point';
  const source = flags['key-file'];
  const of = `of the network ${name}`;
  const password = {
    what: 'password',
    flag: '--key-file',
    source,
    variable: 'DAVIT_NETWORK_PASSWORD',
    standIn: 'x',
    of,
  };
  const wanted = {
    ...(isWifi && flags.security !== 'open' && flags.identity === undefined
      ? { key: { ...password, ...wifiKey } }
      : {}),
    ...((flags.identity !== undefined && flags.eap !== 'tls') || flags.user !== undefined ? { password } : {}),
    ...(type === 'cellular'
      ? { pin: { what: 'PIN', flag: '--pin-file', source: flags['pin-file'], variable: 'DAVIT_SIM_PIN', of } }
      : {}),
  };
  if (source !== undefined && !('key' in wanted) && !('password' in wanted)) {
    throw usage('--key-file has no use here: the network has neither a key nor a password');
  }
  if (source === '-' && flags['pin-file'] === '-') {
    throw new Failure('usage', 'standard-input-twice', 'key and PIN cannot both come from standard input', {
      hint: 'Give one of them with a file',
    });
  }
  const secrets = new Map<string, SecretFromFlags>();
  for (const [key, one] of Object.entries(wanted)) {
    const secret = await readSecret(one, context);
    if (secret !== undefined) secrets.set(key, secret);
  }
  return secrets;
}

/** The network as a profile has it; what no flag says is left out. */
function networkValue(type: Network['type'], flags: NetworkFlagValues, secrets: ReadonlyMap<string, string>): object {
  return withoutGaps({
    type,
    interface: flags.interface,
    autoconnect: flags.autoconnect,
    priority: flags.priority,
    metered: flags.metered,
    mac: flags.mac,
    mtu: flags.mtu,
    ssid: flags['wifi-ssid'],
    ssidHex: flags['wifi-ssid-hex'],
    security: flags.security,
    key: secrets.get('key'),
    hidden: flags.hidden ? true : undefined,
    bssid: flags.bssid,
    band: flags.band,
    channel: flags.channel,
    enterprise: flags.identity === undefined ? undefined : loginValue(flags, flags.identity, secrets),
    apn: flags.apn,
    user: flags.user,
    password: flags.identity === undefined ? secrets.get('password') : undefined,
    pin: secrets.get('pin'),
    roaming: flags.roaming,
    id: flags['vlan-id'],
    parent: flags.parent,
    ports: flags.port,
    mode: flags['bond-mode'],
    ipv4: addressValue(flags, 4),
    ipv6: addressValue(flags, 6),
  });
}

function loginValue(flags: NetworkFlagValues, identity: string, secrets: ReadonlyMap<string, string>): object {
  return withoutGaps({
    method: flags.eap ?? 'peap',
    identity,
    password: secrets.get('password'),
    anonymousIdentity: flags['anonymous-identity'],
    domain: flags.domain,
    caCertificateFile: flags['ca-certificate'],
    clientCertificateFile: flags['client-certificate'],
    privateKeyFile: flags['private-key'],
  });
}

/** The addresses of one family; metric and default route count for both, where there is something to be said of it. */
function addressValue(flags: NetworkFlagValues, family: 4 | 6): object | string | undefined {
  const own = (values: readonly string[] | undefined) => {
    const found = values?.filter((value) => isIPv6(value.split(/[/,]/)[0] ?? '') === (family === 6));
    return found === undefined || found.length === 0 ? undefined : found;
  };
  const method = family === 4 ? flags.ipv4 : flags.ipv6;
  const gateways = own(flags.gateway);
  if (gateways !== undefined && gateways.length > 1) throw usage(`--gateway is given twice for IPv${family}`);
  const isUnused = method === 'disabled' || method === 'link-local';
  const settings = withoutGaps({
    method,
    addresses: own(flags.address),
    gateway: gateways?.[0],
    dns: own(flags.dns?.flatMap((list) => list.split(/[\s,]+/).filter(Boolean))),
    routes: own(flags.route)?.map(routeValue),
    metric: isUnused ? undefined : flags.metric,
    default: isUnused || flags['default-route'] !== false ? undefined : false,
  });
  if (Object.keys(settings).length === 0) return undefined;
  return Object.keys(settings).join() === 'method' ? method : settings;
}

function routeValue(text: string): object {
  const [to, via, metric, ...more] = text.split(',');
  if (more.length > 0)
    throw usage('--route has a network, perhaps a gateway and perhaps a metric, with commas between them');
  return withoutGaps({
    to,
    via: via === '' ? undefined : via,
    metric: metric === undefined || metric === '' ? undefined : Number(metric),
  });
}

async function filesOf(name: string, network: object, signal: AbortSignal) {
  const [{ networkDataShape, networkNameShape }, { networkFiles }, { fits }] = await Promise.all([
    import('../boot-config/network.js'),
    import('../boot-config/network-files.js'),
    import('../boot-config/shape.js'),
  ]);
  const problems = [
    ...networkNameShape.problems(name, []).map(({ message }) => `the name of a network ${message}`),
    ...networkDataShape.problems(network, []).map(problemOfFlag),
  ];
  if (!fits(networkDataShape, network) || problems.length > 0) throw usage(problems.join('\n'));
  return networkFiles(name, network, async (file) => (await readUserFile(file, { signal })).bytes);
}

/** Flags of values that are called otherwise in a profile. */
const flagNames: Readonly<Record<string, string>> = {
  ...{ ssid: 'wifi-ssid', ssidHex: 'wifi-ssid-hex', id: 'vlan-id', ports: 'port', mode: 'bond-mode' },
  ...{ addresses: 'address', routes: 'route', default: 'no-default-route', anonymousIdentity: 'anonymous-identity' },
  ...{
    caCertificateFile: 'ca-certificate',
    clientCertificateFile: 'client-certificate',
    privateKeyFile: 'private-key',
  },
};

const secretNames: Readonly<Record<string, string>> = {
  key: 'the Wi-Fi key',
  password: 'the password',
  pin: 'the PIN',
};

function problemOfFlag({ path, message }: Problem): string {
  return `${placeOf(path)} ${message}`;
}

function placeOf(path: Path): string {
  const [first = '', second] = path.map(String);
  const isGroup = first === 'ipv4' || first === 'ipv6' || first === 'enterprise';
  if (path.length === 0) return 'the network';
  if (isGroup && second === undefined) return first === 'enterprise' ? 'the login' : `--${first}`;
  const key = isGroup && second !== undefined ? second : first;
  if (key === 'method') return first === 'enterprise' ? '--eap' : `--${first}`;
  return secretNames[key] ?? `--${flagNames[key] ?? key}`;
}

function usage(message: string): Failure {
  return new Failure('usage', 'invalid-network', message, {
    hint: 'davit network add --help names the flags; a file given with --from can say everything',
  });
}

function withoutGaps(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
