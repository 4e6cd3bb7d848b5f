import { nearestName } from '../platform/nearest-name.js';
import { also, type Form, listOf, mapOf, replaced, wrong } from './form.js';
import { splitWords } from './split-words.js';
import { entriesOf, isNothing, mapping, type Mapping, scalar, sequence, textOf, type Tree } from './tree.js';

/** A single value that `read` understands: its canonical value, or undefined where it is none. */
function single<T extends string | number | boolean>(
  mustBe: string,
  read: (value: string | number | boolean, source: string | undefined) => T | undefined,
): Form<T> {
  return {
    canonical: (tree, path, reading) => {
      const value = tree.kind === 'scalar' && tree.value !== null ? read(tree.value, tree.source) : undefined;
      if (value === undefined) return wrong(tree, path, reading, `must be ${mustBe}`);
      return { ...scalar(value, tree.place), tag: tree.tag };
    },
  };
}

/** Text, of a certain form if a pattern is given. */
export function text(mustBe = 'text', pattern = /^/): Form<string> {
  const isGood = (value: unknown) => typeof value === 'string' && pattern.test(value);
  return {
    ...single(mustBe, (value) => (typeof value === 'string' && isGood(value) ? value : undefined)),
    canonical: (tree, path, reading) => {
      if (tree.kind === 'scalar' && isGood(tree.value)) return tree;
      const isBare = tree.kind === 'scalar' && tree.value !== null && typeof tree.value !== 'string';
      return wrong(tree, path, reading, `must be ${mustBe}${isBare ? ', in quotes' : ''}`);
    },
  };
}

/** Text where a number, true or false is as good: as it was written. */
export function plainText(mustBe = 'text or a number', pattern = /^/): Form<string> {
  return single(mustBe, (value, source) => {
    const written = source ?? String(value);
    return pattern.test(written) ? written : undefined;
  });
}

/** A number, of text too, as variables make text. */
export function number(mustBe: string, isGood: (value: number) => boolean = () => true): Form<number> {
  return single(mustBe, (value) => {
    const result =
      typeof value === 'string' && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : value;
    return typeof result === 'number' && Number.isFinite(result) && isGood(result) ? result : undefined;
  });
}

/** A whole number within bounds. */
export function wholeNumber(mustBe: string, least = 0, most = Number.MAX_SAFE_INTEGER): Form<number> {
  return number(mustBe, (value) => Number.isInteger(value) && value >= least && value <= most);
}

/** True or false, as text too. */
export const truth: Form<boolean> = single('true or false', (value) => {
  if (typeof value === 'boolean') return value;
  const words: Readonly<Record<string, boolean>> = {
    true: true,
    yes: true,
    on: true,
    false: false,
    no: false,
    off: false,
  };
  const word = String(value).toLowerCase();
  return typeof value === 'string' && Object.hasOwn(words, word) ? words[word] : undefined;
});

