import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure, type FailureProblem } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { environmentVariable, folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { unknownConfigKeys } from './config-check.js';
import { type Path, placed, type Problem, problemLine } from './problem.js';
import { resolveReferences } from './profile-references.js';
import { profileRequest } from './profile-request.js';
import { type Profile, profileShape } from './profile-shape.js';
import { isSecretKey } from './secret-names.js';
import { fits } from './shape.js';
import { unitFieldsIn } from './unit-fields.js';
import { parseYaml, type YamlText } from './yaml-text.js';

/** How a profile is read. */
export interface ReadProfileOptions {
  readonly signal?: AbortSignal;
  /** Asks for a secret. Left out, values that have to be asked for stay open, and the parts that need them are not read. */
  readonly prompt?: (message: string) => Promise<string>;
}

/** A profile, checked, with everything that it refers to. */
export interface ReadProfile {
  readonly request: BootConfigurationRequest;
  /** Keys that it has. */
  readonly keys: readonly string[];
  readonly networks: readonly string[];
  /** Fields that only a unit of a batch has values for. */
  readonly unitFields: readonly string[];
  /** Values that were left open, because they have to be asked for. */
  readonly open: readonly Path[];
}

/**
 * Reads a profile file and what it refers to, and turns it into a request. All mistakes are told at once, each with file, line and
 * column, before any question is asked; no message quotes a value, which may be a secret.
 */
export async function readProfile(file: string, options: ReadProfileOptions = {}): Promise<ReadProfile> {
  const { text, isReadByOthers } = await readText(file, options);
  const yaml = await parseYaml(text);
  if (!('locate' in yaml)) {
    throw invalidProfile(yaml.map(({ problem, ...place }) => ({ file, ...place, pointer: '', message: problem })));
  }
  const parts = { file, yaml, read: readerBeside(file, options) };
  const withoutAnswers = await readParts(parts, undefined);
  const isAsked = options.prompt !== undefined && withoutAnswers.open.length > 0;
  const { profile, request, open } = isAsked ? await readParts(parts, options.prompt) : withoutAnswers;
  const warnings = placesOf(file, yaml, [
    ...unknownConfigKeys(profile.config ?? {}).map((problem) => ({ ...problem, path: ['config', ...problem.path] })),
    ...(isReadByOthers ? plainSecrets(yaml.value) : []),
  ]).map(problemLine);
  return {
    request: warnings.length === 0 ? request : { ...request, warnings },
    keys: isRecord(yaml.value) ? Object.keys(yaml.value) : [],
    networks: Object.keys(isRecord(yaml.value) && isRecord(yaml.value.networks) ? yaml.value.networks : {}),
    unitFields: unitFieldsIn(profile.hostname ?? ''),
    open,
  };
}

async function readText(
  file: string,
  { signal }: ReadProfileOptions,
): Promise<{ readonly text: string; readonly isReadByOthers: boolean }> {
  try {
    const bytes = await readFile(file, { signal });
    const { mode } = await stat(file);
    // Windows has no such modes and reports one that lets everybody read.
    const isReadByOthers = process.platform !== 'win32' && (mode & 0o044) !== 0;
    return { text: decode(bytes, file), isReadByOthers };
  } catch (error) {
    throw whileDoing(`reading the profile ${file}`, error);
  }
}

function decode(bytes: Buffer, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalidProfile([{ file, pointer: '', message: 'it is not UTF-8 text' }]);
  }
}

