import { listAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';
import { encodedHeader, imageReference, registryOf, type RegistryLogins } from './pull-image.js';

/**
 * Asks the registry of an image, through an engine, for which architectures it has the image, as Go calls them. Empty where the registry
 * does not tell. Fails as not found or refused where the registry does not have it or does not give it to us.
 */
export async function imageArchitectures(
  engine: EngineConnection,
  image: string,
  logins: RegistryLogins,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const login = logins[registryOf(imageReference(image).name)];
  const answer = await engineJson(engine, {
    method: 'GET',
    path: `/distribution/${image}/json`,
    headers: login === undefined ? {} : { 'x-registry-auth': encodedHeader({ ...login }) },
    signal,
    timeoutMs: 20_000,
  });
  return listAt(answer, 'Platforms').flatMap((platform) => {
    const architecture = valueAt(platform, 'architecture');
    return typeof architecture === 'string' && architecture !== '' ? [architecture] : [];
  });
}
