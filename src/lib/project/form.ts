import { isDeepStrictEqual } from 'node:util';
import type { Path } from '../boot-config/problem.js';
import { notKnown } from '../boot-config/shape.js';
import type { Variables } from './interpolation.js';
import { Problems } from './problems.js';
import { entriesOf, isNothing, mapping, type Mapping, plainValue, scalar, type Tree } from './tree.js';

/** What a form needs to know of the file that a value stands in. */
export interface Reading {
  /** Absolute path of the folder that relative paths start from. */
  readonly folder: string;
  readonly variables: Variables;
  readonly problems: Problems;
}

/**
 * How a value of a compose file may be written, what it then is, and what becomes of two of them when files are merged. What a form
 * has made of a value is canonical: of one way of writing, and taken by the form again as it is.
 */
export interface Form<out T> {
  /** The canonical form of a value; what is wrong is reported, and what comes back is then of no use. */
  readonly canonical: (tree: Tree, path: Path, reading: Reading) => Tree;
  /** One canonical value over another; the later one counts where nothing else is said. */
  readonly merged?: (base: Tree, over: Tree) => Tree;
  /** Carries the type; never there. */
  readonly value?: T;
}

/** The type of the values of a form. */
export type ValueOf<F> = F extends Form<infer T> ? T : never;

/** The canonical form of a value with the tags that it has for merging. */
export function canonical(form: Form<unknown>, tree: Tree, path: Path, reading: Reading): Tree {
  if (tree.tag === 'reset') return tree;
  const result = form.canonical(tree, path, reading);
  return tree.tag === undefined ? result : { ...result, tag: tree.tag };
}

/** One canonical value over another; undefined where the later one takes the first away. */
export function merged(form: Form<unknown>, base: Tree | undefined, over: Tree): Tree | undefined {
  if (over.tag === 'reset') return undefined;
  if (over.tag === 'override' || base === undefined || form.merged === undefined) return settled(over);
  return form.merged(base, over);
}

/** A tree without what is tagged as taken away, as there is nothing below it. */
export function settled(tree: Tree): Tree {
  const { tag, ...rest } = tree;
  const bare: Tree = tag === undefined ? tree : rest;
  if (bare.kind === 'scalar') return bare;
  if (bare.kind === 'sequence') return { ...bare, items: bare.items.filter((one) => one.tag !== 'reset').map(settled) };
  const entries = entriesOf(bare).filter(([, value]) => value.tag !== 'reset');
  return { ...bare, entries: new Map(entries.map(([name, value]) => [name, settled(value)])) };
}

/** A canonical value as its type; the form itself is asked whether it is one. */
export function valueOf<T>(form: Form<T>, tree: Tree, reading: Reading): T {
  const value = plainValue(tree);
  const problems = new Problems();
  const again = form.canonical(tree, [], { ...reading, problems });
  if (problems.isEmpty && holds(form, value, again)) return value;
  throw new Error('a value of a compose file has not been made canonical');
}

function holds<T>(_: Form<T>, value: unknown, again: Tree): value is T {
  return isDeepStrictEqual(value, plainValue(again));
}

type Fields = Readonly<Record<string, Form<unknown>>>;
type Required<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };
type Optional<F extends Fields> = { readonly [K in keyof F]?: ValueOf<F[K]> };

/** A mapping with known names, of which some must be there; those that begin with `x-` are left out. */
export function object<R extends Fields, O extends Fields>(
  required: R,
  optional: O,
  mustBe = 'a mapping',
): Form<Required<R> & Optional<O>> {
  const fields: Fields = { ...required, ...optional };
  const fieldOf = (name: string) => (Object.hasOwn(fields, name) ? fields[name] : undefined);
  return {
    canonical: (tree, path, reading) => {
      const { problems } = reading;
      if (tree.kind !== 'mapping') return wrong(tree, path, reading, `must be ${mustBe}`);
      for (const name of Object.keys(required)) {
        if (!tree.entries.has(name)) problems.report(tree.place, path, `must have ${name}`);
      }
      const entries = entriesOf(tree).flatMap(([name, value]): (readonly [string, Tree])[] => {
        if (name.startsWith('x-')) return [];
        const field = fieldOf(name);
        if (field !== undefined) return [[name, canonical(field, value, [...path, name], reading)]];
        problems.report(value.place, [...path, name], notKnown(name, Object.keys(fields)));
        return [];
      });
      return { ...tree, entries: new Map(entries) };
    },
    merged: (base, over) => mergedEntries(fieldOf, base, over),
  };
}

