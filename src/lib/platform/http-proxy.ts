import { BlockList, isIP } from 'node:net';
import { Failure } from '../failure/failure.js';
import { environmentVariable } from './environment.js';

/** Reads an environment variable; an argument, so that tests need not change the process's own. */
type Environment = (name: string) => string | undefined;

/**
 * The proxy that the environment names for a URL, or undefined to connect directly: `https_proxy` or `http_proxy` by the URL's scheme,
 * else `all_proxy`, in lower or upper case, unless `no_proxy` covers the host. This computer itself is never asked for through a proxy.
 */
export function proxyFor(url: URL, environment: Environment = environmentVariable): URL | undefined {
  const either = (name: string) => environment(name) ?? environment(name.toUpperCase());
  const value = either(`${url.protocol.slice(0, -1)}_proxy`) ?? either('all_proxy');
  if (value === undefined || isLoopback(url) || isExempt(url, either('no_proxy') ?? '')) return undefined;
  const text = value.includes('://') ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy;
  throw new Failure('usage', 'proxy-unsupported', `the proxy that the environment names is not an HTTP proxy`, {
    hint: 'Set https_proxy to http://<host>:<port>, or put the host into no_proxy',
  });
}

/** The host of a URL, an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** The port of a URL, its scheme's own where it names none. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}

function isLoopback(url: URL): boolean {
  const host = hostOf(url);
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('127.');
}

/** Whether `no_proxy` names a host: by name, by the domain it is in, by address, by network (`10.0.0.0/8`), each with a port or not, or by `*`. */
function isExempt(url: URL, list: string): boolean {
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((word) => word !== '' && covers(word, hostOf(url), portOf(url)));
}

function covers(word: string, host: string, port: number): boolean {
  if (word === '*') return true;
  const network = /^\[?([\da-f.:]+)\]?\/(\d+)$/.exec(word);
  if (network !== null) return isWithin(host, network[1] ?? '', Number(network[2]));
  const { name = word, only } = /^(?<name>\[.*\]|[^:]*):(?<only>\d+)$/.exec(word)?.groups ?? {};
  if (only !== undefined && Number(only) !== port) return false;
  const wanted = name.replace(/^\[(.*)\]$/, '$1').replace(/^\*?\./, '');
  return host === wanted || (isIP(host) === 0 && host.endsWith(`.${wanted}`));
}

function isWithin(host: string, network: string, prefix: number): boolean {
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(host) !== isIP(network) || isIP(network) === 0 || prefix > (family === 'ipv6' ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, prefix, family);
  return list.check(host, family);
}
