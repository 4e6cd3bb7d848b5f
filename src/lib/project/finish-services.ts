import path from 'node:path';
import { parseEnvFile } from './env-file.js';
import type { Variables } from './interpolation.js';
import { type FilesContext, readProjectFile } from './project-files.js';
import {
  entriesOf,
  entryOf,
  isNothing,
  mapping,
  type Mapping,
  scalar,
  textOf,
  type Tree,
  withEntry,
  withoutEntries,
} from './tree.js';

/** A variable that a service asks for by its name alone, and that has no value here. */
export type ValueMissing = (service: string, variable: Tree, name: string) => void;

/**
 * A service as a composition has it: with what its `env_file` and `label_file` hold, on the default network if on no other, and with the
 * services that it needs among those that it depends on.
 */
export async function finishService(
  name: string,
  service: Mapping,
  { folder, variables, valueMissing }: { folder: string; variables: Variables; valueMissing: ValueMissing },
  context: FilesContext,
): Promise<Mapping> {
  const given = entriesOf(entryOf(service, 'environment'));
  const inFiles = await entriesOfFiles(service, 'env_file', variables, context);
  const environment = new Map(inFiles);
  for (const [variable, value] of given) {
    if (isNothing(value) && !environment.has(variable)) valueMissing(name, value, variable);
    if (!isNothing(value)) environment.set(variable, value);
    else if (!environment.has(variable)) environment.set(variable, scalar('', value.place));
  }
  const labels = new Map([
    ...(await entriesOfFiles(service, 'label_file', variables, context)),
    ...entriesOf(entryOf(service, 'labels')),
  ]);
  const at = (key: string) => entryOf(service, key)?.place ?? service.place;
  let result = withoutEntries(service, 'env_file', 'label_file');
  result = withEntry(result, 'environment', mapping(environment, at('environment')));
  result = withEntry(result, 'labels', mapping(labels, at('labels')));
  const build = entryOf(service, 'build');
  if (build?.kind === 'mapping') result = withEntry(result, 'build', finishedBuild(build, folder));
  const develop = entryOf(service, 'develop');
  if (develop?.kind === 'mapping' && entryOf(develop, 'watch') === undefined)
    result = withoutEntries(result, 'develop');
  const depends = dependencies(result);
  if (depends.size > 0) result = withEntry(result, 'depends_on', mapping(depends, at('depends_on')));
  const networks = entryOf(service, 'networks');
  const isOnOne = networks !== undefined && entriesOf(networks).length > 0;
  if (isOnOne || entryOf(service, 'network_mode') !== undefined || entryOf(service, 'provider') !== undefined) {
    return isOnOne ? result : withoutEntries(result, 'networks');
  }
  const place = at('networks');
  return withEntry(result, 'networks', mapping([['default', mapping([], place)]], place));
}

function finishedBuild(build: Mapping, folder: string): Mapping {
  const args = entriesOf(entryOf(build, 'args')).filter(([, value]) => !isNothing(value));
  const labels = entriesOf(entryOf(build, 'labels'));
  const context = entryOf(build, 'context') ?? scalar(folder, build.place);
  const rest = [...build.entries].filter(([key]) => !['context', 'args', 'labels'].includes(key));
  return mapping(
    [
      ['context', context],
      ['args', mapping(args, entryOf(build, 'args')?.place ?? build.place)],
      ['labels', mapping(labels, entryOf(build, 'labels')?.place ?? build.place)],
      ...rest,
    ],
    build.place,
  );
}

/** What a service depends on, whether it says so or shares something with another that has to be there first. */
function dependencies(service: Mapping): ReadonlyMap<string, Tree> {
  const found = new Map(entriesOf(entryOf(service, 'depends_on')));
  const add = (name: string | undefined, { place }: Tree, restart: boolean) => {
    if (name === undefined || name === '' || found.has(name)) return;
    const word = (value: string | boolean) => scalar(value, place);
    const entries = { condition: word('service_started'), restart: word(restart), required: word(true) };
    found.set(name, mapping(Object.entries(entries), place));
  };
  for (const link of itemsOf(entryOf(service, 'links'))) add(textOf(link)?.split(':')[0], link, true);
  for (const key of ['network_mode', 'ipc', 'pid', 'uts', 'cgroup']) {
    const shared = entryOf(service, key);
    if (shared !== undefined) add(/^service:(.+)$/.exec(textOf(shared) ?? '')?.[1], shared, true);
  }
  for (const from of itemsOf(entryOf(service, 'volumes_from'))) {
    const text = textOf(from) ?? '';
    if (!text.startsWith('container:')) add(text.split(':')[0], from, false);
  }
  return found;
}

/** The items of a list; none of anything else. */
export function itemsOf(tree: Tree | undefined): readonly Tree[] {
  return tree?.kind === 'sequence' ? tree.items : [];
}

/** What stands in the files that a service names, each with its place there; the later file counts. */
async function entriesOfFiles(
  service: Mapping,
  key: 'env_file' | 'label_file',
  variables: Variables,
  { problems, shown, signal }: FilesContext,
): Promise<readonly (readonly [string, Tree])[]> {
  const found = new Map<string, Tree>();
  for (const item of itemsOf(entryOf(service, key))) {
    const file = textOf(item) ?? textOf(entryOf(item, 'path')) ?? '';
    const required = entryOf(item, 'required');
    const text = await readProjectFile(file, signal);
    if (text === undefined) {
      const isRequired = required?.kind !== 'scalar' || required.value !== false;
      if (isRequired) problems.report(item.place, [key], `names ${shown(file)}, which is not there`);
      continue;
    }
    const name = shown(file);
    if (textOf(entryOf(item, 'format')) === 'raw') {
      for (const [variable, value] of rawLines(text, name)) found.set(variable, value);
      continue;
    }
    const known = (variable: string) => variables(variable) ?? textOf(found.get(variable));
    for (const [variable, { value, line }] of parseEnvFile(text, name, known, problems)) {
      found.set(variable, scalar(value, { file: name, line, column: 1 }));
    }
  }
  return [...found];
}

/** The lines of a file of the format `raw`: what stands behind the equals sign is the value, whatever it is. */
function rawLines(text: string, file: string): readonly (readonly [string, Tree])[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const [, name, value] = /^\s*([^#=\s][^=\s]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    return [[name, scalar(value, { file, line: index + 1, column: 1 })] as const];
  });
}

/** The folder of a project as its name: small letters, digits, `_` and `-`. */
export function projectName(folder: string): string {
  const name = path
    .basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
  return name === '' ? 'project' : name;
}