/** One of some words. */
export function choice<const T extends string>(...words: readonly T[]): Form<T> {
  const all = `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
  return {
    canonical: (tree, path, reading) => {
      const value = textOf(tree);
      if (words.some((word) => word === value)) return tree;
      const near = value === undefined ? undefined : nearestName(value, words);
      return wrong(tree, path, reading, `must be ${all}${near === undefined ? '' : `: did you mean ${near}?`}`);
    },
  };
}

/** Bytes: a number, or one with a unit of 1024: `64m`, `1.5gb`. */
export const size: Form<number> = single('a size: a number of bytes, or one with a unit like 64m or 1.5gb', (value) => {
  if (typeof value === 'number') return value >= 0 && Number.isInteger(value) ? value : undefined;
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*(?:([kmgtp])?i?b?)$/i.exec(String(value)) ?? [];
  const factor = 1024 ** ('kmgtp'.indexOf(unit.toLowerCase()) + 1);
  return digits === '' ? undefined : Math.floor(Number(digits) * (unit === '' ? 1 : factor));
});

/** Bytes, or -1 for no limit. */
export const sizeOrUnlimited: Form<number> = {
  canonical: (tree, path, reading) =>
    tree.kind === 'scalar' && String(tree.value) === '-1'
      ? { ...tree, value: -1 }
      : size.canonical(tree, path, reading),
};

const unitSeconds: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
};

/** Seconds, from a duration like `1m30s`; a bare number is only good where this form has made it itself. */
export const duration: Form<number> = single('a duration with units, like 30s or 1m30s', (value, source) => {
  if (typeof value === 'number') return source === undefined && value >= 0 ? value : undefined;
  if (typeof value !== 'string' || !/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d))+$/.test(value)) return undefined;
  const parts = [...value.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h|d)/g)];
  const seconds = parts.reduce((sum, [, digits, unit]) => sum + Number(digits) * (unitSeconds[unit ?? ''] ?? 0), 0);
  return Number(seconds.toFixed(9));
});

/** Times of the scheduler: microseconds, or a duration. */
export const microseconds: Form<number> = single('a number of microseconds, or a duration like 50ms', (value) => {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  if (/^-?\d+$/.test(value)) return Number(value);
  const found = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(value);
  return found === null ? undefined : Math.round(Number(found[1]) * (unitSeconds[found[2] ?? ''] ?? 0) * 1e6);
});

/** Permission bits: in YAML an octal number as it is usually written, `0440`, or text of octal digits. */
export const mode: Form<number> = single('permission bits, like 0440', (value, source) => {
  const written = source ?? (typeof value === 'string' ? value : undefined);
  if (written === undefined) return typeof value === 'number' && Number.isInteger(value) ? value : undefined;
  const octal = /^0?o?([0-7]+)$/.exec(written)?.[1];
  if (octal !== undefined && (typeof value === 'string' || written.startsWith('0'))) return Number.parseInt(octal, 8);
  return typeof value === 'number' && Number.isInteger(value) ? value : undefined;
});

/** A list of text, or one. */
export function oneOrMore(item: Form<string> = text(), identity = sameText): Form<readonly string[]> {
  const list = listOf(item, { mustBe: 'text or a list of text', identity });
  return also(list, (tree) => (textOf(tree) === undefined ? tree : { ...sequence([tree], tree.place), tag: tree.tag }));
}

/** What makes two items of a list of text the same. */
export function sameText(tree: Tree): string {
  return tree.kind === 'scalar' ? String(tree.value) : JSON.stringify(tree);
}

/** A list of text in which each counts once. */
export function texts(item: Form<string> = text()): Form<readonly string[]> {
  return listOf(item, { mustBe: 'a list of text', identity: sameText });
}

/** A command: a list of words, or text that a shell would take for one. A later command takes the place of an earlier one. */
export const command: Form<readonly string[]> = replaced(
  also(listOf(plainText(), { mustBe: 'a command: text, or a list of words' }), (tree, path, { problems }) => {
    // Nothing stands for the image's own command, an empty list for none.
    if (isNothing(tree)) return { ...sequence([], tree.place), tag: 'reset' };
    const line = textOf(tree);
    if (line === undefined) return tree;
    const words = splitWords(line);
    if (words === undefined) problems.report(tree.place, path, 'has a quotation mark that does not close');
    return sequence(
      (words ?? []).map((word) => scalar(word, tree.place)),
      tree.place,
    );
  }),
);

/** `NAME=value` words in a list as the mapping that they stand for; a bare `NAME` has nothing behind it. */
export function wordsAsMapping(tree: Tree, separator = /=/): Tree {
  if (tree.kind !== 'sequence') return tree;
  const entries = tree.items.map((item): readonly [string, Tree] => {
    const word = item.kind === 'scalar' ? String(item.value) : '';
    const at = separator.exec(word);
    return at === null
      ? [word, scalar(null, item.place)]
      : [word.slice(0, at.index), scalar(word.slice(at.index + at[0].length), item.place)];
  });
  if (tree.items.some((item) => item.kind !== 'scalar' || item.value === null)) return tree;
  return { ...mapping(entries, tree.place), tag: tree.tag };
}

const pairsMustBe = 'a mapping, or a list of NAME=value';

/** Text by name, as a mapping or as a list of `NAME=value`; a name with nothing behind it has empty text. */
export const pairs: Form<Readonly<Record<string, string>>> = also(mapOf(plainText(), pairsMustBe), (tree) =>
  filled(wordsAsMapping(tree), () => ''),
);

/** The same for variables, where a name with nothing behind it takes its value from the environment that davit runs in. */
export const variables: Form<Readonly<Record<string, string | null>>> = also(
  mapOf(
    {
      canonical: (tree, path, reading) => (isNothing(tree) ? tree : plainText().canonical(tree, path, reading)),
    },
    pairsMustBe,
    (name) => name !== '' && !/[\s=]/.test(name),
  ),
  (tree, _, reading) => filled(wordsAsMapping(tree), (name) => reading.variables(name)),
);

function filled(tree: Tree, valueOf: (name: string) => string | undefined): Tree {
  if (tree.kind !== 'mapping') return tree;
  const entries = entriesOf(tree).map(([name, value]) => {
    const found = isNothing(value) && value.tag === undefined ? valueOf(name) : undefined;
    return [name, found === undefined ? value : scalar(found, value.place)] as const;
  });
  const result: Mapping = { ...tree, entries: new Map(entries) };
  return result;
}

/** Names that stand for mappings, in a list or as the keys of a mapping: `depends_on`, `networks`. */
export function namesAsMapping(tree: Tree, valueOf: (item: Tree) => Tree): Tree {
  if (tree.kind !== 'sequence' || tree.items.some((item) => textOf(item) === undefined)) return tree;
  return {
    ...mapping(
      tree.items.map((item) => [textOf(item) ?? '', valueOf(item)]),
      tree.place,
    ),
    tag: tree.tag,
  };
}
