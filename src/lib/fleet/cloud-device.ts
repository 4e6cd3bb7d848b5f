import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { isUuid } from '../platform/uuid.js';
import type { Account } from './account.js';
import { answerFailure, cloudJson } from './cloud-api.js';

/** What a cloud knows of one of the user's devices, as far as it takes to reach it. */
export interface CloudDevice {
  readonly uuid: string;
  /** What it is called in the cloud, which may be anything. */
  readonly name: string;
  /** Whether the device is connected to the cloud's private network, through which it is reached. */
  readonly isConnected: boolean;
  /** ISO 8601; null for a device that never was online. */
  readonly seenAt: string | null;
  /** As the device says it: `balenaOS 6.8.1`. */
  readonly osVersion: string | null;
  /** In its own network; several have a space between them. */
  readonly localAddresses: readonly string[];
}

/** What a word can mean in a cloud. */
export interface CloudQuestion {
  readonly name: string;
  /** Where it is known which device is meant. */
  readonly uuid: string | undefined;
}

/** Shorter beginnings of a UUID are not taken for one. */
const shortestPrefix = 3;

/** More devices than anybody wants to be asked about. */
const mostDevices = 20;

const fields = 'uuid,device_name,is_connected_to_vpn,last_connectivity_event,os_version,ip_address';

/**
 * The devices of an account that a word means: the one with the UUID that is known, else those of this name, else those whose UUID begins so.
 */
export async function findCloudDevices(
  account: Account,
  { name, uuid }: CloudQuestion,
  signal: AbortSignal,
): Promise<readonly CloudDevice[]> {
  const lower = name.toLowerCase();
  const isPrefix = lower.length >= shortestPrefix && /^[0-9a-f]+$/.test(lower);
  const filters = [
    ...(uuid === undefined ? [`device_name eq ${quoted(name)}`] : [`uuid eq ${quoted(uuid)}`]),
    ...(uuid === undefined && isPrefix ? [`startswith(uuid,${quoted(lower)})`] : []),
  ];
  const query = `$select=${fields}&$top=${mostDevices}&$filter=${encodeURIComponent(filters.join(' or '))}`;
  const answer = await cloudJson(account, `/v7/device?${query}`, signal);
  if (!isRecord(answer) || !Array.isArray(answer.d)) throw answerFailure(account, 'it does not list devices');
  const devices = answer.d.flatMap((one: unknown) => parseDevice(one) ?? []);
  // Who answers is not to choose the device.
  const ways: readonly ((device: CloudDevice) => boolean)[] =
    uuid === undefined
      ? [(one) => one.name === name, (one) => isPrefix && one.uuid.startsWith(lower)]
      : [(one) => one.uuid === uuid];
  return ways.map((isMeant) => devices.filter(isMeant)).find((found) => found.length > 0) ?? [];
}

/** The device for people: `crane (63ec46c)`. */
export function describeDevice({ uuid, name }: CloudDevice): string {
  return name === '' ? uuid.slice(0, 7) : `${name} (${uuid.slice(0, 7)})`;
}

/** The failure for a device that its cloud cannot reach. */
export function deviceOffline(account: Account, device: CloudDevice): Failure {
  const { seenAt } = device;
  const last = seenAt === null ? 'and never was online' : `last online ${seenAt}`;
  return new Failure('unreachable', 'device-offline', `${describeDevice(device)} is offline, ${last}`, {
    hint: `So says ${account.apiUrl}. Check that the device is on and reaches the internet; in its own network it may answer all the same`,
  });
}

/** A string of OData: quotes in it are doubled. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function parseDevice(value: unknown): CloudDevice | undefined {
  if (!isRecord(value) || typeof value.uuid !== 'string' || !isUuid(value.uuid)) return undefined;
  const { uuid, device_name: name, last_connectivity_event: seenAt, os_version: osVersion, ip_address: ip } = value;
  return {
    uuid,
    name: shown(name) ?? '',
    isConnected: value.is_connected_to_vpn === true,
    seenAt: shown(seenAt) ?? null,
    osVersion: shown(osVersion) ?? null,
    localAddresses: (shown(ip) ?? '').split(' ').filter((one) => one !== ''),
  };
}

/** A text that may be shown on a terminal: what it is called is up to whoever may change the device. */
function shown(value: unknown): string | undefined {
  return typeof value === 'string' ? value.replace(/\p{C}/gu, '') : undefined;
}
