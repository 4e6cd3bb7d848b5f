import type { Alias, Node as YamlNode, ParsedNode, YAMLMap } from 'yaml';
import type { Place } from './composition.js';
import type { Problems } from './problems.js';
import { entriesOf, mapping, scalar, sequence, type Tree } from './tree.js';

/** Values that a file may come to once its aliases are replaced; nobody writes as many. */
const mostValues = 100_000;

/**
 * Reads YAML with its places: anchors, aliases, merge keys (`<<`), and the tags `!reset` and `!override`. What is wrong is reported,
 * in words of davit's own, as the parser's may quote a secret. An empty file is an empty mapping.
 *
 * @param file as it is to be called in messages
 */
export async function parseYamlTree(text: string, file: string, problems: Problems): Promise<Tree> {
  const { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { prettyErrors: false, lineCounter, version: '1.2', logLevel: 'error' });
  const placeAt = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const report = (offset: number, message: string) => {
    problems.report(placeAt(offset), [], message);
  };
  for (const { code, pos } of document.errors) report(pos[0], syntaxProblems[code] ?? 'is not valid YAML here');

  const anchors = new Map<string, Tree | undefined>();
  const sizes = new WeakMap<Tree, number>();
  const sizeOf = (tree: Tree) => sizes.get(tree) ?? 1;
  const sized = <T extends Tree>(tree: T, parts: readonly Tree[]): T => {
    sizes.set(
      tree,
      parts.reduce((sum, part) => sum + sizeOf(part), 1),
    );
    return tree;
  };

  const read = (node: unknown, place: Place): Tree => {
    if (isAlias(node)) return aliased(node, place);
    if (!isMap(node) && !isSeq(node) && !isScalar(node)) return scalar(null, place);
    const tag = tagOf(node);
    const anchor = node.anchor;
    // What an anchor stands for may not hold an alias of it.
    if (anchor !== undefined) anchors.set(anchor, undefined);
    const tree = untagged(node, place);
    const result = tag === undefined ? tree : sized({ ...tree, tag }, [tree]);
    if (anchor !== undefined) anchors.set(anchor, result);
    return result;
  };
  const aliased = (node: Alias, place: Place): Tree => {
    const target = anchors.get(node.source);
    if (target !== undefined) return sized({ ...target, place }, [target]);
    report(offsetOf(node), `has *${node.source}, which leads nowhere or to what it stands in`);
    return scalar(null, place);
  };
  const untagged = (node: unknown, place: Place): Tree => {
    if (isMap(node)) return mapOf(node, place);
    if (isSeq(node)) {
      const items = node.items.map((item) => read(item, placeAt(offsetOf(item) || offsetOf(node))));
      return sized(sequence(items, place), items);
    }
    if (!isScalar(node)) return scalar(null, place);
    const { value, source } = node;
    if (typeof value === 'number' || typeof value === 'bigint') return { ...scalar(Number(value), place), source };
    return scalar(typeof value === 'string' || typeof value === 'boolean' ? value : null, place);
  };
  const mapOf = (node: YAMLMap, place: Place): Tree => {
    const own = new Map<string, Tree>();
    const inherited: Tree[] = [];
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? nameOf(key.value) : undefined;
      if (name === undefined) report(offsetOf(key), 'has a name that is no text');
      else if (name === '<<') inherited.push(...sourcesOf(read(value, placeAt(offsetOf(key)))));
      else own.set(name, read(value, placeAt(offsetOf(key))));
    }
    const entries = new Map(inherited.reverse().flatMap(entriesOf));
    for (const [name, tree] of own) {
      // What is merged in comes after what stands here, as everywhere it is shown.
      entries.delete(name);
      entries.set(name, tree);
    }
    return sized(mapping(entries, place), [...entries.values()]);
  };
  const sourcesOf = (tree: Tree): readonly Tree[] => {
    const sources = tree.kind === 'sequence' ? tree.items : [tree];
    if (sources.some(({ kind }) => kind !== 'mapping')) {
      problems.report(tree.place, ['<<'], 'must be a mapping, an alias of one, or a list of such');
    }
    return sources;
  };
  const tagOf = (node: YamlNode): Tree['tag'] => {
    if (node.tag === '!reset') return 'reset';
    if (node.tag === '!override') return 'override';
    const isKnown = node.tag === undefined || node.tag.startsWith('tag:yaml.org,2002:');
    if (!isKnown) report(offsetOf(node), 'has a tag that is not known: !reset and !override are');
    return undefined;
  };

  const contents: ParsedNode | null = document.errors.length > 0 ? null : document.contents;
  const start = placeAt(offsetOf(contents));
  if (contents === null || (isScalar(contents) && contents.value === null)) return mapping([], start);
  const tree = read(contents, start);
  if (sizeOf(tree) <= mostValues) return tree;
  problems.report(start, [], `comes to more than ${mostValues} values; do aliases multiply?`);
  return mapping([], start);
}

function offsetOf(node: unknown): number {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range)) return 0;
  const range: readonly unknown[] = node.range;
  return typeof range[0] === 'number' ? range[0] : 0;
}

function nameOf(key: unknown): string {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean' ? String(key) : '';
}

const syntaxProblems: Readonly<Record<string, string>> = {
  BAD_INDENT: 'has a wrong indentation here',
  BLOCK_AS_IMPLICIT_KEY: 'has a wrong indentation here, or a colon too many',
  BAD_SCALAR_START: 'has a value here that begins with a character that has to stand in quotes',
  DUPLICATE_KEY: 'has this name twice',
  MISSING_CHAR: 'lacks a quotation mark, a bracket, a comma or a colon here',
  MULTILINE_IMPLICIT_KEY: 'has a name over several lines here: a colon or a quotation mark may be missing',
  MULTIPLE_DOCS: 'has a second document here; there may be only one',
  TAB_AS_INDENT: 'has a tab here where spaces must stand',
};