/** A mapping with free names, whose values are of one form. */
export function mapOf<T>(
  item: Form<T>,
  mustBe = 'a mapping',
  isName: (name: string) => boolean = () => true,
): Form<Readonly<Record<string, T>>> {
  return {
    canonical: (tree, path, reading) => {
      if (tree.kind !== 'mapping') return wrong(tree, path, reading, `must be ${mustBe}`);
      const entries = entriesOf(tree).map(([name, value]) => {
        const at = [...path, name];
        if (!isName(name)) reading.problems.report(value.place, at, 'has a name that it cannot have');
        return [name, canonical(item, value, at, reading)] as const;
      });
      return { ...tree, entries: new Map(entries) };
    },
    merged: (base, over) => mergedEntries(() => item, base, over),
  };
}

function mergedEntries(formOf: (name: string) => Form<unknown> | undefined, base: Tree, over: Tree): Tree {
  if (base.kind !== 'mapping' || over.kind !== 'mapping') return over;
  const entries = new Map(base.entries);
  for (const [name, value] of over.entries) {
    const result = merged(formOf(name) ?? anything, base.entries.get(name), value);
    if (result === undefined) entries.delete(name);
    else entries.set(name, result);
  }
  return { ...over, entries };
}

/**
 * A list whose items are of one form. Merged lists are joined; of two items with the same identity the later one counts, or is merged over
 * the earlier one.
 */
export function listOf<T>(
  item: Form<T>,
  options: {
    readonly mustBe?: string;
    readonly identity?: (item: Tree) => string;
    readonly mergesItems?: boolean;
  } = {},
): Form<readonly T[]> {
  const { mustBe = 'a list', identity, mergesItems = false } = options;
  const merge = (base: Tree, over: Tree) => (mergesItems ? (item.merged?.(base, over) ?? over) : over);
  return {
    canonical: (tree, path, reading) => {
      if (tree.kind !== 'sequence') return wrong(tree, path, reading, `must be ${mustBe}`);
      const items = tree.items.map((one, index) => canonical(item, one, [...path, index], reading));
      return { ...tree, items: distinct(items, identity, merge) };
    },
    merged: (base, over) =>
      base.kind === 'sequence' && over.kind === 'sequence'
        ? { ...over, items: distinct([...base.items, ...over.items], identity, merge) }
        : over,
  };
}

function distinct(
  items: readonly Tree[],
  identity: ((item: Tree) => string) | undefined,
  merge: (base: Tree, over: Tree) => Tree,
): readonly Tree[] {
  if (identity === undefined) return items;
  const found = new Map<string, Tree>();
  for (const item of items) {
    const [name, before] = [identity(item), found.get(identity(item))];
    found.set(name, before === undefined ? item : merge(before, item));
  }
  return [...found.values()];
}

/** A form with other ways of writing it: what `longForm` makes of a value is what counts. */
export function also<T>(form: Form<T>, longForm: (tree: Tree, path: Path, reading: Reading) => Tree): Form<T> {
  return { ...form, canonical: (tree, path, reading) => form.canonical(longForm(tree, path, reading), path, reading) };
}

/** A form with a condition on top, asked for canonical values; what it returns is what is wrong. */
export function where<T>(form: Form<T>, problemOf: (tree: Tree) => string | undefined): Form<T> {
  return {
    ...form,
    canonical: (tree, path, reading) => {
      const result = form.canonical(tree, path, reading);
      const problem = result.tag === 'reset' ? undefined : problemOf(result);
      if (problem !== undefined) reading.problems.report(tree.place, path, problem);
      return result;
    },
  };
}

/** A form in which a later value takes the place of an earlier one as a whole. */
export function replaced<T>({ canonical: own }: Form<T>): Form<T> {
  return { canonical: own };
}

/** A form that may also be left empty, which is then an empty mapping. */
export function orEmpty<T>(form: Form<T>): Form<T> {
  return also(form, (tree) => (isNothing(tree) ? mapping([], tree.place) : tree));
}

/** Anything at all, as it is written. */
export const anything: Form<unknown> = {
  canonical: (tree) => (tree.kind === 'mapping' ? withoutExtensions(tree) : tree),
  merged: (base, over) => mergedEntries(() => anything, base, over),
};

function withoutExtensions(tree: Mapping): Mapping {
  return { ...tree, entries: new Map(entriesOf(tree).filter(([name]) => !name.startsWith('x-'))) };
}

/** Reports a value of a wrong kind and gives something harmless in its place. */
export function wrong(tree: Tree, path: Path, { problems }: Reading, message: string): Tree {
  const said = isNothing(tree) ? `${message}: nothing stands here` : message;
  problems.report(tree.place, path, said);
  return scalar(null, tree.place);
}
