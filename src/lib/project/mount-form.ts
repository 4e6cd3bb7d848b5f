import path from 'node:path';
import type { Mount } from './composition.js';
import { also, type Form, listOf, object, where } from './form.js';
import { choice, mode, pairs, size, text, truth } from './form-values.js';
import { entryOf, mapping, scalar, textOf, type Tree, withEntry } from './tree.js';

const longMount = object(
  { type: choice('volume', 'bind', 'tmpfs', 'npipe', 'cluster', 'image'), target: text('a path', /./) },
  {
    source: text(),
    read_only: truth,
    consistency: text(),
    bind: object(
      {},
      {
        propagation: text(),
        create_host_path: truth,
        recursive: choice('enabled', 'disabled', 'writable', 'readonly'),
        selinux: choice('z', 'Z'),
      },
    ),
    volume: object({}, { nocopy: truth, subpath: text(), labels: pairs }),
    tmpfs: object({}, { size, mode }),
    image: object({}, { subpath: text() }),
  },
  'a mount like data:/data, or a mapping with type and target',
);

const mount: Form<Mount> = where(
  also(longMount, (tree, at, { problems }) => {
    const short = textOf(tree);
    if (short === undefined) return cleanTarget(tree);
    const long = longForm(short, tree);
    if (typeof long !== 'string') return cleanTarget(long);
    problems.report(tree.place, at, long);
    return mapping(
      [
        ['type', scalar('volume', tree.place)],
        ['target', scalar('/', tree.place)],
      ],
      tree.place,
    );
  }),
  (tree) => {
    const [type, source] = [textOf(entryOf(tree, 'type')), textOf(entryOf(tree, 'source'))];
    if ((type === 'bind' || type === 'image') && source === undefined)
      return `must have source, as it is of type ${type}`;
    return type === 'tmpfs' && source !== undefined ? 'must not have source, as it is of type tmpfs' : undefined;
  },
);

/** What is mounted into a container: in the short form `[source:]target[:options]`, or in the long one. */
export const mounts: Form<readonly Mount[]> = listOf(mount, {
  mustBe: 'a list of mounts',
  identity: (tree) => textOf(entryOf(tree, 'target')) ?? JSON.stringify(tree),
});

function cleanTarget(tree: Tree): Tree {
  const target = entryOf(tree, 'target');
  const written = textOf(target);
  if (tree.kind !== 'mapping' || target === undefined || written === undefined || written === '') return tree;
  const clean = path.posix.normalize(written).replace(/(?<=.)\/$/, '');
  return withEntry(tree, 'target', scalar(clean, target.place));
}

const propagations = ['rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'];

/** The long form of a short one, or what is wrong with it. */
function longForm(short: string, { place }: Tree): Tree | string {
  const [first = '', second, options, more] = splitShort(short);
  const target = second ?? first;
  if (more !== undefined) return 'has too many colons: a mount is [source:]target[:options]';
  if (first === '' || target === '' || options === '') return 'must have something on both sides of each colon';
  const source = second === undefined ? undefined : first;
  const isBind = source !== undefined && /^([./~]|\\\\|[a-z]:[\\/])/i.test(source);
  const words = options?.split(',') ?? [];
  const unknown = words.find(
    (word) =>
      ![
        'ro',
        'rw',
        'nocopy',
        'z',
        'Z',
        'consistent',
        'cached',
        'delegated',
        'rro',
        'copy',
        'volume-nocopy',
        ...propagations,
      ].includes(word),
  );
  if (unknown !== undefined) return `has the option ${unknown}, which is not known: ro, rw and nocopy are`;
  const text = (value: string | boolean) => scalar(value, place);
  const propagation = words.find((word) => propagations.includes(word));
  const selinux = words.find((word) => word === 'z' || word === 'Z');
  const bind = [
    ...(isBind ? [['create_host_path', text(true)] as const] : []),
    ...(propagation === undefined ? [] : [['propagation', text(propagation)] as const]),
    ...(selinux === undefined ? [] : [['selinux', text(selinux)] as const]),
  ];
  return mapping(
    [
      ['type', text(isBind ? 'bind' : 'volume')],
      ...(source === undefined ? [] : [['source', text(source)] as const]),
      ['target', text(target)],
      ...(words.includes('ro') || words.includes('rro') ? [['read_only', text(true)] as const] : []),
      ...(bind.length === 0 ? [] : [['bind', mapping(bind, place)] as const]),
      ...(words.includes('nocopy') ? [['volume', mapping([['nocopy', text(true)]], place)] as const] : []),
    ],
    place,
  );
}

/** The parts between colons; that of a Windows drive, which a path in the container follows, is none. */
function splitShort(short: string): string[] {
  const drive = /^[a-z]:[\\/][^:]*(?=:\/)/i.exec(short)?.[0];
  return drive === undefined ? short.split(':') : [drive, ...short.slice(drive.length + 1).split(':')];
}
