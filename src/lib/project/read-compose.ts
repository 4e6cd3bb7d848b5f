import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { composeFile } from './composition-form.js';
import { extendService } from './extend-services.js';
import { canonical, merged, settled } from './form.js';
import { interpolateTree } from './interpolate-tree.js';
import type { Variables } from './interpolation.js';
import { type FilesContext, parseNamedFile, readProjectFile, variablesUnder } from './project-files.js';
import { entryOf, mapping, type Mapping, textOf, type Tree, withEntry, withoutEntries } from './tree.js';
import { parseYamlTree } from './yaml-tree.js';

/** Files that make one model together, the later over the earlier. */
export interface ComposeModel {
  /** Absolute paths. */
  readonly files: readonly string[];
  /** Absolute path of the folder that relative paths start from. */
  readonly folder: string;
  readonly variables: Variables;
  /** Files whose inclusion has led here. */
  readonly includedBy?: readonly string[];
}

/**
 * Reads compose files into one canonical tree: each is interpolated and checked, what its services extend is put under them, the later
 * files are merged over the earlier ones, and what they include is put under all.
 */
export async function readComposeFiles(model: ComposeModel, context: FilesContext): Promise<Mapping> {
  let all: Tree = mapping([], { file: '', line: 1, column: 1 });
  for (const file of model.files) {
    all = merged(composeFile, all, await readFile(file, model, all, context)) ?? all;
  }
  const includes = entryOf(all, 'include');
  let result = all.kind === 'mapping' ? withoutEntries(all, 'include') : mapping([], all.place);
  for (const item of includes?.kind === 'sequence' ? includes.items : []) {
    const included = await readIncluded(item, model, context);
    const both = included && merged(composeFile, withoutEntries(included, 'name'), result);
    if (both?.kind === 'mapping') result = both;
  }
  return result;
}

/** One file, with its services standing on what they extend. */
async function readFile(
  file: string,
  { folder, variables }: ComposeModel,
  before: Tree,
  context: FilesContext,
): Promise<Tree> {
  const { problems, onUnset, shown, signal } = context;
  const text = await readProjectFile(file, signal);
  if (text === undefined) {
    throw new Failure('not-found', 'compose-file-not-found', `there is no compose file ${shown(file)}`, {
      hint: 'Name the project folder with --source, and compose files with --file relative to it',
    });
  }
  const raw = await parseYamlTree(text, shown(file), problems);
  const interpolated = interpolateTree(raw, [], { variables, problems, onUnset });
  const own = canonical(composeFile, interpolated, [], { folder, variables, problems });
  const services = entryOf(own, 'services');
  if (own.kind !== 'mapping' || services?.kind !== 'mapping') return own;
  const siblings = (name: string) => services.entries.get(name) ?? entryOf(entryOf(before, 'services'), name);
  const entries = new Map<string, Tree>();
  for (const [name, one] of services.entries) {
    entries.set(name, await extendService(one, ['services', name], { file, siblings }, variables, context));
  }
  return withEntry(own, 'services', { ...services, entries });
}

async function readIncluded(item: Tree, model: ComposeModel, context: FilesContext): Promise<Mapping | undefined> {
  const { problems, shown } = context;
  const at = ['include'];
  const files = textsOf(entryOf(item, 'path')) ?? [];
  const [first] = files;
  if (first === undefined) return undefined;
  const { includedBy = [] } = model;
  const above = [...includedBy, ...model.files];
  if (above.includes(first)) {
    problems.report(item.place, at, `leads back to ${shown(first)}`);
    return undefined;
  }
  // Whether they can be read at all is told at the place that names them.
  for (const file of files) if ((await parseNamedFile(file, item.place, at, context)) === undefined) return undefined;
  const folder = textOf(entryOf(item, 'project_directory')) ?? path.dirname(first);
  const named = textsOf(entryOf(item, 'env_file'));
  const variables = await variablesUnder(model.variables, { named, folder }, context, (file) => {
    problems.report(item.place, at, `names ${shown(file)}, which is not there`);
  });
  return settledMapping(await readComposeFiles({ files, folder, variables, includedBy: above }, context));
}

function settledMapping(tree: Mapping): Mapping {
  const result = settled(tree);
  return result.kind === 'mapping' ? result : tree;
}

function textsOf(tree: Tree | undefined): readonly string[] | undefined {
  return tree?.kind === 'sequence' ? tree.items.map((one) => textOf(one) ?? '') : undefined;
}
