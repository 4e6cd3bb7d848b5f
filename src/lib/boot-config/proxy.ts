import { isIPv4 } from 'node:net';
import { isHost, portShape } from './config-values.js';
import type { Path, Problem } from './problem.js';
import { about, choice, list, object, text, textLine, type ValueOf, where } from './shape.js';

const ipv4Network = text('an IPv4 address or network, such as 10.0.0.0/8', (value) => {
  const [, address = '', length = '32'] = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(value) ?? [];
  return isIPv4(address) && Number(length) <= 32;
});

interface ProxyLogin {
  readonly type: string;
  readonly login?: string;
  readonly password?: string;
}

/** The proxy that a device reaches the internet through. */
export const proxyShape = where(
  object(
    {
      type: choice('socks5', 'socks4', 'http-connect', 'http-relay'),
      // Redsocks takes IPv4 only, and a name must begin with a letter to be read as one.
      host: about(
        'IPv4 address or host name of the proxy.',
        text(
          'an IPv4 address or a host name',
          (value) => isIPv4(value) || (isHost(value) && /^[A-Za-z][^:]*$/.test(value)),
        ),
      ),
      port: portShape,
    },
    {
      login: textLine,
      password: textLine,
      noProxy: about('IPv4 addresses and networks to reach without it.', list(ipv4Network)),
      dns: about(
        'A DNS server to ask over TCP through the proxy, where UDP is blocked. Since balenaOS 6.0.19.',
        object({ host: text('an IPv4 address', isIPv4) }, { port: portShape }),
      ),
    },
  ),
  loginProblems,
);

/** Redsocks quietly goes without a login that is not whole. */
function loginProblems({ type, login, password }: ProxyLogin, path: Path): Problem[] {
  const isTooLong = (value = '') => type === 'socks5' && Buffer.byteLength(value) > 255;
  const problems: readonly (readonly [boolean, Path, string])[] = [
    [password !== undefined && login === undefined, path, 'must have login, because it has a password'],
    [
      login !== undefined && password === undefined && type !== 'socks4',
      path,
      `must have password, because its type is ${type} and it has a login`,
    ],
    [isTooLong(login), [...path, 'login'], 'must have 255 bytes at most for socks5'],
    [isTooLong(password), [...path, 'password'], 'must have 255 bytes at most for socks5'],
    [
      type.startsWith('http') && login?.includes(':') === true,
      [...path, 'login'],
      'must not have a colon, which ends it in HTTP',
    ],
  ];
  return problems.flatMap(([applies, place, message]) => (applies ? [{ path: place, message }] : []));
}

type Proxy = ValueOf<typeof proxyShape>;

/** The files of `system-proxy` that make a device use a proxy (https://docs.balena.io/reference/OS/network, redsocks' parser.c). */
export function proxyFiles(proxy: Proxy): { readonly path: string; readonly content: Buffer }[] {
  const login = { login: quoted(proxy.login), password: quoted(proxy.password) };
  const blocks = [
    block('base', { log_debug: 'off', log_info: 'on', log: 'stderr', daemon: 'off', redirector: 'iptables' }),
    block('redsocks', {
      ...{ type: proxy.type, ip: proxy.host, port: proxy.port.toString() },
      // The OS redirects connections to this very port.
      ...{ local_ip: '127.0.0.1', local_port: '12345', ...login },
    }),
    ...(proxy.dns === undefined
      ? []
      : [block('dnsu2t', { remote_ip: proxy.dns.host, remote_port: (proxy.dns.port ?? 53).toString() })]),
  ];
  const noProxy = proxy.noProxy ?? [];
  return [
    { path: 'system-proxy/redsocks.conf', content: Buffer.from(blocks.join('\n')) },
    ...(noProxy.length === 0
      ? []
      : [{ path: 'system-proxy/no_proxy', content: Buffer.from(`${noProxy.join('\n')}\n`) }]),
  ];
}

function block(name: string, entries: Readonly<Record<string, string | undefined>>): string {
  const lines = Object.entries(entries).flatMap(([key, value]) =>
    value === undefined ? [] : [`\t${key} = ${value};`],
  );
  return [`${name} {`, ...lines, '}', ''].join('\n');
}

/** A string as redsocks reads one: in quotes, with quotes and backslashes escaped. */
function quoted(value: string | undefined): string | undefined {
  return value === undefined
    ? undefined
    : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\t', '\\t')}"`;
}
