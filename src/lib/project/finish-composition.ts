import { checkReferences } from './check-references.js';
import { finished } from './composition-form.js';
import type { Composition, Place } from './composition.js';
import { finishService, itemsOf } from './finish-services.js';
import { valueOf } from './form.js';
import type { UnsetVariable } from './interpolate-tree.js';
import type { Variables } from './interpolation.js';
import type { FilesContext } from './project-files.js';
import { entriesOf, entryOf, mapping, type Mapping, placeIn, textOf, type Tree } from './tree.js';

/** What a model is finished with. */
export interface FinishOptions {
  readonly name: string;
  /** Absolute path of the project folder. */
  readonly folder: string;
  readonly variables: Variables;
  /** Profiles that are on; `*` is all. */
  readonly profiles: readonly string[];
}

/** A composition with all that is worth knowing about it. */
export interface FinishedComposition {
  readonly composition: Composition;
  readonly placeOf: (path: readonly (string | number)[]) => Place;
  /** Services that no active profile asks for, and their profiles. */
  readonly leftOut: ReadonlyMap<string, readonly string[]>;
  /** Variables of services that are asked for by name alone, and are empty as they have no value here. */
  readonly unset: readonly (UnsetVariable & { readonly service: string })[];
}

/** Makes a composition of what compose files say, once it is whole and nothing in it is wrong. */
export async function finishComposition(
  files: Mapping,
  { name, folder, variables, profiles }: FinishOptions,
  context: FilesContext,
): Promise<FinishedComposition> {
  const { problems } = context;
  // What follows takes for granted that everything has its form.
  problems.throwIfAny();
  const leftOut = new Map<string, readonly string[]>();
  const unset: (UnsetVariable & { service: string })[] = [];
  const services = new Map<string, Tree>();
  for (const [service, tree] of entriesOf(entryOf(files, 'services'))) {
    const own = itemsOf(entryOf(tree, 'profiles')).map((one) => textOf(one) ?? '');
    if (own.length > 0 && !profiles.includes('*') && !own.some((profile) => profiles.includes(profile))) {
      leftOut.set(service, own);
    } else if (tree.kind === 'mapping') {
      const valueMissing = (_: string, variable: Tree, missing: string) => {
        unset.push({ service, name: missing, place: variable.place });
      };
      services.set(service, await finishService(service, tree, { folder, variables, valueMissing }, context));
    }
  }
  if (services.size === 0) {
    const all = [...new Set([...leftOut.values()].flat())].join(' or ');
    const message = leftOut.size === 0 ? 'must have services' : `has services only in profiles: turn on ${all}`;
    problems.report(files.place, [], message);
  }
  const networks = new Map(entriesOf(entryOf(files, 'networks')));
  const usesDefault = [...services.values()].find(
    (tree) => entryOf(entryOf(tree, 'networks'), 'default') !== undefined,
  );
  if (usesDefault !== undefined && !networks.has('default')) networks.set('default', mapping([], usesDefault.place));
  const dropped = withoutOptional(services, leftOut);
  const sections = ['volumes', 'secrets', 'configs'].map((key) => {
    return [key, entryOf(files, key) ?? mapping([], files.place)] as const;
  });
  const model = mapping(
    [
      ['services', mapping(dropped, entryOf(files, 'services')?.place ?? files.place)],
      ['networks', mapping(networks, entryOf(files, 'networks')?.place ?? files.place)],
      ...sections,
    ],
    files.place,
  );
  checkReferences(model, { services: leftOut }, problems);
  problems.throwIfAny();
  const value = valueOf(finished, model, { folder, variables, problems });
  return { composition: { name, folder, ...value }, placeOf: (path) => placeIn(model, path), leftOut, unset };
}

/** Services without their dependencies on services that are left out and that they can do without. */
function withoutOptional(
  services: ReadonlyMap<string, Tree>,
  leftOut: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<string, Tree> {
  const result = new Map<string, Tree>();
  for (const [name, service] of services) {
    const depends = entryOf(service, 'depends_on');
    if (service.kind !== 'mapping' || depends?.kind !== 'mapping') {
      result.set(name, service);
      continue;
    }
    const kept = entriesOf(depends).filter(([other, tree]) => {
      const required = entryOf(tree, 'required');
      return !leftOut.has(other) || required?.kind !== 'scalar' || required.value === true;
    });
    result.set(name, {
      ...service,
      entries: new Map([...service.entries, ['depends_on', { ...depends, entries: new Map(kept) }]]),
    });
  }
  return result;
}
