import path from 'node:path';
import type { Path } from '../boot-config/problem.js';
import { canonical, merged, settled } from './form.js';
import { interpolateTree } from './interpolate-tree.js';
import type { Variables } from './interpolation.js';
import { parseNamedFile, type FilesContext } from './project-files.js';
import { service as serviceForm } from './service-form.js';
import { entryOf, textOf, type Tree, withoutEntries } from './tree.js';

/** Where a service that extends others stands. */
interface Standing {
  /** Absolute path of its file. */
  readonly file: string;
  /** The canonical services beside it. */
  readonly siblings: (name: string) => Tree | undefined;
  /** Services that have led here, each of which extends the next. */
  readonly chain: readonly string[];
}

/**
 * Puts a canonical service over what it extends, in its own file or in another one, and that over what it extends itself.
 *
 * @param variables those that other files are interpolated with
 */
export async function extendService(
  service: Tree,
  at: Path,
  standing: Omit<Standing, 'chain'>,
  variables: Variables,
  context: FilesContext,
): Promise<Tree> {
  const { problems, onUnset, shown } = context;

  const extended = async (one: Tree, way: Path, { file, siblings, chain }: Standing): Promise<Tree> => {
    const reference = entryOf(one, 'extends');
    const name = textOf(entryOf(reference, 'service'));
    if (one.kind !== 'mapping' || reference === undefined || name === undefined) return one;
    const own = withoutEntries(one, 'extends');
    const here = [...way, 'extends'];
    const otherFile = textOf(entryOf(reference, 'file')) ?? file;
    const link = `${otherFile}\0${name}`;
    if (chain.includes(link)) {
      problems.report(reference.place, here, `leads back to the service ${name}`);
      return own;
    }
    const others = otherFile === file ? siblings : await servicesOf(otherFile, reference, here);
    if (others === undefined) return own;
    const base = others(name);
    if (base === undefined) {
      const where = otherFile === file ? '' : ` of ${shown(otherFile)}`;
      problems.report(reference.place, here, `names the service ${name}${where}, which is not there`);
      return own;
    }
    const next = { file: otherFile, siblings: others, chain: [...chain, link] };
    const whole = settled(await extended(base, ['services', name], next));
    // Its own tag is about what it overrides in another file, not about what it stands on.
    const { tag, ...untagged } = own;
    const result = merged(serviceForm, whole, untagged) ?? own;
    return tag === undefined ? result : { ...result, tag };
  };

  /** The services of another file, each made canonical when it is asked for: mistakes in those that nothing extends do not matter. */
  const servicesOf = async (file: string, reference: Tree, way: Path) => {
    const raw = await parseNamedFile(file, reference.place, way, context);
    if (raw === undefined) return undefined;
    return (name: string) => {
      const found = entryOf(entryOf(raw, 'services'), name);
      if (found === undefined) return undefined;
      const within = ['services', name];
      const interpolated = interpolateTree(found, within, { variables, problems, onUnset });
      return canonical(serviceForm, interpolated, within, { folder: path.dirname(file), variables, problems });
    };
  };

  return extended(service, at, { ...standing, chain: [`${standing.file}\0${String(at.at(-1))}`] });
}
