import type { Document, Node } from 'yaml';
import { type Path, placeAt, type TextPlace } from './problem.js';

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
    return found.map(({ code, pos: [offset] }) => ({
      ...placeAt(text, offset),
      problem: problems[code] ?? 'the text is not valid YAML',
    }));
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 1000 });
    // Fails for what contains itself by an alias.
    JSON.stringify(value);
    return { value, locate: await locator(document, text) };
  } catch {
    const problem = 'an alias leads nowhere or to what it stands in, or aliases multiply without bound';
    return [{ line: 1, column: 1, problem }];
  }
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
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
    return pair && { node: pair.value, ...(isNode(pair.key) ? { at: pair.key } : {}) };
  };
  return (path) => {
    let [node, offset]: [unknown, number] = [document.contents, document.contents?.range?.[0] ?? 0];
    for (const part of path) {
      const found = child(node, part);
      if (found === undefined) break;
      node = found.node;
      offset = found.at?.range?.[0] ?? offset;
    }
    return placeAt(text, offset);
  };
}
