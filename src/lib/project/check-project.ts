import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { type BuildContext, buildContextOf } from './build-context.js';
import { type BuildSource, readBuildSource } from './build-source.js';
import { checkDockerfile } from './check-dockerfile.js';
import { checkKeys } from './check-keys.js';
import { checkVariables } from './check-variables.js';
import type { TemplateValues } from './dockerfile-template.js';
import type { CheckTarget, Finding } from './finding.js';
import { findForeignBinaries } from './foreign-binaries.js';
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
  const { target, values, hasBuildKit = false, signal } = options;
  const { composition, placeOf, shown } = project;
  const findings: Finding[] = [...checkKeys(project, target), ...checkVariables(project)];
  const builds: CheckedBuild[] = [];
  for (const [service, { build }] of Object.entries(composition.services)) {
    if (build === undefined) continue;
    try {
      const source = await readBuildSource(project, { ...values, service }, signal);
      if (source === undefined) continue;
      findings.push(...checkDockerfile(service, source, build, { shown, hasBuildKit }));
      const context = await buildContextOf(source, signal);
      builds.push({ service, source, context });
      findings.push(...contextFindings(service, context, shown));
      for (const { made, count, examples } of await findForeignBinaries(context, target.architecture, signal)) {
        const rest = count > examples.length ? ` and ${count - examples.length} more` : '';
        const files = examples.map((one) => shown(path.join(context.folder, one))).join(', ');
        const message = `${files}${rest} ${count > 1 ? 'are' : 'is'} made for ${made}, and the device is ${target.architecture ?? ''}: name ${count > 1 ? 'them' : 'it'} in .dockerignore, and have the build make ${count > 1 ? 'them' : 'it'}`;
        findings.push({ level: 'warning', code: 'foreign-binary', service, message });
      }
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
  return { findings, builds };
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
