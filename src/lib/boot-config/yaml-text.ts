import type { Document, Node, Pair, YAMLMap } from 'yaml';
import type { Path, TextPlace } from './problem.js';

/** A YAML text as plain values, and where they stand in it. */
export interface YamlText {
  readonly value: unknown;
  /** The place of a value: of its key, or of the item in a list; for what is not there, the place of what it belongs to. */
  readonly locate: (path: Path) => TextPlace;
}

/** Where a YAML text is wrong. */
export interface YamlProblem extends TextPlace {
  readonly problem: string;
}

/** Parses YAML 1.2; problems are told in words of davit's own, as the parser's may quote the text, which may hold secrets. */
export async function parseYaml(text: string): Promise<YamlText | readonly YamlProblem[]> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, { prettyErrors: false, merge: true, stringKeys: true, version: '1.2' });
  // What the parser only warns about, such as a tag that is not known, would change what a value means.
  const found = [...document.errors, ...document.warnings];
  if (found.length > 0) {
    const placeOf = placesIn(text);
    return found.map(({ code, pos: [offset] }) => ({
      ...placeOf(offset),
      problem: problems[code] ?? 'the text is not valid YAML',
    }));
  }
  const why = await outOfBounds(document);
  if (why !== undefined) return [{ line: 1, column: 1, problem: why }];
  try {
    return { value: document.toJS({ maxAliasCount: -1 }), locate: await locator(document, text) };
  } catch {
    // Only what is merged is not looked at before.
    return [{ line: 1, column: 1, problem: 'what stands behind << is no object, nor an alias of one' }];
  }
}

/** Values and characters that a document may have once its aliases are replaced by what they stand for; nobody writes as many. */
const most = { values: 20_000, characters: 4_000_000 } as const;

/** Aliases that a document may have; looking up what each stands for takes the longer the more there are. */
const mostAliases = 1000;

/** Why a document must not be turned into values: aliases that lead nowhere or in circles, or that make little text huge. */
async function outOfBounds(document: Document.Parsed): Promise<string | undefined> {
  const { isAlias, isCollection, isPair, isScalar } = await import('yaml');
  const anchors = new Map<string, unknown>();
  /** What each node comes to; nothing while it is being counted. */
  const sizes = new Map<unknown, Size | undefined>();
  const seen = { aliases: 0, astray: 0 };
  const sizeOf = (node: unknown): Size => {
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      const size = sizes.get(target);
      seen.aliases += 1;
      if (size === undefined) seen.astray += 1;
      return size ?? nothing;
    }
    if ((isScalar(node) || isCollection(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
    sizes.set(node, undefined);
    const size = isCollection(node)
      ? sum(node.items.flatMap((item) => (isPair(item) ? [item.key, item.value] : [item])).map(sizeOf))
      : { values: 1, characters: isScalar(node) ? String(node.value).length : 0 };
    sizes.set(node, size);
    return size;
  };
  const { values, characters } = sizeOf(document.contents);
  if (seen.astray > 0) return 'an alias leads nowhere or to what it stands in';
  return values > most.values || characters > most.characters || seen.aliases > mostAliases
    ? 'it comes to more than a profile can say; do aliases multiply?'
    : undefined;
}

interface Size {
  readonly values: number;
  readonly characters: number;
}

const nothing: Size = { values: 0, characters: 0 };

function sum(sizes: readonly Size[]): Size {
  return sizes.reduce(
    (all, one) => ({ values: all.values + one.values, characters: all.characters + one.characters }),
    { values: 1, characters: 0 },
  );
}

const problems: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation is wrong',
  BLOCK_AS_IMPLICIT_KEY: 'the indentation is wrong, or a colon is one too many',
  BAD_SCALAR_START: 'a value begins with a character that has to stand in quotes',
  DUPLICATE_KEY: 'a key comes twice',
  MISSING_CHAR: 'a quotation mark, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'a key runs over several lines: a colon or a quotation mark may be missing',
  MULTIPLE_DOCS: 'a second document begins; there may be only one',
  NON_STRING_KEY: 'a key is no text: put it in quotes',
  TAB_AS_INDENT: 'a tab stands where spaces must',
  TAG_RESOLVE_FAILED: 'a tag is not known',
};

async function locator(document: Document, text: string): Promise<(path: Path) => TextPlace> {
  const { isAlias, isMap, isNode, isScalar, isSeq } = await import('yaml');
  const pairs = new Map<unknown, ReadonlyMap<string, Pair>>();
  const pairsOf = (node: YAMLMap) => {
    const known =
      pairs.get(node) ?? new Map(node.items.map((pair) => [isScalar(pair.key) ? String(pair.key.value) : '', pair]));
    pairs.set(node, known);
    return known;
  };
  const child = (
    parent: unknown,
    part: string | number,
  ): { readonly at?: Node; readonly node: unknown } | undefined => {
    const node = isAlias(parent) ? parent.resolve(document) : parent;
    if (isSeq(node)) {
      const item = node.items[Number(part)];
      return { node: item, ...(isNode(item) ? { at: item } : {}) };
    }
    if (!isMap(node)) return undefined;
    const pair = pairsOf(node).get(String(part));
    return pair && { node: pair.value, ...(isNode(pair.key) ? { at: pair.key } : {}) };
  };
  const placeOf = placesIn(text);
  return (path) => {
    let [node, offset]: [unknown, number] = [document.contents, document.contents?.range?.[0] ?? 0];
    for (const part of path) {
      const found = child(node, part);
      if (found === undefined) break;
      node = found.node;
      offset = found.at?.range?.[0] ?? offset;
    }
    return placeOf(offset);
  };
}

/** The same as `placeAt` for a text in which many places are looked for. */
function placesIn(text: string): (offset: number) => TextPlace {
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}
