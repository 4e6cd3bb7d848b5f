import type { Place } from './composition.js';

/**
 * A value of a project's files with the place of everything in it, so that what is wrong can be shown where it was written even after
 * files have been merged. Trees are never changed; what several values refer to is shared.
 */
export type Tree = Scalar | Sequence | Mapping;

interface Node {
  readonly place: Place;
  /** `!reset` takes away what is overridden, `!override` replaces it where it would have been merged. */
  readonly tag?: 'reset' | 'override' | undefined;
}

/** Text, a number, true, false or nothing. */
export interface Scalar extends Node {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** How a number was written, where that tells more than the number: `1.10`, `0640`. */
  readonly source?: string | undefined;
}

/** A list. */
export interface Sequence extends Node {
  readonly kind: 'sequence';
  readonly items: readonly Tree[];
}

/** Values by name; the place of each is that of its name. */
export interface Mapping extends Node {
  readonly kind: 'mapping';
  readonly entries: ReadonlyMap<string, Tree>;
}

export function scalar(value: Scalar['value'], place: Place): Scalar {
  return { kind: 'scalar', value, place };
}

export function sequence(items: readonly Tree[], place: Place): Sequence {
  return { kind: 'sequence', items, place };
}

export function mapping(entries: Iterable<readonly [string, Tree]>, place: Place): Mapping {
  return { kind: 'mapping', entries: new Map(entries), place };
}

/** The value under a name, or undefined where the tree is not a mapping or has none. */
export function entryOf(tree: Tree | undefined, name: string): Tree | undefined {
  return tree?.kind === 'mapping' ? tree.entries.get(name) : undefined;
}

/** The entries of a mapping; none of anything else. */
export function entriesOf(tree: Tree | undefined): readonly (readonly [string, Tree])[] {
  return tree?.kind === 'mapping' ? [...tree.entries] : [];
}

/** The text that a tree is, or undefined where it is something else. */
export function textOf(tree: Tree | undefined): string | undefined {
  return tree?.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : undefined;
}

/** Whether a tree says nothing: a name with nothing behind it. */
export function isNothing(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.value === null;
}

/** A mapping with one more entry, or another in its place. */
export function withEntry(tree: Mapping, name: string, value: Tree): Mapping {
  return { ...tree, entries: new Map([...tree.entries, [name, value]]) };
}

/** A mapping without some entries. */
export function withoutEntries(tree: Mapping, ...names: readonly string[]): Mapping {
  return { ...tree, entries: new Map([...tree.entries].filter(([name]) => !names.includes(name))) };
}

/** The tree as a plain value. */
export function plainValue(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'sequence') return tree.items.map(plainValue);
  return Object.fromEntries(Array.from(tree.entries, ([name, value]) => [name, plainValue(value)]));
}

/** The place of what a path leads to, or of the last thing on the way that is there. */
export function placeIn(tree: Tree, path: readonly (string | number)[]): Place {
  const [first, ...rest] = path;
  if (first === undefined) return tree.place;
  const next = tree.kind === 'sequence' ? tree.items[Number(first)] : entryOf(tree, String(first));
  return next === undefined ? tree.place : placeIn(next, rest);
}
