import path from 'node:path';
import type { BuildSource } from './build-source.js';
import type { Build } from './composition.js';
import { type Instruction, parseDockerfile } from './dockerfile.js';
import type { Finding } from './finding.js';

/** An image that a build starts from or copies from, and where its Dockerfile says so. */
export interface BaseImage {
  readonly image: string;
  readonly line: number;
}

/** A Dockerfile as far as it can be judged without building it. */
export interface DockerfileOutline {
  /** What it needs of registries, without its own stages and `scratch`. */
  readonly bases: readonly BaseImage[];
  readonly problems: readonly { readonly line: number; readonly code: string; readonly message: string }[];
}

/** Reads which images a Dockerfile needs, which of its stages are missing, and what a builder without BuildKit cannot do. */
export function outlineDockerfile(text: string, { args, target }: Pick<Build, 'args' | 'target'>): DockerfileOutline {
  const { instructions } = parseDockerfile(text);
  const bases: BaseImage[] = [];
  const problems: { line: number; code: string; message: string }[] = [];
  const stages: string[] = [];
  const values = new Map<string, string>();
  const isStage = (name: string) =>
    stages.includes(name.toLowerCase()) || (/^\d+$/.test(name) && Number(name) < stages.length);
  const uses = (image: string | undefined, line: number) => {
    if (image !== undefined && image !== '' && image !== 'scratch' && !isStage(image)) bases.push({ image, line });
  };
  for (const { keyword, rest, line, flags, hereDocuments } of instructions) {
    const report = (code: string, message: string) => problems.push({ line, code, message });
    if (keyword === 'ARG' && stages.length === 0) {
      for (const [, name = '', value = ''] of rest.matchAll(/(\w+)(?:=("[^"]*"|'[^']*'|\S*))?/g)) {
        values.set(name, args[name] ?? filled(value.replace(/^(["'])(.*)\1$/, '$2'), values));
      }
    } else if (keyword === 'FROM') {
      const [, image = '', name] = /^(\S+)(?:\s+as\s+(\S+))?/i.exec(rest) ?? [];
      const base = filled(image, values);
      if (base === '') report('base-image-missing', `FROM ${image} names no image, as its variable has no value`);
      uses(base, line);
      stages.push((name ?? '').toLowerCase());
    }
    for (const { name, value } of flags) {
      if (name === 'from') fromOf(value, line);
      const isLater =
        (keyword === 'RUN' && ['mount', 'network', 'security'].includes(name)) ||
        ['link', 'chmod', 'parents', 'exclude'].includes(name);
      if (isLater && keyword !== 'HEALTHCHECK')
        report('needs-buildkit', `${keyword} --${name} needs BuildKit, which the engine of a device lacks`);
    }
    if (hereDocuments.length > 0)
      report(
        'needs-buildkit',
        `${keyword} <<${hereDocuments[0]?.name ?? ''} needs BuildKit, which the engine of a device lacks`,
      );
  }
  if (target !== undefined && !isStage(target)) {
    problems.push({
      line: 1,
      code: 'stage-missing',
      message: `there is no stage ${target}, which is the target of the build`,
    });
  }
  if (stages.length === 0) problems.push({ line: 1, code: 'base-image-missing', message: 'there is no FROM' });
  return { bases, problems };

  function fromOf(value: string, line: number): void {
    const from = filled(value, values);
    if (isStage(from)) return;
    const later = instructions.some((one) => one.line > line && stageName(one) === from.toLowerCase());
    const isNumber = /^\d+$/.test(from);
    if (!later && !isNumber) {
      uses(from, line);
      return;
    }
    problems.push({
      line,
      code: 'stage-missing',
      message: later
        ? `--from=${from} names a stage that comes only later`
        : `--from=${from} names a stage that is not there`,
    });
  }
}

function stageName({ keyword, rest }: Instruction): string | undefined {
  return keyword === 'FROM' ? /\sas\s+(\S+)/i.exec(rest)?.[1]?.toLowerCase() : undefined;
}

/** Variables of a FROM line: `$A`, `${A}`, `${A:-default}` and `${A:+other}`. */
function filled(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (_, bare?: string, name?: string, operator?: string, word = '') => {
      const value = values.get(bare ?? name ?? '') ?? '';
      if (operator === '-') return value === '' ? String(word) : value;
      return operator === '+' ? (value === '' ? '' : String(word)) : value;
    },
  );
}

/** What is wrong with the Dockerfile of a service. */
export function checkDockerfile(
  service: string,
  { folder, dockerfile }: BuildSource,
  build: Build,
  { shown, hasBuildKit }: { readonly shown: (file: string) => string; readonly hasBuildKit: boolean },
): readonly Finding[] {
  const file = shown(path.resolve(folder, dockerfile.source));
  return outlineDockerfile(dockerfile.text, build)
    .problems.filter(({ code }) => !hasBuildKit || code !== 'needs-buildkit')
    .map(({ line, code, message }) => ({ level: 'error', code, service, place: { file, line, column: 1 }, message }));
}
