import type { JsonObject } from '../platform/json.js';
import { isUuid } from '../platform/uuid.js';
import { configValue } from './config-json.js';
import { isHostname } from './config-values.js';

/** By what a device will be known that boots an image: what its config.json sets, and undefined what it leaves to the device. */
export interface DeviceIdentity {
  readonly hostname: string | undefined;
  /** 32 hex digits, or 62 of old devices. */
  readonly uuid: string | undefined;
}

/** An image that leaves both to the device, or of which that is not known. */
export const noIdentity: DeviceIdentity = { hostname: undefined, uuid: undefined };

/** The identity that a config.json sets, as far as it is a good one. */
export function identityIn(config: JsonObject): DeviceIdentity {
  const hostname = configValue(config, 'hostname');
  const uuid = configValue(config, 'uuid');
  return {
    hostname: typeof hostname === 'string' && isHostname(hostname) ? hostname : undefined,
    uuid: typeof uuid === 'string' && isUuid(uuid) ? uuid : undefined,
  };
}
