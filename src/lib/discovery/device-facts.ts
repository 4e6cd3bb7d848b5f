import { isRecord } from '../platform/json.js';
import { isUuid } from '../platform/uuid.js';

/** What a device says about itself. Facts it does not give are null. */
export interface DeviceFacts {
  readonly uuid: string | null;
  /** Development mode is what opens the engine's port; unknown when not even SSH answers. */
  readonly mode: 'development' | 'production' | 'unknown';
  /** `balenaOS 6.8.1` */
  readonly os: string | null;
  /** What sets an image apart from others of its version, on OS versions before 2.85: `dev` or `prod`. */
  readonly osVariant: string | null;
  /** `raspberrypi4-64` */
  readonly deviceType: string | null;
  /** `aarch64` */
  readonly architecture: string | null;
  readonly engineVersion: string | null;
  readonly supervisorVersion: string | null;
  /** Whether it runs from a card or stick only to install itself. */
  readonly isFlasher: boolean;
  /** Those of SSH, the engine and the Supervisor that accept connections. */
  readonly openPorts: readonly number[];
}

/** What one of several sources says, besides what only an engine knows about itself. */
export type PartialFacts = Partial<DeviceFacts> & { readonly engineId?: string | undefined };

/** Nothing known yet. */
export const noFacts: DeviceFacts = {
  uuid: null,
  mode: 'unknown',
  os: null,
  osVariant: null,
  deviceType: null,
  architecture: null,
  engineVersion: null,
  supervisorVersion: null,
  isFlasher: false,
  openPorts: [],
};

/** Puts together what several sources say; where two say something, the earlier one counts. */
export function mergeFacts(sources: readonly PartialFacts[]): DeviceFacts & { readonly engineId: string | undefined } {
  let all: DeviceFacts & { readonly engineId: string | undefined } = { ...noFacts, engineId: undefined };
  for (const source of [...sources].reverse()) {
    const said = Object.entries(source).filter(([, value]) => value !== null && value !== undefined);
    all = { ...all, ...Object.fromEntries(said) };
  }
  return all;
}

/** A text from a JSON document of somebody unknown, fit for a terminal and of bounded length, or null. */
export function factAt(document: unknown, ...keys: readonly string[]): string | null {
  const value = keys.reduce((at: unknown, key) => (isRecord(at) ? at[key] : undefined), document);
  return typeof value === 'string' ? factText(value) : null;
}

/** A text from somebody unknown, fit for a terminal and of bounded length; null when nothing is left. */
export function factText(value: string): string | null {
  const text = value.replaceAll(/\p{C}/gu, '').trim().slice(0, 100);
  return text === '' ? null : text;
}

/** A UUID that somebody claims to have, if it is one. */
export function factUuid(value: string | null | undefined): string | null {
  return value !== null && value !== undefined && isUuid(value) ? value : null;
}
