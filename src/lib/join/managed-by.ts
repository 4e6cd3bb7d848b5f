import type { JsonObject } from '../platform/json.js';

/** The cloud that manages a device with this configuration; undefined where none does. */
export function managedBy({ apiEndpoint }: JsonObject): string | undefined {
  return typeof apiEndpoint === 'string' && apiEndpoint !== '' ? apiEndpoint : undefined;
}
