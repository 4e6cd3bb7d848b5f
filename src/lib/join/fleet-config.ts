import { type ConfigFile, parseConfigFile } from '../boot-config/config-file.js';
import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { collect, readUserFile } from '../platform/read-user-file.js';

/** Far more than any configuration has. */
const mostBytes = 1024 * 1024;

/**
 * Reads the configuration of a fleet, as a dashboard gives it out or `davit config generate` makes it. Fails with `invalid-config-file`,
 * `invalid-config` and `incomplete-fleet-config`.
 *
 * @param location a file, or `-` for standard input
 */
export async function readFleetConfig(
  location: string,
  stdin: NodeJS.ReadableStream,
  signal: AbortSignal,
): Promise<ConfigFile> {
  const isInput = location === '-';
  const bytes = isInput
    ? await collect(stdin, mostBytes, signal)
    : (await readUserFile(location, { what: 'the configuration', most: mostBytes, signal })).bytes;
  const name = isInput ? 'standard input' : location;
  const file = parseConfigFile(bytes, name);
  const { apiEndpoint, applicationId, deviceId } = file.config;
  if (typeof apiEndpoint !== 'string' || !/^https?:\/\/./.test(apiEndpoint)) throw incomplete(name, 'apiEndpoint');
  if (applicationId === undefined && deviceId === undefined) throw incomplete(name, 'applicationId');
  return file;
}

/** Fails where a device with this configuration has no key to come to the cloud with. */
export function requireKey(config: JsonObject, host: string): void {
  const { apiKey, deviceApiKey, deviceApiKeys } = config;
  const hasOwn = typeof deviceApiKeys === 'object' && deviceApiKeys !== null && Object.hasOwn(deviceApiKeys, host);
  if (apiKey === undefined && deviceApiKey === undefined && !hasOwn) throw incomplete('the configuration', 'apiKey');
}

function incomplete(name: string, key: string): Failure {
  return new Failure('usage', 'incomplete-fleet-config', `${name} has no ${key}, so no device can join with it`, {
    hint: 'Download the configuration of the fleet from its dashboard ("Download configuration file only"), or make one with davit config generate',
  });
}
