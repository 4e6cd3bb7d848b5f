import { isDevelopment } from '../boot-config/config-check.js';
import { type ConfigDifference, shownDifference } from '../boot-config/config-differences.js';
import { configChanges, configValue } from '../boot-config/config-json.js';
import type { Device } from '../device/device.js';
import { Failure } from '../failure/failure.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import { deviceContents } from '../device/device-contents.js';
import { hostOf } from './joined-config.js';
import { lookAtDevice } from './joining-device.js';
import type { Planned } from './plan-join.js';

/** What leaving does to a device, as it is shown before; secrets are hidden. */
export interface LeavePlan {
  readonly device: string;
  /** The cloud that manages it; null where there is nothing to leave. */
  readonly leaves: string | null;
  /** What changes in its config.json. */
  readonly differences: readonly ConfigDifference[];
  /** Containers of the fleet, which stop and are removed; their volumes stay. Null where the engine could not be asked. */
  readonly stops: readonly string[] | null;
  readonly warnings: readonly string[];
}

/** What a leave is planned by. */
export interface LeaveRequest {
  /** Whether it may end with nobody able to log in. */
  readonly allowsLockout: boolean;
  readonly signal: AbortSignal;
}

/** Plans how a device leaves its fleet; changes nothing. Fails with `would-lock-out`. */
export async function planLeave(device: Device, { allowsLockout, signal }: LeaveRequest): Promise<Planned<LeavePlan>> {
  const { live, managedBy, schema } = await lookAtDevice(device);
  const config = managedBy === undefined ? live.config : leftConfig(live.config, schema.keys);
  const locksOut = managedBy !== undefined && hasNoWayIn(config);
  if (locksOut && !allowsLockout) throw lockout(device.name);
  const contents = managedBy === undefined ? undefined : await deviceContents(device, { isManaged: true, signal });
  const isUnknown = managedBy !== undefined && contents === undefined;
  const plan: LeavePlan = {
    device: device.name,
    leaves: managedBy ?? null,
    differences: configChanges(live.config, config).map(shownDifference),
    stops: contents?.fleetContainers ?? null,
    warnings: [
      ...(locksOut ? ['nobody will be able to log in any more'] : []),
      ...(isUnknown ? ['its engine does not answer, so which services stop is not known'] : []),
    ],
  };
  const { files, units } = schema;
  const change = { kind: 'leave', before: live.bytes, after: undefined, cloud: undefined, files, units } as const;
  return { plan, change, configs: [live.config] };
}

/** What `os-config leave` makes of a configuration: without the keys of the cloud, but with the device's key remembered. */
function leftConfig(own: JsonObject, cloudKeys: readonly string[]): JsonObject {
  const { apiEndpoint, deviceApiKey, deviceApiKeys } = own;
  const left = Object.fromEntries(Object.entries(own).filter(([key]) => !cloudKeys.includes(key)));
  if (typeof apiEndpoint !== 'string' || deviceApiKey === undefined) return left;
  const others = deviceApiKeys !== undefined && isJsonObject(deviceApiKeys) ? deviceApiKeys : {};
  return { ...left, deviceApiKeys: { ...others, [hostOf(apiEndpoint)]: deviceApiKey } };
}

/** In production mode a device lets in keys of its own and those that its cloud knows of; without the latter, the former remain. */
function hasNoWayIn(config: JsonObject): boolean {
  const keys = configValue(config, 'os.sshKeys');
  return !isDevelopment(config) && (!Array.isArray(keys) || keys.length === 0);
}

function lockout(name: string): Failure {
  const message = `${name} is in production mode without an SSH key of its own: once it has left, nobody can log in any more`;
  return new Failure('refused', 'would-lock-out', message, {
    hint: 'Add a key to os.sshKeys in its config.json first; --allow-lockout leaves all the same, and only flashing it opens it again',
  });
}
