import { requireGoodValues } from '../boot-config/changed-config.js';
import { idleConfigKeys } from '../boot-config/config-check.js';
import { type ConfigDifference, shownDifference } from '../boot-config/config-differences.js';
import { configChanges, configValue } from '../boot-config/config-json.js';
import { deviceWarnings } from '../boot-config/config-warnings.js';
import { editedJson } from '../boot-config/json-edit.js';
import { problemText } from '../boot-config/problem.js';
import type { Device } from '../device/device.js';
import { Failure } from '../failure/failure.js';
import type { Json, JsonObject } from '../platform/json.js';
import type { DeviceChange } from './change-device.js';
import { deviceContents } from '../device/device-contents.js';
import { requireKey } from './fleet-config.js';
import { hostOf, joinedConfig } from './joined-config.js';
import { managedBy } from './managed-by.js';
import { isItsDeviceType, type JoiningDevice, lookAtDevice } from './joining-device.js';

/** What joining does to a device, as it is shown before; secrets are hidden. */
export interface JoinPlan {
  readonly device: string;
  /** The slug of what the device is. */
  readonly deviceType: string | null;
  readonly apiEndpoint: string;
  readonly applicationId: Json;
  /** The cloud that manages it now. */
  readonly leaves: string | null;
  /** What changes in its config.json. */
  readonly differences: readonly ConfigDifference[];
  /** What it has of its own and keeps, though the configuration (`after`) says something else. */
  readonly kept: readonly ConfigDifference[];
  /** What the Supervisor deletes because the device leaves local mode; null where its engine could not be asked. */
  readonly deletes: Deletions | null;
  readonly warnings: readonly string[];
}

/** Names of containers and volumes. */
export interface Deletions {
  readonly containers: readonly string[];
  readonly volumes: readonly string[];
}

/** A plan, and the change that it describes. */
export interface Planned<Plan> {
  readonly plan: Plan;
  readonly change: DeviceChange;
  /** What is secret in it, not to be printed. */
  readonly configs: readonly JsonObject[];
}

/** What a join is planned by. */
export interface JoinRequest {
  /** The configuration of the fleet. */
  readonly config: JsonObject;
  /** Keys of the device's own that the configuration decides all the same, as dotted paths. */
  readonly take: readonly string[];
  /** Whether the configuration may be for another device type. */
  readonly allowsOtherType: boolean;
  readonly signal: AbortSignal;
}

/** Plans how a device joins a fleet; changes nothing. Fails with `nothing-to-take` and `other-device-type`. */
export async function planJoin(device: Device, request: JoinRequest): Promise<Planned<JoinPlan>> {
  const { config: given, take, allowsOtherType, signal } = request;
  for (const key of take) requireOffered(given, key);
  const seen = await lookAtDevice(device);
  const { live, deviceType, schema } = seen;
  if (!allowsOtherType) requireType(device.name, seen, given);
  const rules = { cloudKeys: schema.keys, deviceType: slugOf(seen), take };
  const { config, kept, ignored } = joinedConfig(live.config, given, rules);
  const { applicationId = null, balenaRootCA } = config;
  const apiEndpoint = managedBy(config) ?? '';
  requireKey(config, hostOf(apiEndpoint));
  const changes = configChanges(live.config, config);
  requireGoodValues(config, changes);
  const contents = await deviceContents(device, { isManaged: seen.managedBy !== undefined, signal });
  const plan: JoinPlan = {
    device: device.name,
    deviceType: deviceType?.slug ?? null,
    apiEndpoint,
    applicationId,
    leaves: seen.managedBy ?? null,
    differences: changes.map(shownDifference),
    kept: kept.map(shownDifference),
    deletes: contents === undefined ? null : { containers: contents.localContainers, volumes: contents.localVolumes },
    warnings: [
      ...deviceWarnings(config, {}),
      ...idleConfigKeys(config, { kind: 'direct' }).map((problem) => problemText(problem)),
      ...identityWarnings(live.config, config),
      ...(deviceType === undefined ? ['the device does not say what it is, so its type could not be compared'] : []),
      ...(contents === undefined ? ['its engine does not answer, so what would be deleted is not known'] : []),
      ...(ignored.length === 0 ? [] : [`${ignored.join(', ')} of the configuration have no use on a device that runs`]),
    ],
  };
  const certificates = Buffer.from(typeof balenaRootCA === 'string' ? balenaRootCA : '', 'base64');
  const change: DeviceChange = {
    kind: 'join',
    before: live.bytes,
    after: Buffer.from(editedJson(live.text, config)),
    cloud: { apiEndpoint, certificates },
    files: schema.files,
    units: schema.units,
  };
  return { plan, change, configs: [live.config, given] };
}

/** The type that the device registers as: its own, not that of the fleet. */
function slugOf({ deviceType, live }: JoiningDevice): string | undefined {
  const configured = live.config.deviceType;
  return deviceType?.slug ?? (typeof configured === 'string' ? configured : undefined);
}

function requireOffered(given: JsonObject, key: string): void {
  if ((configValue(given, key) ?? null) !== null) return;
  throw new Failure('usage', 'nothing-to-take', `the configuration has no ${key} that could be taken from it`, {
    hint: 'Name keys as config.json has them, what is inside of others with dots: --take hostname --take os.sshKeys',
  });
}

function requireType(name: string, { deviceType }: JoiningDevice, { deviceType: given }: JsonObject): void {
  if (deviceType === undefined || typeof given !== 'string' || isItsDeviceType(deviceType, given)) return;
  const message = `the configuration is for ${given}, and ${name} is a ${deviceType.slug}`;
  throw new Failure('refused', 'other-device-type', message, {
    hint: 'Get the configuration for the type of the device; --other-device-type joins a fleet of another type with the same architecture',
  });
}

/** What a configuration that was made for one device does to another one. */
function identityWarnings({ uuid: own }: JsonObject, { uuid }: JsonObject): string[] {
  if (typeof own !== 'string' || typeof uuid !== 'string' || own === uuid) return [];
  return [
    `the configuration is for the device ${uuid.slice(0, 7)}: this one, ${own.slice(0, 7)}, takes its place, and its name unless it has a hostname`,
  ];
}
