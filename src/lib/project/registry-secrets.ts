import path from 'node:path';
import type { RegistryLogins } from '../engine/pull-image.js';
import { Failure } from '../failure/failure.js';
import { folders } from '../platform/environment.js';
import { canonical, mapOf, object, valueOf } from './form.js';
import { text } from './form-values.js';
import { Problems } from './problems.js';
import { readProjectFile } from './project-files.js';
import { parseYamlTree } from './yaml-tree.js';

const form = mapOf(object({ username: text(), password: text() }, {}), 'a mapping of registries');

/**
 * Logins for registries: of the file that is named, otherwise of balena's `~/.balena/secrets.yml`, `.yaml` or `.json` if there is one. Each
 * registry has a `username` and a `password`; Docker Hub may be called by any of its names.
 */
export async function readRegistrySecrets(named: string | undefined, signal?: AbortSignal): Promise<RegistryLogins> {
  const usual = ['yml', 'yaml', 'json'].map((ending) => path.join(folders.home(), '.balena', `secrets.${ending}`));
  for (const file of named === undefined ? usual : [named]) {
    const source = await readProjectFile(file, signal);
    if (source === undefined) continue;
    const problems = new Problems();
    const reading = { folder: path.dirname(file), variables: () => undefined, problems };
    const tree = canonical(form, await parseYamlTree(source, file, problems), [], reading);
    problems.throwIfAny();
    const logins = Object.entries(valueOf(form, tree, reading));
    return Object.fromEntries(logins.map(([registry, login]) => [registryKey(registry), login]));
  }
  if (named === undefined) return {};
  throw new Failure('not-found', 'registry-secrets-not-found', `there is no file ${named}`, {
    hint: 'Name a file with usernames and passwords of registries with --registry-secrets',
  });
}

const dockerHub = 'https://index.docker.io/v1/';

function registryKey(written: string): string {
  const bare = written.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const isDockerHub = ['', 'docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'].includes(
    bare,
  );
  return isDockerHub ? dockerHub : bare;
}
