import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { type BuildContext, buildContextOf } from './build-context.js';
import { type BuildSource, readBuildSource } from './build-source.js';
import { checkDockerfile } from './check-dockerfile.js';
import { checkKeys } from './check-keys.js';
import { checkVariables } from './check-variables.js';
import type { TemplateValues } from './dockerfile-template.js';
import type { CheckTarget, Finding } from './finding.js';
import { findForeignBinaries, type ForeignBinaries } from './foreign-binaries.js';
import type { Project } from './project.js';

/** What is checked besides the project itself. */
export interface CheckOptions {
  readonly target: CheckTarget;
  readonly values: Omit<TemplateValues, 'service'>;
  /** Whether images are built where BuildKit is. */
  readonly hasBuildKit?: boolean;
  readonly signal: AbortSignal;
}

/** What a check has seen: what there is to say, and what would be built from what. */
export interface CheckedProject {
  readonly findings: readonly Finding[];
  readonly builds: readonly CheckedBuild[];
}

/** What a service would be built from. */
export interface CheckedBuild {
  readonly service: string;
  readonly source: BuildSource;
  readonly context: BuildContext;
}

/** Checks a project for a device without sending anything: its keys, its variables, its Dockerfiles and what is in its folders. */
export async function checkProject(project: Project, options: CheckOptions): Promise<CheckedProject> {
  const { target, values, signal } = options;
  const { composition, placeOf } = project;
  const findings: Finding[] = [];
  const builds: CheckedBuild[] = [];
  for (const [service, { build }] of Object.entries(composition.services)) {
    if (build === undefined) continue;
    try {
      const source = await readBuildSource(project, { ...values, service }, signal);
      if (source === undefined) continue;
      const context = await buildContextOf(source, signal);
      builds.push({ service, source, context });
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      // Without a device, that its type is not known is no fault of the project.
      const level = error.code === 'device-type-unknown' && target.architecture === undefined ? 'note' : 'error';
      const place = placeOf(['services', service, 'build']);
      const hint = error.hint === undefined ? '' : `. ${error.hint}`;
      findings.push({
        level,
        code: error.code,
        service,
        ...(place === undefined ? {} : { place }),
        message: `${error.message}${hint}`,
      });
    }
  }
  return { findings: [...(await checkBuilds(project, builds, options)), ...findings], builds };
}

/** The same for a project whose services have been read for the device. */
export async function checkBuilds(
  project: Project,
  builds: readonly CheckedBuild[],
  { target, hasBuildKit = false, signal }: Omit<CheckOptions, 'values'>,
): Promise<readonly Finding[]> {
  const { composition, shown } = project;
  const findings: Finding[] = [...checkKeys(project, target), ...checkVariables(project)];
  for (const { service, source, context } of builds) {
    const build = composition.services[service]?.build;
    if (build !== undefined) findings.push(...checkDockerfile(service, source, build, { shown, hasBuildKit }));
    findings.push(...contextFindings(service, context, shown));
    for (const foreign of await findForeignBinaries(context, target.architecture, signal)) {
      findings.push(foreignFinding(service, foreign, target, (file) => shown(path.join(context.folder, file))));
    }
  }
  return findings;
}

function foreignFinding(
  service: string,
  { made, count, examples }: ForeignBinaries,
  { architecture = '' }: CheckTarget,
  shown: (file: string) => string,
): Finding {
  const files = examples.map(shown).join(', ');
  const rest = count > examples.length ? ` and ${count - examples.length} more` : '';
  const [are, them] = count > 1 ? ['are', 'them'] : ['is', 'it'];
  const message = `${files}${rest} ${are} made for ${made}, and the device is ${architecture}: name ${them} in .dockerignore, and have the build make ${them}`;
  return { level: 'warning', code: 'foreign-binary', service, message };
}

const largeBytes = 200_000_000;

function contextFindings(service: string, context: BuildContext, shown: (file: string) => string): readonly Finding[] {
  const { folder, bytes, largest, skipped } = context;
  const name = (file: string) => shown(path.join(folder, file));
  const megabytes = (count: number) => `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
  const found: Finding[] = skipped.map((file) => ({
    level: 'note',
    code: 'file-skipped',
    service,
    message: `${name(file)} is left out: it is a socket, a pipe or a device file`,
  }));
  if (bytes < largeBytes) return found;
  const list = largest.map((one) => `${name(one.path)} ${megabytes(one.bytes)}`).join(', ');
  const message = `${megabytes(bytes)} would be sent to build ${service}; the largest files are ${list}: name what the build does not need in .dockerignore`;
  return [...found, { level: 'warning', code: 'context-large', service, message }];
}
