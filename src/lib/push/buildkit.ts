import { Failure } from '../failure/failure.js';
import { findProgram, run } from '../platform/child-process.js';
import { environmentVariable } from '../platform/environment.js';
import type { ProgressListener } from '../platform/progress.js';
import { packBuildContext } from '../project/build-context.js';
import type { Build } from '../project/composition.js';
import { parseDockerfile } from '../project/dockerfile.js';
import { hostList, localImageLabels } from './build-service.js';
import type { BuiltService } from './delivery.js';

/** The docker program of this computer where it builds with BuildKit. */
export interface BuildKit {
  readonly words: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** Platforms that its builder can build for, where it says so: `linux/arm64`. */
  readonly platforms: readonly string[] | undefined;
}

/** From this major version on, the docker program needs a plugin for BuildKit. */
const firstWithPlugin = 23;

/** BuildKit as the docker program has it: through its plugin buildx, or, if it is old, by itself. Undefined where there is none. */
export async function findBuildKit(signal: AbortSignal): Promise<BuildKit | undefined> {
  const docker = await findProgram('docker');
  if (docker === undefined) return undefined;
  const { exitCode } = await run(docker, ['buildx', 'version'], { signal });
  if (exitCode === 0) {
    const { stdout } = await run(docker, ['buildx', 'inspect'], { signal });
    const platforms = /^Platforms:\s*(.*)$/m
      .exec(stdout)?.[1]
      ?.split(/\*?,\s*|\*?\s*$/)
      .filter((one) => one !== '');
    return { words: [docker, 'buildx', 'build', '--load'], environment: withoutNotes, platforms };
  }
  const version = await run(docker, ['version', '--format', '{{.Client.Version}}'], { signal });
  if (!(Number.parseInt(version.stdout) < firstWithPlugin)) return undefined;
  return { words: [docker, 'build'], environment: { DOCKER_BUILDKIT: '1' }, platforms: undefined };
}

/** Notes on how an image was built would make an index of it, where one image is wanted. */
const withoutNotes = { BUILDX_NO_DEFAULT_ATTESTATIONS: '1' };

/** What an image is built for and how. */
export interface BuildKitOptions {
  readonly platform: string;
  readonly tag: string;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Builds a service's image with BuildKit; it is then in the engine under the tag. */
export async function buildWithBuildKit(
  { words: [program, ...words], environment }: BuildKit,
  one: BuiltService,
  options: BuildKitOptions,
): Promise<void> {
  const { service, build, source, context } = one;
  const { signal, progress } = options;
  const step = { type: 'step', id: service, phase: 'build' } as const;
  const report = new BuildKitReport((text, detail) => {
    if (detail !== undefined) progress({ ...step, state: 'active', detail });
    progress({ type: 'line', id: service, text });
  });
  progress({ ...step, state: 'active' });
  const { words: argumentWords, variables } = buildArguments(build);
  const flags = [
    ...['--progress', 'plain', '--platform', options.platform, '--tag', options.tag],
    ...['--file', source.dockerfile.path],
    ...(options.noCache || build.no_cache === true ? ['--no-cache'] : []),
    ...(options.pull || build.pull === true ? ['--pull'] : []),
    ...Object.entries(localImageLabels(service, build)).flatMap(([name, value]) => ['--label', `${name}=${value}`]),
    ...argumentWords,
    ...buildFlags(build),
  ];
  try {
    const input = await packBuildContext(context);
    const result = await run(program, [...words, ...flags, '-'], {
      input,
      environment: { ...environment, ...variables },
      onLine: (line) => {
        report.line(line);
      },
      signal,
    });
    if (result.exitCode !== 0) throw failureOf(one, report, result.stderr);
    progress({ ...step, state: 'done' });
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw error;
  }
}

/** Values go by the environment, where nobody else can see them, unless that would change what the program does. */
function buildArguments({ args }: Build): { words: string[]; variables: Record<string, string> } {
  const variables: Record<string, string> = {};
  const words = Object.entries(args).flatMap(([name, value]) => {
    const isTaken = environmentVariable(name) !== undefined || /^(DOCKER|BUILD)/.test(name);
    if (!isTaken) variables[name] = value;
    return ['--build-arg', isTaken ? `${name}=${value}` : name];
  });
  return { words, variables };
}

function buildFlags({ target, shm_size: shared, network, extra_hosts: hosts, ulimits = {} }: Build): string[] {
  return [
    ...(target === undefined ? [] : ['--target', target]),
    ...(shared === undefined ? [] : ['--shm-size', String(shared)]),
    ...(network === undefined ? [] : ['--network', network]),
    ...hostList(hosts).flatMap((one) => ['--add-host', one]),
    ...Object.entries(ulimits).flatMap(([name, { soft, hard }]) => ['--ulimit', `${name}=${soft}:${hard}`]),
  ];
}

/** Reads what BuildKit prints: `#7 [build 2/3] RUN make`, then lines that begin with `#7`, then `#7 DONE` or `#7 ERROR: …`. */
class BuildKitReport {
  /** The instruction that failed, as BuildKit writes it. */
  failed: string | undefined;
  readonly #steps = new Map<string, string>();
  readonly #onLine: (text: string, detail: string | undefined) => void;

  constructor(onLine: (text: string, detail: string | undefined) => void) {
    this.#onLine = onLine;
  }

  line(text: string): void {
    const [, number = '', rest = ''] = /^(#\d+) (.*)$/.exec(text) ?? [];
    const [, at, of, instruction] = /^\[(?:\S+ )*(\d+)\/(\d+)\] (.*)$/.exec(rest) ?? [];
    if (instruction !== undefined) this.#steps.set(number, instruction);
    if (rest.startsWith('ERROR')) this.failed = this.#steps.get(number);
    if (text.trim() !== '') this.#onLine(text, at === undefined ? undefined : `step ${at} of ${String(of)}`);
  }
}

function failureOf({ service, source }: BuiltService, { failed }: BuildKitReport, said: string): Failure {
  const { dockerfile } = source;
  const steps = parseDockerfile(dockerfile.text).instructions;
  const step = steps.find(({ keyword, rest }) => squeezed(`${keyword} ${rest}`) === squeezed(failed ?? ''));
  const where = step === undefined ? '' : ` at line ${step.line} of ${dockerfile.source} (${step.text})`;
  const lines = said.trim().split('\n');
  const reason = lines.findLast((line) => /failed to solve|^ERROR:|^error:/.test(line)) ?? lines.at(-1) ?? '';
  const words = reason.replace(/^ERROR: /, '').replace(/^failed to solve(?: with frontend \S+)?: /, '');
  const message = `building ${service} on this computer failed${where}: ${words}`;
  return new Failure('failed', 'build-failed', message, { hint: 'What runs on the device has not been touched' });
}

function squeezed(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
