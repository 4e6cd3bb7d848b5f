import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { canonical, listOf, mapOf, object, valueOf } from './form.js';
import { pairs, text } from './form-values.js';
import { type FilesContext, readProjectFile } from './project-files.js';
import { parseYamlTree } from './yaml-tree.js';

const secretForm = object(
  { source: text('a path below secrets', /./), dest: text('a path below /run/secrets', /^(?!\/)(?!.*\.\.).+/) },
  {},
);

const settingsForm = object(
  {},
  {
    'build-variables': object({}, { global: pairs, services: mapOf(pairs) }),
    'build-secrets': object({}, { global: listOf(secretForm), services: mapOf(listOf(secretForm)) }),
  },
);

/** What a project says in `.balena/balena.yml` for balena's builders, and for davit. */
export interface BalenaSettings {
  /** Build arguments of a service, which count over those of its compose file. */
  readonly buildVariables: (service: string) => Readonly<Record<string, string>>;
  /** Files by the path below `/run/secrets` at which the build of a service finds them. */
  readonly buildSecrets: (service: string) => ReadonlyMap<string, string>;
}

const folderNames = ['.balena', '.resin'];
const fileNames = ['balena', 'resin'].flatMap((name) => ['yml', 'yaml', 'json'].map((ending) => `${name}.${ending}`));

/** Reads a project's `.balena` folder, or `.resin`, as it was called before; without one there is nothing in the settings. */
export async function readBalenaSettings(folder: string, context: FilesContext): Promise<BalenaSettings> {
  const found = await existing(folderNames.map((name) => path.join(folder, name)));
  const [own, second] = found;
  if (second !== undefined) {
    throw new Failure('refused', 'balena-folder-twice', `${folder} has both .balena and .resin`, {
      hint: 'Keep .balena; .resin is its older name',
    });
  }
  const files = own === undefined ? [] : await existing(fileNames.map((name) => path.join(own, name)));
  const [file] = files;
  if (own === undefined || file === undefined) return { buildVariables: () => ({}), buildSecrets: () => new Map() };
  const { problems, shown, signal } = context;
  const source = (await readProjectFile(file, signal)) ?? '';
  const reading = { folder, variables: () => undefined, problems };
  const tree = canonical(settingsForm, await parseYamlTree(source, shown(file), problems), [], reading);
  problems.throwIfAny();
  const { 'build-variables': args = {}, 'build-secrets': secrets = {} } = valueOf(settingsForm, tree, reading);
  return {
    buildVariables: (service) => ({ ...args.global, ...args.services?.[service] }),
    buildSecrets: (service) =>
      new Map(
        [...(secrets.global ?? []), ...(secrets.services?.[service] ?? [])].map((secret) => [
          secret.dest,
          path.join(own, 'secrets', secret.source),
        ]),
      ),
  };
}

async function existing(names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    names.map((name) =>
      stat(name).then(
        () => true,
        () => false,
      ),
    ),
  );
  return names.filter((_, index) => found[index]);
}
