import { Failure } from '../failure/failure.js';
import { readPartitionTable } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import type { JsonObject } from '../platform/json.js';
import { findBootPartition } from './boot-partition.js';
import { configValue } from './config-json.js';
import { isHostname } from './config-values.js';
import { invalidJson, parseJsonObject } from './json-text.js';

/**
 * The hostname that an image gives its device, as it is. Undefined where it gives none, where it is packed, and where nothing can be told
 * because it has no boot partition or is damaged.
 */
export async function readHostname({ reader }: ImageSource): Promise<string | undefined> {
  if (reader === undefined) return undefined;
  try {
    const boot = await findBootPartition(reader, await readPartitionTable(reader));
    const bytes = await boot.files.read('config.json');
    return bytes && hostnameIn(parseJsonObject(bytes, 'config.json', invalidJson));
  } catch (error) {
    // Whether such an image can be used is for others to decide.
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** The hostname that a config.json sets, if it is a good one. */
export function hostnameIn(config: JsonObject): string | undefined {
  const hostname = configValue(config, 'hostname');
  return typeof hostname === 'string' && isHostname(hostname) ? hostname : undefined;
}