/** Resolves the references, checks the result, and reads the files it names; what stays open, with what depends on it, is taken out. */
async function readParts(
  {
    file,
    yaml,
    read,
  }: { readonly file: string; readonly yaml: YamlText; readonly read: (name: string) => Promise<Buffer> },
  prompt: ReadProfileOptions['prompt'],
): Promise<{ readonly profile: Profile; readonly request: BootConfigurationRequest; readonly open: readonly Path[] }> {
  const { value, problems, open, confidential } = await resolveReferences(yaml.value ?? {}, {
    variable: environmentVariable,
    file: async (name) => String(await read(name)),
    ...(prompt === undefined ? {} : { prompt }),
  });
  const isOpen = (problem: Problem) => open.some((place) => place.every((part, index) => problem.path[index] === part));
  const found = [...problems, ...profileShape.problems(value, []).filter((problem) => !isOpen(problem))];
  // What is good is read on, so that mistakes in files are told together with those in the profile.
  const profile = withoutParts(value, [...open, ...found.map((problem) => problem.path)]);
  if (!fits(profileShape, profile)) throw invalidProfile(placesOf(file, yaml, found));
  const { request, problems: more } = await profileRequest(profile, (name) => {
    if (!confidential.has(name)) return read(name);
    throw new Failure(
      'usage',
      'invalid-profile',
      'the path of a file must stand here, not what a file holds or an answer',
      {
        hint: 'Write the path itself, without file: or prompt:',
      },
    );
  });
  const all = [...found, ...more];
  if (all.length > 0) throw invalidProfile(placesOf(file, yaml, all));
  return { profile, request, open };
}

/** A profile without the networks, and the other keys, that some places are in. */
function withoutParts(value: unknown, places: readonly Path[]): unknown {
  if (!isRecord(value)) return value;
  const isOpen = (...part: string[]) => places.some((one) => part.every((key, index) => String(one[index]) === key));
  const { networks } = value;
  const kept = Object.entries(isRecord(networks) ? networks : {}).filter(([name]) => !isOpen('networks', name));
  return Object.fromEntries([
    ...Object.entries(value).filter(([key]) => key !== 'networks' && !isOpen(key)),
    ...(isRecord(networks) ? [['networks', Object.fromEntries(kept)] as const] : []),
  ]);
}

/** Secrets that stand in the profile itself. */
function plainSecrets(value: unknown, place: Path = []): Problem[] {
  if (Array.isArray(value)) return value.flatMap((one: unknown, index) => plainSecrets(one, [...place, index]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, one]) => {
    const path = [...place, key];
    if (place.length === 0 && !['networks', 'proxy', 'config'].includes(key)) return [];
    if (typeof one !== 'string' || !isSecretKey(key) || one.includes('${')) return plainSecrets(one, path);
    return [
      {
        path,
        message:
          'is a secret in plain text, and others may read this file: use ${NAME}, file: or prompt:, or chmod 600',
      },
    ];
  });
}

/** Reads the files that a profile names: beside it, unless their path is absolute or in the home folder. Each is read once, as it may be a pipe. */
function readerBeside(file: string, { signal }: ReadProfileOptions): (name: string) => Promise<Buffer> {
  const contents = new Map<string, Promise<Buffer>>();
  const pathOf = (name: string) => {
    if (name.startsWith('~/')) return path.join(folders.home(), name.slice(2));
    return path.isAbsolute(name) ? name : path.join(path.dirname(file), name);
  };
  const readNow = async (name: string) => {
    try {
      return await readFile(name, { signal });
    } catch (error) {
      throw whileDoing(`reading ${name}`, error);
    }
  };
  return (name) => {
    const content = contents.get(name) ?? readNow(pathOf(name));
    contents.set(name, content);
    return content;
  };
}

/** The problems in the order of their places. */
function placesOf(file: string, { locate }: YamlText, problems: readonly Problem[]): FailureProblem[] {
  return problems
    .map((problem) => ({ problem, place: locate(problem.path) }))
    .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
    .map(({ problem, place }) => placed(problem, file, place));
}

function invalidProfile(problems: readonly FailureProblem[]): Failure {
  return new Failure('usage', 'invalid-profile', problems.map(problemLine).join('\n'), {
    hint: 'Correct the profile at these places; docs/profile.md describes it',
    problems,
  });
}
