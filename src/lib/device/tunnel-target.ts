import { isIP } from 'node:net';
import { Failure } from '../failure/failure.js';

/** Where a tunnel begins and where it leads. */
export interface TunnelPlan {
  /** Address here; 127.0.0.1 unless another one was given. */
  readonly bindAddress: string;
  /** Port here; 0 for any that is free. */
  readonly localPort: number;
  readonly target: TunnelTarget;
}

/** Where a tunnel leads, as the device sees it. */
export type TunnelTarget =
  | { readonly kind: 'port'; readonly host: string; readonly port: number }
  | { readonly kind: 'service'; readonly service: string; readonly port: number }
  | { readonly kind: 'socket'; readonly path: string };

/**
 * Takes a tunnel apart: `[<address>:]<local port>:<target>`, where the target is a port of the device, `<service>:<port>`, an address that the
 * device reaches with a port, or the path of a socket. A target with a port needs no local one: it is the same then.
 */
export function parseTunnel(text: string): TunnelPlan {
  const socket = text.indexOf(':/');
  if (socket >= 0)
    return { ...localOf(text, text.slice(0, socket)), target: { kind: 'socket', path: text.slice(socket + 1) } };
  const parts = text.match(/\[[^\]]*\]|[^:]+/g) ?? [];
  if (parts.join(':') !== text || parts.length > 4) throw invalid(text);
  const port = portOf(text, parts.at(-1), 1);
  const before = parts.slice(0, -1);
  const host = before.at(-1);
  // What stands before the last port is either where it is or the port here.
  if (host !== undefined && !/^\d+$/.test(host)) {
    const rest = before.slice(0, -1).join(':');
    const local = rest === '' ? { bindAddress: '127.0.0.1', localPort: port } : localOf(text, rest);
    return { ...local, target: placeOf(host, port) };
  }
  const local = before.length === 0 ? { bindAddress: '127.0.0.1', localPort: port } : localOf(text, before.join(':'));
  return { ...local, target: { kind: 'port', host: '127.0.0.1', port } };
}

/** How a target is shown to people. */
export function describeTarget(target: TunnelTarget): string {
  switch (target.kind) {
    case 'port':
      return `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;
    case 'service':
      return `${target.service}:${target.port}`;
    case 'socket':
      return target.path;
  }
}

function placeOf(host: string, port: number): TunnelTarget {
  const address = unbracketed(host);
  if (isIP(address) !== 0 || address === 'localhost') return { kind: 'port', host: address, port };
  return { kind: 'service', service: host, port };
}

function localOf(text: string, local: string): { readonly bindAddress: string; readonly localPort: number } {
  const parts = /^(?:(?<address>\[[^\]]*\]|[^:]+):)?(?<port>\d+)$/.exec(local)?.groups;
  if (parts === undefined) throw invalid(text);
  const bindAddress = unbracketed(parts.address ?? '127.0.0.1');
  if (isIP(bindAddress) === 0 && bindAddress !== 'localhost') throw invalid(text);
  return { bindAddress, localPort: portOf(text, parts.port, 0) };
}

function portOf(text: string, port: string | undefined, least: number): number {
  const number = /^\d+$/.test(port ?? '') ? Number(port) : -1;
  if (number < least || number > 65_535) throw invalid(text);
  return number;
}

function unbracketed(address: string): string {
  return address.replace(/^\[(.*)\]$/, '$1');
}

function invalid(text: string): Failure {
  return new Failure('usage', 'invalid-tunnel', `"${text}" is not a tunnel`, {
    hint: 'Write <local port>:<target>: 8080:80, 8080:main:80, 0:/var/run/balena-engine.sock',
  });
}
