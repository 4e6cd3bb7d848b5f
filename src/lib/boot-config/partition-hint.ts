import { isJsonObject, type JsonObject } from '../platform/json.js';

/**
 * The number of the partition that, by a `device-type.json`, holds config.json: a number, `{primary}` or `{primary, logical}`, where logical
 * partitions count from 1 behind the four primary ones. Undefined where it names none.
 */
export function partitionHint(deviceType: JsonObject): number | undefined {
  const { configuration } = deviceType;
  const config = isJsonObject(configuration) ? configuration.config : undefined;
  const partition = isJsonObject(config) ? config.partition : undefined;
  if (isJsonObject(partition)) {
    const { primary, logical } = partition;
    return asNumber(logical === undefined ? primary : typeof logical === 'number' ? 4 + logical : undefined);
  }
  return asNumber(partition);
}

function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
}
