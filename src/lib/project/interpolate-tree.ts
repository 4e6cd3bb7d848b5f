import type { Path } from '../boot-config/problem.js';
import type { Place } from './composition.js';
import { interpolate, InterpolationProblem, type Variables } from './interpolation.js';
import type { Problems } from './problems.js';
import { entriesOf, type Tree } from './tree.js';

/** A variable that is not set, and has become empty text because nothing stands in for it. */
export interface UnsetVariable {
  readonly name: string;
  readonly place: Place;
}

/** What goes with the interpolation of a file. */
export interface InterpolationOptions {
  readonly variables: Variables;
  readonly problems: Problems;
  readonly onUnset: (variable: UnsetVariable) => void;
}

/** Interpolates every text of a tree, but for names and for what stands below a name that begins with `x-`. */
export function interpolateTree(tree: Tree, path: Path, options: InterpolationOptions): Tree {
  const { variables, problems, onUnset } = options;
  // What an anchor stands for is looked at once, however often it is used.
  const known = new Map<Tree, Tree>();
  const interpolated = (one: Tree, at: Path): Tree => {
    const before = known.get(one);
    if (before !== undefined) return before;
    const result = fresh(one, at);
    known.set(one, result);
    return result;
  };
  const fresh = (one: Tree, at: Path): Tree => {
    if (one.kind === 'sequence') {
      return { ...one, items: one.items.map((item, index) => interpolated(item, [...at, index])) };
    }
    if (one.kind === 'mapping') {
      const entries = entriesOf(one).map(([name, value]) => {
        return [name, name.startsWith('x-') ? value : interpolated(value, [...at, name])] as const;
      });
      return { ...one, entries: new Map(entries) };
    }
    if (typeof one.value !== 'string' || !one.value.includes('$')) return one;
    try {
      const { text, unset } = interpolate(one.value, variables);
      for (const name of unset) onUnset({ name, place: one.place });
      return { ...one, value: text };
    } catch (error) {
      if (!(error instanceof InterpolationProblem)) throw error;
      problems.report(one.place, at, error.message);
      return { ...one, value: '' };
    }
  };
  return interpolated(tree, path);
}
