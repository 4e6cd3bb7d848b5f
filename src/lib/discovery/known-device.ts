import { isIP } from 'node:net';
import { isRecord } from '../platform/json.js';
import { isUuid } from '../platform/uuid.js';
import { isHostName } from './host-name.js';

/** A device that davit has seen, or has made a card for. What it does not know is null. */
export interface KnownDevice {
  /** 32 hex digits, or 62 of old devices. */
  readonly uuid: string | null;
  /** Names that the user gave it. */
  readonly aliases: readonly string[];
  /** Without `.local`, in lower case. */
  readonly hostname: string | null;
  /** Where it was last seen, best first; link-local IPv6 addresses with `%zone`. */
  readonly addresses: readonly string[];
  readonly sshPort: number;
  /** Fingerprint of its SSH host key as OpenSSH prints it: `SHA256:…`. */
  readonly hostKey: string | null;
  /** What its engine calls itself, different for every installation. */
  readonly engineId: string | null;
  readonly deviceType: string | null;
  /** ISO 8601 times. */
  readonly seenAt: string | null;
  readonly flashedAt: string | null;
}

/** Device types, aliases and fingerprints are short; so is whatever is believed of them. */
const longestText = 128;
const mostAddresses = 8;

/** How many names a user may give one device. */
export const mostAliases = 8;

/** How a short UUID looks, which is a device's host name unless it was given another. */
const shortUuid = /^[0-9a-f]{7}$/;

/** The short UUID that is a device's own host name, or undefined when it was given another one. */
export function shortUuidOf({
  uuid,
  hostname,
}: {
  readonly uuid: string | null;
  readonly hostname: string | null;
}): string | undefined {
  if (uuid !== null) return uuid.slice(0, 7);
  return hostname !== null && shortUuid.test(hostname) ? hostname : undefined;
}

/** A host name as the inventory keeps it. */
export function bareHostname(name: string): string {
  return name
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/\.local$/, '');
}

/** What a device is called for people: what the user calls it, else its host name, else its UUID. */
export function nameOf(device: KnownDevice): string {
  return device.aliases[0] ?? device.hostname ?? device.uuid ?? device.addresses[0] ?? '?';
}

/** Whether a name can be an alias: one that can be taken neither for an address nor for a UUID. */
export function isAlias(text: string): boolean {
  return isHostName(text) && !text.includes('.') && !/^[0-9a-f]{7,}$/i.test(text) && !/^[\d.]+$/.test(text);
}

/** A device of which nothing is known yet. */
export const unknownDevice: KnownDevice = {
  uuid: null,
  aliases: [],
  hostname: null,
  addresses: [],
  sshPort: 22222,
  hostKey: null,
  engineId: null,
  deviceType: null,
  seenAt: null,
  flashedAt: null,
};

/** The device that a JSON value describes. What in it cannot be is left out; undefined when too little is left to know it again. */
export function parseKnownDevice(value: unknown): KnownDevice | undefined {
  if (!isRecord(value)) return undefined;
  const uuid = textIf(value.uuid, isUuid);
  const hostname = textIf(value.hostname, isHostName);
  const aliases = textsIf(value.aliases, isAlias).slice(0, mostAliases);
  const addresses = textsIf(value.addresses, (text) => isIP(text) !== 0).slice(0, mostAddresses);
  if (uuid === null && hostname === null && aliases.length === 0) return undefined;
  const { sshPort } = value;
  return {
    uuid,
    aliases,
    hostname: hostname === null ? null : bareHostname(hostname),
    addresses,
    sshPort:
      typeof sshPort === 'number' && Number.isInteger(sshPort) && sshPort > 0 && sshPort < 65_536 ? sshPort : 22222,
    hostKey: textIf(value.hostKey, isFingerprint),
    engineId: textIf(value.engineId, isPlain),
    deviceType: textIf(value.deviceType, isPlain),
    seenAt: textIf(value.seenAt, isTime),
    flashedAt: textIf(value.flashedAt, isTime),
  };
}

function textIf(value: unknown, isGood: (text: string) => boolean): string | null {
  return typeof value === 'string' && value.length <= longestText * 2 && isGood(value) ? value : null;
}

function textsIf(value: unknown, isGood: (text: string) => boolean): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: unknown) => textIf(one, isGood) ?? []);
}

function isFingerprint(text: string): boolean {
  return /^SHA256:[A-Za-z0-9+/]{43}$/.test(text);
}

function isPlain(text: string): boolean {
  return text !== '' && text.length <= longestText && !/\p{C}/u.test(text);
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));
}
