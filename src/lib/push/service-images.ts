import { buildContextOf } from '../project/build-context.js';
import { liveDockerfile } from '../live-sync/live-dockerfile.js';
import { type BuildSource, readBuildSource } from '../project/build-source.js';
import type { TemplateValues } from '../project/dockerfile-template.js';
import type { Project } from '../project/project.js';
import type { ServiceImage } from './delivery.js';

/** What each service's image of a project comes from on one kind of device; reads Dockerfiles and lists what would be sent. */
export async function readServiceImages(
  project: Project,
  values: Omit<TemplateValues, 'service'>,
  { isLive, signal }: { readonly isLive: boolean; readonly signal: AbortSignal },
): Promise<ServiceImage[]> {
  const images: ServiceImage[] = [];
  // One after the other: a disk does not get faster by being asked several things at once.
  for (const [service, { build, image }] of Object.entries(project.composition.services)) {
    const read = await readBuildSource(project, { ...values, service }, signal);
    const source = isLive && read !== undefined ? asLive(read) : read;
    if (build === undefined || source === undefined) {
      if (image !== undefined) images.push({ service, image });
      continue;
    }
    const context = await buildContextOf(source, signal);
    images.push({ service, build, source, context, secrets: source.secrets });
  }
  return images;
}

/** What is built when changes of the files are carried into the container afterwards. */
function asLive(source: BuildSource): BuildSource {
  const { dockerfile, alwaysIncluded } = source;
  const text = liveDockerfile(dockerfile.text);
  if (text === dockerfile.text) return source;
  return {
    ...source,
    dockerfile: { ...dockerfile, text, isDerived: true },
    alwaysIncluded: alwaysIncluded.filter((file) => file !== dockerfile.path),
  };
}
