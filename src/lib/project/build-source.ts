import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { exactEnvironmentVariable } from '../platform/environment.js';
import { readUserFile } from '../platform/read-user-file.js';
import type { Build } from './composition.js';
import { fillTemplate, type TemplateValues } from './dockerfile-template.js';
import { alsoIgnoring, gitIgnored } from './git-ignored.js';
import { type IgnoreRules, parseIgnoreRules } from './ignore-rules.js';
import { isRemoteContext } from './local-path.js';
import type { Project } from './project.js';
import { readProjectFile } from './project-files.js';

/** What the image of one service is built from, for one kind of device. */
export interface BuildSource {
  /** Absolute path of the build context. */
  readonly folder: string;
  readonly dockerfile: {
    /** The file it comes from, relative to the folder: `Dockerfile.template`. */
    readonly source: string;
    /** Where the engine finds it in the build context: `Dockerfile`. */
    readonly path: string;
    /** Its text, with variables filled in. */
    readonly text: string;
    /** Whether the file at `path` on disk is not what is to be built. */
    readonly isDerived: boolean;
  };
  readonly rules: IgnoreRules;
  readonly hasDockerignore: boolean;
  /** Files that the engine needs to see even when the rules ignore them. */
  readonly alwaysIncluded: readonly string[];
  readonly convertsLineEnds: boolean;
  /** Contents of secrets by the path below `/run/secrets` at which the build's steps find them. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
}

/**
 * Reads what a service is built from: its Dockerfile for the device (`Dockerfile.<device type>` before `Dockerfile.<architecture>`
 * before `Dockerfile.template` before `Dockerfile`), the ignore rules of its folder, and its secrets. Undefined for a service that is
 * not built.
 */
export async function readBuildSource(
  project: Project,
  values: TemplateValues,
  signal?: AbortSignal,
): Promise<BuildSource | undefined> {
  const build = project.composition.services[values.service]?.build;
  if (build === undefined) return undefined;
  const folder = build.context;
  if (isRemoteContext(folder)) {
    const message = `${values.service} is built from ${folder}, and davit sends folders of this computer`;
    throw new Failure('refused', 'remote-build-context', message, {
      hint: 'Clone it, and name the folder as the context',
    });
  }
  const dockerfile = await readDockerfile(build, values, signal);
  const ignoreFile = await firstThere(folder, [`${dockerfile.path}.dockerignore`, '.dockerignore'], signal);
  const rules = parseIgnoreRules(ignoreFile?.text ?? '', ignoreFile?.name ?? '.dockerignore');
  const isOwn = ignoreFile?.name === '.dockerignore';
  return {
    folder,
    dockerfile,
    rules: project.usesGitignore ? alsoIgnoring(rules, await gitIgnored(folder, signal)) : rules,
    hasDockerignore: isOwn,
    alwaysIncluded: [...(dockerfile.isDerived ? [] : [dockerfile.path]), ...(isOwn ? ['.dockerignore'] : [])],
    convertsLineEnds: project.convertsLineEnds,
    secrets: await readSecrets(project.buildSecrets(values.service), values.service),
  };
}

/** What a Dockerfile is called in the context when it lies outside of it. */
const foreignName = '.dockerfile.davit';

async function readDockerfile(
  build: Build,
  values: TemplateValues,
  signal: AbortSignal | undefined,
): Promise<BuildSource['dockerfile']> {
  const { context: folder, dockerfile = 'Dockerfile', dockerfile_inline: inline } = build;
  if (inline !== undefined) return { source: 'dockerfile_inline', path: 'Dockerfile', text: inline, isDerived: true };
  const base = path.relative(folder, path.resolve(folder, dockerfile)).split(path.sep).join('/');
  const isOutside = base.startsWith('../') || path.isAbsolute(base);
  const candidates = dockerfileCandidates(base, values);
  const found = await firstThere(folder, candidates, signal);
  if (found === undefined) throw noDockerfile(folder, candidates.join(', no '));
  const isVariant = found.name !== base;
  return {
    source: found.name,
    path: isOutside ? foreignName : base,
    text: isVariant ? fillTemplate(found.text, values, found.name) : found.text,
    isDerived: isVariant || isOutside,
  };
}

function dockerfileCandidates(base: string, { deviceType, architecture }: TemplateValues): readonly string[] {
  const suffixes = [deviceType, architecture, 'template'].filter((suffix) => suffix !== undefined);
  return [...suffixes.map((suffix) => `${base}.${suffix}`), base];
}

async function firstThere(folder: string, names: readonly string[], signal: AbortSignal | undefined) {
  for (const name of names) {
    const text = await readProjectFile(path.join(folder, name), signal);
    if (text !== undefined) return { name, text };
  }
  return undefined;
}

/** Where the contents of a secret are. */
export type SecretSource = { readonly file: string } | { readonly variable: string };

async function readSecrets(
  sources: ReadonlyMap<string, SecretSource>,
  service: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  for (const [name, source] of sources) {
    if ('file' in source) {
      const { bytes } = await readUserFile(source.file, {
        what: `the build secret ${name} of ${service} from`,
        hint: 'Build secrets of .balena/balena.yml are files in .balena/secrets',
      });
      contents.set(name, bytes);
      continue;
    }
    const value = exactEnvironmentVariable(source.variable);
    if (value === undefined) {
      const message = `the build secret ${name} of ${service} is the variable ${source.variable}, which is not set`;
      throw new Failure('usage', 'build-secret-unset', message, { hint: `Set ${source.variable} before davit starts` });
    }
    contents.set(name, Buffer.from(value));
  }
  return contents;
}

/** The failure of a folder in which no Dockerfile of these names is. */
export function noDockerfile(folder: string, names: string): Failure {
  return new Failure('not-found', 'dockerfile-not-found', `${folder} has no ${names}`, {
    hint: 'Name the project folder with --source, and compose files or one Dockerfile with --file',
  });
}

/** A path relative to a folder, with forward slashes; refuses one that is not inside. */
export function insideFolder(folder: string, file: string): string {
  const relative = path.relative(folder, path.resolve(folder, file));
  if (relative === '' || relative.startsWith('..') || path.isAbsolute(relative)) {
    throw new Failure('usage', 'dockerfile-outside', `${file} is not a file inside ${folder}`);
  }
  return relative.split(path.sep).join('/');
}
