import path from 'node:path';
import { Failure, type FailureProblem } from '../failure/failure.js';
import { environmentVariable, folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';
import { readUserFile, type UserFile } from '../platform/read-user-file.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { unknownConfigKeys } from './config-check.js';
import { type Path, placed, type Problem, problemLine } from './problem.js';
import { resolveReferences } from './profile-references.js';
import { profileRequest } from './profile-request.js';
import { type Profile, profileShape } from './profile-shape.js';
import { isSecretKey } from './secret-names.js';
import { KeyFetcher } from './key-fetcher.js';
import { keySourceIn } from './key-source.js';
import { fits } from './shape.js';
import { unitFieldsIn } from './unit-fields.js';
import { parseYaml, type YamlText } from './yaml-text.js';

/** A profile, checked, with everything that it refers to. */
export interface ReadProfile {
  /** What it asks for, without the parts that need answers. */
  readonly request: BootConfigurationRequest;
  /** Keys that it has. */
  readonly keys: readonly string[];
  readonly networks: readonly string[];
  /** Fields that only a unit of a batch has values for. */
  readonly unitFields: readonly string[];
  /** Values that were left open, because they have to be asked for. */
  readonly open: readonly Path[];
  /** The questions for them. */
  readonly questions: readonly string[];
  /** SSH keys that are fetched from where somebody has published them: `github:alice`. */
  readonly fetches: readonly string[];
  /** Gives the request with the answers, where there are questions. */
  readonly ask?: (prompt: Prompt) => Promise<BootConfigurationRequest>;
}

/** Asks for a secret. */
type Prompt = (message: string) => Promise<string>;

const mebibyte = 1024 * 1024;

/** What a profile may have: the YAML parser takes some hundred times as much memory. */
const mostProfileBytes = mebibyte / 4;

/** Mistakes that are told; who has made more will not mend them one by one. */
const mostProblems = 50;

/** What a file for the boot partition may have; larger than any boot partition that balenaOS has. */
const mostFileBytes = 256 * mebibyte;

/** How a profile is read. */
interface ReadProfileOptions {
  readonly signal?: AbortSignal;
  /** Whether what it names in the network is left out, instead of being fetched. */
  readonly isOffline?: boolean;
}

/**
 * Reads a profile file and what it refers to, and turns it into a request. All mistakes are told at once, each with file, line and
 * column, before any question is asked; no message quotes a value, which may be a secret.
 */
export async function readProfile(file: string, options: ReadProfileOptions = {}): Promise<ReadProfile> {
  const content = await readUserFile(file, { what: 'the profile', most: mostProfileBytes, signal: options.signal });
  return readProfileText(file, content, options);
}

/**
 * The same for a profile whose file was read already; or for one network, where a name for it is given: the text is a profile with this
 * network or only one, or just what a profile has for one.
 */
export async function readProfileText(
  file: string,
  { bytes, isReadByOthers }: UserFile,
  options: ReadProfileOptions & { readonly network?: string } = {},
): Promise<ReadProfile> {
  const { signal, network, isOffline = false } = options;
  const parsed = await parseYaml(decode(bytes, file));
  if (!('locate' in parsed)) {
    throw invalidProfile(parsed.map(({ problem, ...place }) => ({ file, ...place, pointer: '', message: problem })));
  }
  const yaml = network === undefined ? parsed : oneNetwork(file, parsed, network);
  const files = new FilesBeside(file, signal);
  const keyFetcher = new KeyFetcher(signal);
  const parts = { file, yaml, files, fetchKeys: isOffline ? undefined : keyFetcher.fetch };
  const { profile, request, open, questions } = await readParts(parts, undefined);
  const doubts = placesOf(file, yaml, [
    ...unknownConfigKeys(profile.config ?? {}).map((problem) => ({ ...problem, path: ['config', ...problem.path] })),
    ...(isReadByOthers ? plainSecrets(yaml.value) : []),
    ...files.openSecrets(yaml.value),
  ]);
  const warnings = [...problemLines(doubts), ...keyFetcher.notes];
  const withWarnings = (one: BootConfigurationRequest) => (warnings.length === 0 ? one : { ...one, warnings });
  return {
    request: withWarnings(request),
    keys: isRecord(yaml.value) ? Object.keys(yaml.value) : [],
    networks: Object.keys(isRecord(yaml.value) && isRecord(yaml.value.networks) ? yaml.value.networks : {}),
    unitFields: unitFieldsIn(profile.hostname ?? ''),
    open,
    questions,
    fetches: (profile.sshKeys ?? []).filter((word) => keySourceIn(word) !== undefined),
    ...(questions.length === 0
      ? {}
      : { ask: async (prompt: Prompt) => withWarnings((await readParts(parts, prompt)).request) }),
  };
}

/** A text as the profile with one network that it stands for. */
function oneNetwork(file: string, yaml: YamlText, name: string): YamlText {
  const { value, locate } = yaml;
  const asProfile = (network: unknown, at: Path): YamlText => ({
    value: { networks: { [name]: network } },
    locate: (path) => locate([...at, ...path.slice(2)]),
  });
  if (!isRecord(value) || !isRecord(value.networks)) return asProfile(value, []);
  const others = Object.keys(value).filter((key) => key !== 'networks');
  const names = Object.keys(value.networks);
  const own = names.length === 1 ? names[0] : names.find((one) => one === name);
  const problems = [
    ...others.map((key) => ({ path: [key], message: 'is no network: davit os configure takes whole profiles' })),
    ...(own === undefined ? [{ path: ['networks'], message: `has none named ${name}, and not just one` }] : []),
  ];
  if (own === undefined || problems.length > 0) throw invalidProfile(placesOf(file, yaml, problems));
  return asProfile(value.networks[own], ['networks', own]);
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
    files,
    fetchKeys,
  }: {
    readonly file: string;
    readonly yaml: YamlText;
    readonly files: FilesBeside;
    readonly fetchKeys: KeyFetcher['fetch'] | undefined;
  },
  prompt: Prompt | undefined,
): Promise<{
  readonly profile: Profile;
  readonly request: BootConfigurationRequest;
  readonly open: readonly Path[];
  readonly questions: readonly string[];
}> {
  const { value, problems, open, questions, confidential } = await resolveReferences(yaml.value ?? {}, {
    variable: environmentVariable,
    file: async (name, place) => String(await files.read(name, { most: mebibyte, place })),
    ...(prompt === undefined ? {} : { prompt }),
  });
  const isOpen = (problem: Problem) => open.some((place) => place.every((part, index) => problem.path[index] === part));
  const found = [...problems, ...profileShape.problems(value, []).filter((problem) => !isOpen(problem))];
  // What is good is read on, so that mistakes in files are told together with those in the profile.
  const profile = withoutParts(value, [...open, ...found.map((problem) => problem.path)]);
  if (!fits(profileShape, profile)) throw invalidProfile(placesOf(file, yaml, found));
  const readNamed = (name: string) => {
    if (!confidential.has(name)) return files.read(name, { most: mostFileBytes });
    throw new Failure(
      'usage',
      'invalid-profile',
      'the path of a file must stand here, not what a file holds or an answer',
      {
        hint: 'Write the path itself, without file: or prompt:',
      },
    );
  };
  const { request, problems: more } = await profileRequest(profile, readNamed, fetchKeys);
  const all = [...found, ...more];
  if (all.length > 0) throw invalidProfile(placesOf(file, yaml, all));
  return { profile, request, open, questions };
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

/** The files that a profile names: beside it, unless their path is absolute or in the home folder. Each is read once, as it may be a pipe. */
class FilesBeside {
  readonly #profile: string;
  readonly #signal: AbortSignal | undefined;
  readonly #contents = new Map<string, Promise<UserFile>>();
  /** Where values stand in the profile that files hold which others may read, and the names of such files. */
  readonly #readByOthers: { readonly name: string; readonly place: Path | undefined }[] = [];

  constructor(profile: string, signal: AbortSignal | undefined) {
    this.#profile = profile;
    this.#signal = signal;
  }

  /** Reads a file by the name that the profile has for it; where it stands for a value, with the place of that. */
  async read(name: string, { most, place }: { readonly most: number; readonly place?: Path }): Promise<Buffer> {
    const content = this.#contents.get(name) ?? readUserFile(this.#pathOf(name), { most, signal: this.#signal });
    this.#contents.set(name, content);
    const { bytes, isReadByOthers } = await content;
    if (isReadByOthers) this.#readByOthers.push({ name, place });
    return bytes;
  }

  /** The secrets that lie in files which others may read. */
  openSecrets(value: unknown): Problem[] {
    const message = 'is a secret in a file that others may read: chmod 600 it';
    const values = this.#readByOthers.flatMap(({ place }) =>
      place !== undefined && isSecretKey(String(place.at(-1))) ? [{ path: place, message }] : [],
    );
    const names = new Set(this.#readByOthers.map(({ name }) => name));
    return [...values, ...privateKeyFiles(value, names).map((path) => ({ path, message }))];
  }

  #pathOf(name: string): string {
    if (name.startsWith('~/')) return path.join(folders.home(), name.slice(2));
    return path.isAbsolute(name) ? name : path.join(path.dirname(this.#profile), name);
  }
}

function privateKeyFiles(value: unknown, names: ReadonlySet<string>, place: Path = []): Path[] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, one]) =>
    key === 'privateKeyFile' && typeof one === 'string' && names.has(one)
      ? [[...place, key]]
      : privateKeyFiles(one, names, [...place, key]),
  );
}

/** The problems in the order of their places. */
function placesOf(file: string, { locate }: YamlText, problems: readonly Problem[]): FailureProblem[] {
  return problems
    .map((problem) => ({ problem, place: locate(problem.path) }))
    .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
    .map(({ problem, place }) => placed(problem, file, place));
}

function invalidProfile(problems: readonly FailureProblem[]): Failure {
  return new Failure('usage', 'invalid-profile', problemLines(problems).join('\n'), {
    hint: 'Correct the profile at these places; docs/profile.md describes it',
    problems: problems.slice(0, mostProblems),
  });
}

function problemLines(problems: readonly FailureProblem[]): string[] {
  const more = problems.length - mostProblems;
  return [...problems.slice(0, mostProblems).map(problemLine), ...(more > 0 ? [`and ${more} more`] : [])];
}
