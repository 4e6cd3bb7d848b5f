import { type DeviceFacts, mergeFacts, type PartialFacts } from '../discovery/device-facts.js';
import { engineFacts } from '../discovery/engine-facts.js';
import type { DeviceDocuments } from '../discovery/http-document.js';
import { Inventory } from '../discovery/inventory.js';
import { factsScript, parseLoginFacts } from '../discovery/login-facts.js';
import { recognise } from '../discovery/note-sighting.js';
import { supervisorFacts } from '../discovery/supervisor-facts.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { engineInfo } from '../engine/engine-info.js';
import { engineJson } from '../engine/engine-request.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { supervisorJson } from '../supervisor/supervisor-request.js';
import { ifTold, supervisorReport, type SupervisorReport } from '../supervisor/supervisor-report.js';
import type { Device } from './device.js';
import { type DeviceService, servicesOfEngine, servicesOfSupervisor } from './device-services.js';
import { detailsScript, type HostDetails, noHostDetails, parseHostDetails } from './host-details.js';
import { requireSupervisor } from './require-supervisor.js';
import { runScript } from './run-script.js';

/** Whether one of the ways into a device is open, and why not. */
export interface Reach {
  readonly isOpen: boolean;
  /** Why not; null where it is. */
  readonly reason: string | null;
}

/** Everything that can be told of one device. What nobody tells is null. */
export interface DeviceInfo extends Omit<DeviceFacts, 'openPorts'>, HostDetails {
  readonly name: string;
  readonly address: string;
  /** The user's own names for it. */
  readonly aliases: readonly string[];
  /** `6.8.1` */
  readonly osVersion: string | null;
  readonly ssh: Reach;
  readonly engine: Reach;
  readonly supervisor: Reach;
  /** What the Supervisor says of itself. */
  readonly supervisorReport: SupervisorReport | null;
  readonly services: readonly DeviceService[];
}

/** How long all answers together may take once the device is connected to. */
const patienceMs = 20_000;

/**
 * Asks a device for everything, over SSH, its engine and its Supervisor at once. Each of them is optional; fails as connecting by SSH does where
 * none is in reach.
 */
export async function deviceInfo(
  device: Device,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressListener },
): Promise<DeviceInfo> {
  const patience = limit(signal, patienceMs);
  try {
    const [login, engine, supervisor] = await Promise.all([
      attempt(() => askHost(device)),
      attempt(async () => askEngine(await device.engine(), patience.signal)),
      attempt(() => askSupervisor(device, patience.signal)),
    ]);
    signal.throwIfAborted();
    if (login.failure !== undefined && engine.answer === undefined && supervisor.answer === undefined) {
      throw login.failure;
    }
    // An engine that is reached although nobody may log in has its port open, which is what development mode is.
    const isOpen = login.answer === undefined && engine.answer !== undefined;
    const facts = mergeFacts([
      login.answer?.facts ?? {},
      supervisor.answer?.facts ?? {},
      engine.answer?.facts ?? {},
      isOpen ? { mode: 'development' } : {},
    ]);
    const { uuid, mode, os, osVariant, deviceType, architecture, isFlasher, engineId } = facts;
    const { engineVersion, supervisorVersion } = facts;
    const details = login.answer?.details ?? noHostDetails;
    const hostname = details.hostname ?? supervisor.answer?.report.hostname ?? engine.answer?.hostname ?? null;
    const known = recognise(await new Inventory(progress).readIfPossible(), {
      uuid: uuid ?? undefined,
      hostname: hostname ?? undefined,
      engineId,
    });
    return {
      ...details,
      uuid,
      mode,
      os,
      osVariant,
      deviceType,
      architecture,
      engineVersion,
      supervisorVersion,
      isFlasher,
      hostname,
      name: device.name,
      address: device.address,
      aliases: known?.aliases ?? [],
      osVersion: /\d+\.\d+\.\d+\S*/.exec(os ?? '')?.[0] ?? null,
      ssh: reachOf(login),
      engine: reachOf(engine),
      supervisor: reachOf(supervisor),
      supervisorReport: supervisor.answer?.report ?? null,
      services: engine.answer?.services ?? supervisor.answer?.services ?? [],
    };
  } finally {
    patience.end();
  }
}

/** What came of asking somebody. */
type Attempt<T> =
  { readonly answer: T; readonly failure?: never } | { readonly answer?: never; readonly failure: Failure };

async function attempt<T>(ask: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { answer: await ask() };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { failure: error };
  }
}

function reachOf({ failure }: Attempt<unknown>): Reach {
  return { isOpen: failure === undefined, reason: failure?.message ?? null };
}

async function askHost(device: Device): Promise<{ readonly facts: PartialFacts; readonly details: HostDetails }> {
  const { stdout } = await runScript(await device.ssh(), `${factsScript}\n${detailsScript}`);
  const output = stdout.toString('utf8');
  return { facts: parseLoginFacts(output), details: parseHostDetails(output) };
}

async function askEngine(engine: EngineConnection, signal: AbortSignal) {
  const get = (path: string) => ifTold(engineJson(engine, { method: 'GET', path, signal }));
  const [facts, services, info] = await Promise.all([
    engineFacts(documents(get)),
    servicesOfEngine(engine, signal),
    ifTold(engineInfo(engine, signal)),
  ]);
  return { facts, services, hostname: info?.hostname };
}

async function askSupervisor(device: Device, signal: AbortSignal) {
  const supervisor = await requireSupervisor(device);
  const get = (path: string) => ifTold(supervisorJson(supervisor, { method: 'GET', path, signal }));
  const [facts, services, report] = await Promise.all([
    supervisorFacts(documents(get)),
    ifTold(servicesOfSupervisor(supervisor, signal)),
    supervisorReport(supervisor, signal),
  ]);
  return { facts, services, report };
}

/** Documents that are asked for in one way only. */
function documents(get: (path: string) => Promise<unknown>): DeviceDocuments {
  return {
    document: get,
    text: async (path) => {
      const answer = await get(path);
      return typeof answer === 'string' ? answer : undefined;
    },
  };
}
