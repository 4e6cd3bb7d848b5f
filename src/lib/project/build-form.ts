import { also, type Form, listOf, mapOf, object } from './form.js';
import type { FileGrant, Ulimit } from './composition.js';
import {
  mode,
  number,
  oneOrMore,
  pairs,
  plainText,
  size,
  text,
  texts,
  truth,
  variables,
  wordsAsMapping,
} from './form-values.js';
import { contextPath } from './local-path.js';
import { entriesOf, entryOf, mapping, scalar, sequence, textOf, type Tree } from './tree.js';

/** Limits by name: a number for both, or soft and hard ones. */
export const ulimits: Form<Readonly<Record<string, Ulimit>>> = mapOf(
  also(
    object({ soft: number('a number'), hard: number('a number') }, {}, 'a number, or a mapping with soft and hard'),
    (tree) =>
      tree.kind === 'scalar' && /^-?\d+$/.test(String(tree.value))
        ? {
            ...mapping(
              [
                ['soft', tree],
                ['hard', tree],
              ],
              tree.place,
            ),
            tag: tree.tag,
          }
        : tree,
  ),
  'a mapping of limits',
  (name) => /^[a-z]+$/.test(name),
);

/** Addresses of host names: a list of `name=address` or `name:address`, or a mapping to one or several. */
export const extraHosts: Form<Readonly<Record<string, readonly string[]>>> = also(
  mapOf(oneOrMore(), 'a mapping, or a list of name=address'),
  (tree) => {
    if (tree.kind !== 'sequence') return tree;
    const hosts = new Map<string, Tree[]>();
    for (const item of tree.items) {
      for (const [name, address] of entriesOf(wordsAsMapping(sequence([item], item.place), /=|:/))) {
        hosts.set(name, [...(hosts.get(name) ?? []), withoutBrackets(address)]);
      }
    }
    if (tree.items.some((item) => textOf(item) === undefined)) return tree;
    return {
      ...mapping(
        [...hosts].map(([name, addresses]) => [name, sequence(addresses, addresses[0]?.place ?? tree.place)]),
        tree.place,
      ),
      tag: tree.tag,
    };
  },
);

function withoutBrackets(tree: Tree): Tree {
  const address = textOf(tree);
  return address === undefined ? tree : scalar(address.replace(/^\[(.*)\]$/, '$1'), tree.place);
}

/** Secrets or configs that a container or a build gets, by name or with more; those of one place in the container are one. */
export function grants(folder: string): Form<readonly FileGrant[]> {
  const grant = object(
    { source: text() },
    { target: text(), uid: plainText(), gid: plainText(), mode },
    'a name, or a mapping with source',
  );
  return listOf(
    also(grant, (tree) => (textOf(tree) === undefined ? tree : mapping([['source', tree]], tree.place))),
    {
      mustBe: 'a list of names or mappings',
      identity: (tree) => textOf(entryOf(tree, 'target')) ?? `${folder}/${textOf(entryOf(tree, 'source')) ?? ''}`,
    },
  );
}

/** The keys of a build. */
export const buildFields = {
  context: contextPath,
  dockerfile: text('a path', /./),
  dockerfile_inline: text(),
  args: variables,
  target: text(),
  cache_from: texts(),
  cache_to: texts(),
  labels: pairs,
  secrets: grants('/run/secrets'),
  ssh: also(pairs, (tree) => (textOf(tree) === undefined ? tree : sequence([tree], tree.place))),
  network: text(),
  extra_hosts: extraHosts,
  shm_size: size,
  tags: texts(),
  platforms: texts(),
  additional_contexts: also(mapOf(contextPath, 'a mapping, or a list of name=path'), (tree) => wordsAsMapping(tree)),
  no_cache: truth,
  pull: truth,
  privileged: truth,
  isolation: text(),
  ulimits,
  entitlements: texts(),
  provenance: plainText('true, false or text'),
  sbom: plainText('true, false or text'),
};

/** How an image is built: the path of the context, or a mapping. */
export const build = also(object({}, buildFields, 'the path of a folder, or a mapping with context'), (tree) =>
  textOf(tree) === undefined ? tree : { ...mapping([['context', tree]], tree.place), tag: tree.tag },
);
