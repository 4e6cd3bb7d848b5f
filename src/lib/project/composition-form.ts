import { also, anything, type Form, listOf, mapOf, object } from './form.js';
import { buildFields } from './build-form.js';
import type { Build, Composition, Service } from './composition.js';
import { oneOrMore, pairs, plainText, text } from './form-values.js';
import { localPath } from './local-path.js';
import { fileObject, isObjectName, network, topLevel, volume } from './network-form.js';
import { service, serviceFields, watchRule } from './service-form.js';
import { mapping, sequence, textOf } from './tree.js';

const include = object(
  { path: oneOrMore(localPath) },
  { project_directory: localPath, env_file: oneOrMore(localPath) },
  'a path, or a mapping with path',
);

/** A compose file. */
export const composeFile = object(
  {},
  {
    version: plainText(),
    name: text('a name of small letters, digits, _ and -', /^[a-z0-9][a-z0-9_-]*$/),
    include: listOf(
      also(include, (tree) =>
        textOf(tree) === undefined ? tree : mapping([['path', sequence([tree], tree.place)]], tree.place),
      ),
    ),
    services: mapOf(service, 'a mapping of services', isObjectName),
    networks: topLevel(network),
    volumes: topLevel(volume),
    secrets: topLevel(fileObject),
    configs: topLevel(fileObject),
    models: anything,
  },
  'a mapping with services',
);

const builtBy: Form<Build> = object({ context: text(), args: pairs, labels: pairs }, buildFields);

const finishedService: Form<Service> = object(
  { environment: pairs, labels: pairs },
  { ...serviceFields, build: builtBy, develop: object({ watch: listOf(watchRule) }, {}) },
);

/** What the files of a project come to, without the name and the folder. */
export const finished: Form<Omit<Composition, 'name' | 'folder'>> = object(
  {
    services: mapOf(finishedService),
    networks: topLevel(network),
    volumes: topLevel(volume),
    secrets: topLevel(fileObject),
    configs: topLevel(fileObject),
  },
  {},
);
