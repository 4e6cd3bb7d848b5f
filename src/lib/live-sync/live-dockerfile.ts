import path from 'node:path';
import { type Comment, type Instruction, parseDockerfile } from '../project/dockerfile.js';
import { assignments, dockerfileWords, withVariables } from '../project/dockerfile-variables.js';
import type { Run, SyncRule } from './sync-rule.js';

/** What is known of a build besides its Dockerfile. */
export interface BuildFacts {
  /** The last stage to build; the last of the file without it. */
  readonly target?: string | undefined;
  readonly buildArguments: Readonly<Record<string, string>>;
  /** What the image that the Dockerfile begins with says, see `baseImageOf`; undefined where nobody knows. */
  readonly base: ImageFacts | undefined;
}

/** What an image says of its containers. */
export interface ImageFacts {
  readonly workingFolder: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
}

interface Stage {
  readonly name: string | undefined;
  readonly image: string;
  readonly instructions: readonly Instruction[];
}

/**
 * A Dockerfile as it is built for live sync, line for line. Comments in it that begin with `#dev-` are instructions of such builds alone, as in
 * balena's livepush (https://github.com/balena-io-modules/livepush): `#dev-run=`, `#dev-copy=` and `#dev-env=` add a step, and
 * `#dev-cmd-live=` names the program to run, one that sees changes by itself: the `RUN`s and stages that follow it are left out.
 */
export function liveDockerfile(text: string): string {
  const { instructions, comments } = parseDockerfile(text);
  const lines = text.split('\n');
  const set = (line: number, now: string) => {
    lines[line - 1] = now;
  };
  for (const { line, text: comment } of comments) {
    const [, kind, value = ''] = /^dev-(run|copy|env)=(.*)$/.exec(comment) ?? [];
    if (kind !== undefined) set(line, `${kind.toUpperCase()} ${value}`);
  }
  const live = comments.find(isLiveCommand);
  if (live === undefined) return lines.join('\n');
  const nextStage = instructions.find((one) => one.keyword === 'FROM' && one.line > live.line);
  for (const { keyword, line, lastLine } of instructions) {
    const isLeftOut = line > live.line && (keyword === 'RUN' || (nextStage !== undefined && line >= nextStage.line));
    if (!isLeftOut && keyword !== 'CMD') continue;
    for (let at = line; at <= lastLine; at++) set(at, `# ${lines[at - 1] ?? ''}`);
  }
  if (nextStage !== undefined) lines.splice(nextStage.line - 1);
  return [...lines, `CMD ${live.text.slice(liveCommand.length)}`, ''].join('\n');
}

const liveCommand = 'dev-cmd-live=';

function isLiveCommand({ text }: Comment): boolean {
  return text.startsWith(liveCommand);
}

/**
 * What each file of the build context becomes in the container of an image that was built of a Dockerfile, and what has to follow when it changes.
 *
 * @param text as it was built, see `liveDockerfile`
 */
export function dockerfileRules(text: string, facts: BuildFacts): SyncRule[] {
  const { instructions, comments } = parseDockerfile(text);
  const { stages, variables } = stagesOf(instructions, facts.buildArguments);
  const index = targetIndex(stages, facts.target);
  const chain = chainOf(stages, index);
  const rules: SyncRule[] = [];
  for (const [at, stage] of stages.slice(0, index + 1).entries()) {
    if (chain.includes(at)) continue;
    const needsBuild = `it goes into ${stage.name === undefined ? 'another stage' : `the stage ${stage.name}`}`;
    for (const one of stage.instructions) rules.push(...unfollowed(one, needsBuild));
  }
  const last = chain.flatMap((at) => stages[at]?.instructions ?? []);
  const liveLine = comments.find(isLiveCommand)?.line;
  rules.push(...followed(last, { ...facts, variables, liveLine }));
  return rules;
}

/** The image that the last stage of a Dockerfile begins with, by its name there, or that of the target. */
export function baseImageOf(
  text: string,
  { target, buildArguments }: Pick<BuildFacts, 'target' | 'buildArguments'>,
): string | undefined {
  const { stages } = stagesOf(parseDockerfile(text).instructions, buildArguments);
  return stages[chainOf(stages, targetIndex(stages, target))[0] ?? 0]?.image;
}

/** Takes a Dockerfile's stages apart; `ARG`s before the first of them are for the names of images. */
function stagesOf(instructions: readonly Instruction[], buildArguments: Readonly<Record<string, string>>) {
  const variables = new Map<string, string>();
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const one of instructions) {
    if (one.keyword === 'FROM') {
      const [image = '', as, name] = one.rest.split(/\s+/);
      const isNamed = as?.toUpperCase() === 'AS';
      stages.push({
        name: isNamed ? name : undefined,
        image: withVariables(image, variables) ?? image,
        instructions: [],
      });
    } else if (stages.length > 0) stages.at(-1)?.instructions.push(one);
    else if (one.keyword === 'ARG') define(one, variables, buildArguments);
  }
  return { stages, variables };
}

function define(
  { rest }: Instruction,
  variables: Map<string, string>,
  buildArguments: Readonly<Record<string, string>>,
  outer: ReadonlyMap<string, string> = new Map(),
): void {
  for (const { name, value } of assignments(rest)) {
    const filled = value === undefined ? outer.get(name) : withVariables(value, variables);
    const final = buildArguments[name] ?? filled;
    if (final !== undefined) variables.set(name, final);
  }
}

