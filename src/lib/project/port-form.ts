import type { Path } from '../boot-config/problem.js';
import type { Port } from './composition.js';
import { also, type Form, listOf, object, type Reading } from './form.js';
import { choice, plainText, text, wholeNumber } from './form-values.js';
import { entryOf, mapping, scalar, sequence, type Tree } from './tree.js';

const port: Form<Port> = also(
  object(
    {
      target: wholeNumber('a port, from 1 to 65535', 1, 65_535),
      protocol: choice('tcp', 'udp', 'sctp'),
      mode: text(),
    },
    {
      published: plainText('a port or a range like 8000-8010', /^(\d{1,5}(-\d{1,5})?)?$/),
      host_ip: text(),
      name: text(),
      app_protocol: text(),
    },
    'a port like 8080:80, or a mapping with target',
  ),
  (tree) => {
    if (tree.kind !== 'mapping') return tree;
    const defaults = { protocol: scalar('tcp', tree.place), mode: scalar('ingress', tree.place) };
    return { ...tree, entries: new Map([...Object.entries(defaults), ...tree.entries]) };
  },
);

/** Ports, each in the short form `[address:][published:]target[/protocol]` with ranges, or in the long one. */
export const ports: Form<readonly Port[]> = also(
  listOf(port, { identity: portIdentity, mustBe: 'a list of ports' }),
  (tree, path, reading) =>
    tree.kind === 'sequence'
      ? { ...tree, items: tree.items.flatMap((item, index) => longPorts(item, [...path, index], reading)) }
      : tree,
);

function portIdentity(tree: Tree): string {
  const parts = ['host_ip', 'target', 'published', 'protocol'].map((name) => entryOf(tree, name));
  return JSON.stringify(parts.map((part) => (part?.kind === 'scalar' ? part.value : null)));
}

function longPorts(item: Tree, path: Path, { problems }: Reading): readonly Tree[] {
  if (item.kind !== 'scalar' || item.value === null || typeof item.value === 'boolean') return [item];
  const text = String(item.value);
  const parts = /^(?:(\[[^\]]*\]|[^:[\]]*):)?(?:([\d-]*):)?([\d-]+)(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const found = parts === null ? undefined : portsOf(...atEnd(parts), parts[4]?.toLowerCase());
  if (found !== undefined) return found.map((entries) => mapping(asTrees(entries, item), item.place));
  const message = 'must be a port like 80, 8080:80, 127.0.0.1:8080:80/udp or 9000-9010:9000-9010';
  problems.report(item.place, path, message);
  return [];
}

/** With one colon, what stands before it is the published port, not an address. */
function atEnd([, first, second, target = '']: RegExpExecArray): [string | undefined, string | undefined, string] {
  return second === undefined && first !== undefined && /^[\d-]*$/.test(first)
    ? [undefined, first, target]
    : [first?.replace(/^\[(.*)\]$/, '$1'), second, target];
}

type PortEntries = Readonly<Record<string, string | number>>;

function portsOf(
  address: string | undefined,
  published: string | undefined,
  target: string,
  protocol = 'tcp',
): readonly PortEntries[] | undefined {
  const targets = rangeOf(target);
  if (targets === undefined) return undefined;
  const rest = { ...(address === undefined || address === '' ? {} : { host_ip: address }), protocol };
  if (published === undefined || published === '') return targets.map((one) => ({ ...rest, target: one }));
  const taken = rangeOf(published);
  if (taken === undefined || (targets.length > 1 && taken.length !== targets.length)) return undefined;
  if (targets.length === 1) return [{ ...rest, target: targets[0] ?? 0, published }];
  return targets.map((one, index) => ({ ...rest, target: one, published: String(taken[index] ?? 0) }));
}

/** The ports of `80` or `80-90`. */
function rangeOf(text: string): readonly number[] | undefined {
  const [, first = '', last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (first === '' || from < 1 || to > 65_535 || to < from) return undefined;
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function asTrees(entries: PortEntries, { place }: Tree): readonly (readonly [string, Tree])[] {
  return Object.entries(entries).map(([name, value]) => [name, scalar(value, place)]);
}

/** Ports that others on the same network may use: numbers, ranges and protocols stay as they are written. */
export const expose: Form<readonly string[]> = listOf(plainText('a port', /^\d{1,5}(-\d{1,5})?(\/\w+)?$/), {
  mustBe: 'a list of ports',
  identity: (item) => (item.kind === 'scalar' ? String(item.value) : JSON.stringify(sequence([item], item.place))),
});
