import { isIPv4, isIPv6 } from 'node:net';
import type { KeyfileSection } from './keyfile.js';
import {
  about,
  choice,
  either,
  list,
  object,
  type Shape,
  text,
  truth,
  type ValueOf,
  where,
  wholeNumber,
} from './shape.js';

type Family = 4 | 6;

// Node takes fe80::1%eth0 for an address, NetworkManager does not.
const isAddress = { 4: isIPv4, 6: (value: string) => isIPv6(value) && !value.includes('%') } as const;

/** An address or a network of either family with the length of its prefix. */
export const networkShape = text('an address with a prefix length, such as 10.0.0.5/24', (value) =>
  [4, 6].some((family) => isNetwork(value, family === 4 ? 4 : 6)),
);

/** A host name and port, or an address and port: `vpn.example.com:51820`, `[fd00::1]:51820`. */
export const endpointShape = text('a host and a port, such as vpn.example.com:51820', (value) => {
  const match = /^(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/i.exec(value);
  const port = Number(match?.[3] ?? 0);
  return port >= 1 && port <= 65_535 && (match?.[1] === undefined || isIPv6(match[1]));
});

const metric = wholeNumber('a number from 0 to 4294967295', 0, 4_294_967_295);
const domain = text('a domain', /^[A-Za-z0-9_~.-]+$/);

/** How a connection gets its IPv4 addresses. */
export const ipv4Shape = settingsShape(4, choice('auto', 'disabled', 'shared', 'link-local'), {});

/** How a connection gets its IPv6 addresses. */
export const ipv6Shape = settingsShape(6, choice('auto', 'dhcp', 'disabled', 'shared', 'link-local'), {
  privacy: about(
    'Temporary addresses: not at all, beside the stable one, or rather than it.',
    choice('off', 'public', 'temporary'),
  ),
});

/** IPv4 or IPv6 settings, resolved from the profile. */
export type Ipv4 = ValueOf<typeof ipv4Shape>;
export type Ipv6 = ValueOf<typeof ipv6Shape>;

function settingsShape<M extends string, More extends Readonly<Record<string, Shape<unknown>>>>(
  family: Family,
  method: Shape<M>,
  more: More,
) {
  const address = text(`an IPv${family} address`, isAddress[family]);
  const network = text(
    `an IPv${family} address with a prefix length, such as ${family === 4 ? '10.0.0.5/24' : 'fd00::5/64'}`,
    (value) => isNetwork(value, family),
  );
  const settings = object(
    {},
    {
      method: about('How addresses are got; only the given ones when there are any, else auto.', method),
      addresses: about('Addresses of its own, each with the length of its prefix.', list(network)),
      gateway: about('Where packets to other networks go.', address),
      dns: about('DNS servers.', list(address)),
      search: about('Domains to look host names up in.', list(domain)),
      routes: about('Further routes.', list(object({ to: network }, { via: address, metric }))),
      metric: about('Which default route wins; the lowest.', metric),
      default: about('Whether the default route may go through this connection.', truth),
      ignoreDns: about('Do not use DNS servers that the network names.', truth),
      ignoreRoutes: about('Do not use routes that the network names.', truth),
      ...more,
    },
  );
  const checked = where(settings, (value, path) => {
    const hasAddresses = value.addresses !== undefined && value.addresses.length > 0;
    const isUnused = value.method === 'disabled' || value.method === 'link-local';
    const isSharedOf4 = value.method === 'shared' && family === 4;
    // NetworkManager drops a connection as a whole where these stand beside such a method.
    const refused = [
      ...(isUnused ? (['addresses', 'dns', 'search'] as const) : []),
      ...(isSharedOf4 ? (['dns', 'search'] as const) : []),
    ].filter((key) => (value[key]?.length ?? 0) > 0);
    return [
      ...(value.gateway !== undefined && !hasAddresses
        ? [{ path: [...path, 'gateway'], message: 'must go with addresses' }]
        : []),
      ...(value.gateway !== undefined && value.default === false
        ? [{ path: [...path, 'default'], message: 'must not be false where there is a gateway' }]
        : []),
      ...refused.map((key) => ({
        path: [...path, key],
        message: `must not be there, because its method is ${value.method ?? ''}`,
      })),
      ...(isSharedOf4 && (value.addresses?.length ?? 0) > 1
        ? [{ path: [...path, 'addresses'], message: 'must be one address, because its method is shared' }]
        : []),
    ];
  });
  return either(`a method or an object with settings`, method, checked);
}

/** The sections `[ipv4]` and `[ipv6]` of a connection. */
export function ipSections(
  { ipv4, ipv6 }: { readonly ipv4?: Ipv4; readonly ipv6?: Ipv6 },
  defaults: { readonly ipv4?: 'auto' | 'shared' | 'disabled'; readonly ipv6?: 'auto' | 'shared' | 'disabled' } = {},
): { ipv4: KeyfileSection; ipv6: KeyfileSection } {
  const six = ipv6 ?? defaults.ipv6 ?? 'auto';
  const privacy = typeof six === 'string' || six.privacy === undefined ? undefined : privacies[six.privacy];
  return {
    ipv4: ipSection(ipv4 ?? defaults.ipv4 ?? 'auto'),
    ipv6: { 'addr-gen-mode': 'stable-privacy', ...ipSection(six), 'ip6-privacy': privacy },
  };
}

const privacies = { off: '0', public: '1', temporary: '2' } as const;

/** The method that settings mean: the given addresses alone when there are any, else auto. */
export function methodOf(settings: Ipv4 | Ipv6): string {
  if (typeof settings === 'string') return settings;
  return settings.method ?? ((settings.addresses ?? []).length > 0 ? 'manual' : 'auto');
}

function ipSection(settings: Ipv4 | Ipv6): KeyfileSection {
  if (typeof settings === 'string') return { method: settings };
  const { addresses = [], gateway, routes = [], dns = [], search = [], metric: routeMetric } = settings;
  const numbered = (prefix: string, values: readonly string[]) =>
    Object.fromEntries(values.map((value, index) => [`${prefix}${index + 1}`, value]));
  return {
    ...numbered(
      'address',
      addresses.map((address, index) => (index === 0 && gateway !== undefined ? `${address},${gateway}` : address)),
    ),
    dns: listValue(dns),
    'dns-search': listValue(search),
    'ignore-auto-dns': settings.ignoreDns === true ? 'true' : undefined,
    'ignore-auto-routes': settings.ignoreRoutes === true ? 'true' : undefined,
    method: methodOf(settings),
    'never-default': settings.default === false ? 'true' : undefined,
    'route-metric': routeMetric?.toString(),
    // A route without a next hop and with a metric needs the place of the hop kept.
    ...numbered(
      'route',
      routes.map((route) => {
        const unspecified = isNetwork(route.to, 4) ? '0.0.0.0' : '::';
        const via = route.via ?? (route.metric === undefined ? undefined : unspecified);
        return [route.to, via, route.metric].filter((part) => part !== undefined).join(',');
      }),
    ),
  };
}

/** Items as NetworkManager lists them, each followed by a semicolon; undefined for none. */
export function listValue(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.map((item) => `${item};`).join('');
}

function isNetwork(value: string, family: Family): boolean {
  const [, address, length] = /^([^/]+)\/(\d{1,3})$/.exec(value) ?? [];
  return address !== undefined && isAddress[family](address) && Number(length) <= (family === 4 ? 32 : 128);
}
