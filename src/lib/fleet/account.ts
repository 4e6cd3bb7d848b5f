import { isIP } from 'node:net';
import { Failure } from '../failure/failure.js';
import { environmentVariable } from '../platform/environment.js';
import { hostOf } from '../platform/http-proxy.js';
import { isRecord } from '../platform/json.js';

/** The variable from which scripts have davit, like balena-cli, take a token; also the name of the account that it makes. */
export const tokenVariable = 'BALENA_API_KEY';

/** A login to a cloud. Its token goes to its API and its tunnel service, and to nobody else. */
export interface Account {
  /** What the user calls it: the domain of the cloud unless another name was given. */
  readonly name: string;
  /** `https://api.balena-cloud.com` */
  readonly apiUrl: string;
  /** `https://tunnel.balena-cloud.com` */
  readonly tunnelUrl: string;
  /** Host and port of the SSH proxy; null on an openBalena, which has none. */
  readonly sshProxy: HostAndPort | null;
  /** Who logged in; null where nobody has asked the API yet. */
  readonly userName: string | null;
  /** A session token or an API key. */
  readonly token: string;
}

/** Where an SSH server is. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** What the user says of a cloud; the rest follows from its domain. */
export interface CloudAddresses {
  /** URL of the API, with or without `https://`. */
  readonly api?: string | undefined;
  /** `host` or `host:port` of the tunnel service. */
  readonly tunnel?: string | undefined;
  /** `host` or `host:port` of the SSH proxy. */
  readonly sshProxy?: string | undefined;
}

const balenaCloud = 'balena-cloud.com';

/** Domain under which the SSH proxy of a cloud is; an openBalena has none. */
const proxyDomains: ReadonlyMap<string, string> = new Map([
  [balenaCloud, 'balena-devices.com'],
  ['balena-staging.com', 'balena-staging-devices.com'],
]);

/**
 * The addresses of a cloud, from what the user says, else from the variables that balena-cli reads (`BALENARC_API_URL`,
 * `BALENARC_BALENA_URL`, `BALENARC_TUNNEL_URL`, `BALENARC_PROXY_URL`), else those of balenaCloud. Fails as refused for plain HTTP to
 * anything but this computer.
 */
export function cloudAddresses(said: CloudAddresses = {}): Pick<Account, 'apiUrl' | 'tunnelUrl' | 'sshProxy'> {
  // What the variables say holds together: a tunnel of one cloud is none of another.
  const variable = said.api === undefined ? environmentVariable : () => undefined;
  const balenaUrl = variable('BALENARC_BALENA_URL') ?? balenaCloud;
  const apiUrl = secureUrl(said.api ?? variable('BALENARC_API_URL') ?? `api.${balenaUrl}`);
  const domain = domainOf(apiUrl);
  const tunnelUrl = secureUrl(
    said.tunnel ?? variable('BALENARC_TUNNEL_URL') ?? (isIP(domain) === 0 ? `tunnel.${domain}` : apiUrl.hostname),
  );
  const devices = variable('BALENARC_PROXY_URL') ?? proxyDomains.get(domain);
  const sshProxy = said.sshProxy ?? (devices === undefined ? undefined : `ssh.${devices}`);
  return {
    apiUrl: apiUrl.origin,
    tunnelUrl: tunnelUrl.origin,
    sshProxy: sshProxy === undefined ? null : hostAndPort(sshProxy),
  };
}

/** The account that the environment gives to a script: a token, for the cloud that the other variables name. */
export function environmentAccount(): Account | undefined {
  const token = environmentVariable(tokenVariable);
  return token === undefined
    ? undefined
    : { name: tokenVariable, ...cloudAddresses(), userName: null, token: checkedToken(token) };
}

/** What an account is called that nobody gave a name: the domain of its cloud. */
export function usualAccountName(apiUrl: string): string {
  return domainOf(new URL(apiUrl));
}

/** A token without the line end that comes with files. Fails where it cannot be one, for it is going to be part of a header. */
export function checkedToken(text: string): string {
  const token = text.trim();
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new Failure('usage', 'invalid-token', 'what was given as a token is none', {
    hint: 'A token or API key is one word; make one in the preferences of your account, under access tokens or API keys',
  });
}

/** The account that a JSON value describes, or undefined. */
export function parseAccount(value: unknown): Account | undefined {
  if (!isRecord(value)) return undefined;
  const { name, apiUrl, tunnelUrl, sshProxy, userName, token } = value;
  if (typeof name !== 'string' || typeof token !== 'string') return undefined;
  if (!isOrigin(apiUrl) || !isOrigin(tunnelUrl)) return undefined;
  const proxy =
    isRecord(sshProxy) && typeof sshProxy.host === 'string' && typeof sshProxy.port === 'number'
      ? { host: sshProxy.host, port: sshProxy.port }
      : null;
  return { name, apiUrl, tunnelUrl, sshProxy: proxy, userName: typeof userName === 'string' ? userName : null, token };
}

function isOrigin(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && isSecure(new URL(value));
}

function domainOf(apiUrl: URL): string {
  return hostOf(apiUrl).replace(/^api\./, '');
}

/** Tokens pass in clear over plain HTTP: where nobody can listen, on this computer itself, that is good enough. */
function isSecure(url: URL): boolean {
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && /^(localhost|127(\.\d+){3}|::1)$/.test(hostOf(url));
}

function secureUrl(text: string): URL {
  const full = text.includes('://') ? text : `https://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url?.username !== '' || url.password !== '') {
    throw new Failure('usage', 'invalid-cloud-address', 'what was given as the address of a cloud is none', {
      hint: 'Give its API: https://api.balena-cloud.com, or that of your openBalena',
    });
  }
  if (isSecure(url)) return url;
  throw new Failure('refused', 'cloud-insecure', `${url.origin} is not HTTPS: whoever listens would learn your token`, {
    hint: 'Use its https:// address. Where it has a certificate authority of its own, name its file in NODE_EXTRA_CA_CERTS',
  });
}

function hostAndPort(text: string): HostAndPort {
  const {
    v6,
    name,
    port = '22',
  } = /^(?:\[(?<v6>[\da-f:]+)\]|(?<name>[^:/@\s[\]]+))(?::(?<port>\d{1,5}))?$/i.exec(text)?.groups ?? {};
  const host = v6 ?? name;
  if (host !== undefined && Number(port) > 0 && Number(port) < 65_536) return { host, port: Number(port) };
  throw new Failure('usage', 'invalid-cloud-address', `"${text}" is not the address of an SSH proxy`, {
    hint: 'Give host or host:port',
  });
}
