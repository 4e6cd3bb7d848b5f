import { Failure } from '../failure/failure.js';
import { readPartitionTable } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import type { JsonObject } from '../platform/json.js';
import { findBootPartition } from './boot-partition.js';
import { configValue } from './config-json.js';
import { isHostname } from './config-values.js';
import { invalidJson, parseJsonObject } from './json-text.js';

/** By what a device will be known that boots an image: what its config.json sets, and undefined what it leaves to the device. */
export interface DeviceIdentity {
  readonly hostname: string | undefined;
  /** 32 hex digits, or 62 of old devices. */
  readonly uuid: string | undefined;
}

/** An image that leaves both to the device. */
const nobody: DeviceIdentity = { hostname: undefined, uuid: undefined };

/**
 * What an image makes its device known by, as it is. Nothing where it is packed, and where nothing can be told because it has no boot
 * partition or is damaged.
 */
export async function readDeviceIdentity({ reader }: ImageSource): Promise<DeviceIdentity> {
  if (reader === undefined) return nobody;
  try {
    const boot = await findBootPartition(reader, await readPartitionTable(reader));
    const bytes = await boot.files.read('config.json');
    return bytes === undefined ? nobody : identityIn(parseJsonObject(bytes, 'config.json', invalidJson));
  } catch (error) {
    // Whether such an image can be used is for others to decide.
    if (error instanceof Failure) return nobody;
    throw error;
  }
}

/** The identity that a config.json sets, as far as it is a good one. */
export function identityIn(config: JsonObject): DeviceIdentity {
  const hostname = configValue(config, 'hostname');
  const uuid = configValue(config, 'uuid');
  return {
    hostname: typeof hostname === 'string' && isHostname(hostname) ? hostname : undefined,
    uuid: typeof uuid === 'string' && /^(?:[0-9a-f]{32}|[0-9a-f]{62})$/.test(uuid) ? uuid : undefined,
  };
}