function targetIndex(stages: readonly Stage[], target: string | undefined): number {
  const named = stages.findIndex(
    (stage, at) => stage.name?.toLowerCase() === target?.toLowerCase() || String(at) === target,
  );
  return target === undefined || named < 0 ? stages.length - 1 : named;
}

/** The stages that a stage goes on from, it being the last. */
function chainOf(stages: readonly Stage[], index: number): number[] {
  const image = stages[index]?.image.toLowerCase();
  const from = stages.slice(0, Math.max(index, 0)).findLastIndex(({ name }) => name?.toLowerCase() === image);
  return from < 0 ? [index] : [...chainOf(stages, from), index];
}

/** Whoever copies from the build context; other stages and images have no files of this computer. */
function sourcesOf(one: Instruction): { readonly sources: readonly string[]; readonly target: string } | undefined {
  if (one.keyword !== 'COPY' && one.keyword !== 'ADD') return undefined;
  if (one.flags.some(({ name }) => name === 'from')) return undefined;
  const words = one.json ?? dockerfileWords(one.rest);
  const sources = words.slice(0, -1).filter((word) => !word.startsWith('<<') && !/^([a-z]+:\/\/|git@)/.test(word));
  return sources.length === 0 ? undefined : { sources, target: words.at(-1) ?? '' };
}

/** What copies files that can only be built in. */
function unfollowed(one: Instruction, needsBuild: string): SyncRule[] {
  const copied = sourcesOf(one);
  if (copied === undefined) return [];
  const nothing = { target: '', isFolder: true, owner: undefined, mode: undefined, runs: [], restarts: false };
  // With a variable that nobody knows, it may be any file.
  const sources = copied.sources.map((source) => (source.includes('$') ? '' : contextPath(source)));
  return [{ origin: `line ${one.line}`, sources, needsBuild, ...nothing }];
}

interface Beginning {
  readonly base: ImageFacts | undefined;
  readonly variables: ReadonlyMap<string, string>;
  readonly buildArguments: Readonly<Record<string, string>>;
  readonly liveLine: number | undefined;
}

/** The copies of the stage that is built, with what has to run after each. */
function followed(
  instructions: readonly Instruction[],
  { base, variables, buildArguments, liveLine }: Beginning,
): SyncRule[] {
  const known = new Map(Object.entries(base?.environment ?? {}));
  let folder = base?.workingFolder ?? '/';
  let user = base?.user;
  let shell: readonly string[] = ['/bin/sh', '-c'];
  const copies: (SyncRule & { runs: Run[] })[] = [];
  const fill = (text: string) => withVariables(text, known);
  for (const one of instructions) {
    const { keyword, rest, json, line, flags } = one;
    if (keyword === 'ARG') define(one, known, buildArguments, variables);
    if (keyword === 'ENV') {
      for (const { name, value = '' } of assignments(rest)) {
        known.set(name, fill(value) ?? '');
      }
    }
    if (keyword === 'WORKDIR') folder = path.posix.resolve(folder, fill(dockerfileWords(rest).join(' ')) ?? '.');
    if (keyword === 'USER') user = fill(rest) ?? user;
    if (keyword === 'SHELL' && json !== undefined) shell = json;
    if (keyword === 'RUN') {
      const command = json ?? [...shell, rest];
      const run = {
        origin: `line ${line}`,
        command,
        user,
        workingFolder: folder,
        environment: Object.fromEntries(known),
      };
      const isPlain = flags.length === 0 && one.hereDocuments.length === 0;
      for (const [at, copy] of copies.entries()) {
        if (isPlain) copy.runs.push(run);
        else copies[at] = { ...copy, needsBuild: copy.needsBuild ?? `line ${line} has to run after it` };
      }
    }
    const copied = sourcesOf(one);
    if (copied === undefined) continue;
    const why = unfollowable(one);
    const target = fill(copied.target);
    const sources = copied.sources.map(fill);
    if (why !== undefined || target === undefined || sources.includes(undefined)) {
      const copy = unfollowed(one, why ?? 'its paths depend on variables that only the build knows');
      copies.push(...copy.map((entry) => ({ ...entry, runs: [] })));
      continue;
    }
    const flag = (name: string) => flags.find((entry) => entry.name === name)?.value;
    const chmod = flag('chmod');
    copies.push({
      origin: `line ${line}`,
      sources: sources.flatMap((source) => (source === undefined ? [] : [contextPath(source)])),
      needsBuild: undefined,
      target: path.posix.resolve(folder, target),
      isFolder: /(^|\/)\.?$/.test(target) || sources.length > 1,
      owner: flag('chown'),
      mode: chmod === undefined ? undefined : Number.parseInt(chmod, 8),
      runs: [],
      restarts: liveLine === undefined || line < liveLine,
    });
  }
  return copies;
}

const followableFlags = ['chown', 'chmod', 'link'];

function unfollowable({ keyword, flags, hereDocuments }: Instruction): string | undefined {
  if (keyword === 'ADD') return 'ADD may unpack what it adds';
  if (hereDocuments.length > 0) return 'a part of it stands in the Dockerfile';
  const flag = flags.find(
    ({ name, value }) => !followableFlags.includes(name) || (name === 'chmod' && !/^[0-7]+$/.test(value)),
  );
  return flag === undefined ? undefined : `--${flag.name} cannot be followed`;
}

/** A path of a Dockerfile relative to the build context, whose root `/` is to it. */
function contextPath(source: string): string {
  return path.posix.resolve('/', source).slice(1);
}
