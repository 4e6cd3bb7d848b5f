import type { ContainerSummary } from '../engine/containers.js';
import { serviceOfContainer } from '../engine/find-service.js';
import type { EngineNetwork } from '../engine/networks.js';
import { Failure } from '../failure/failure.js';
import type { Composition, Service } from '../project/composition.js';
import { type ContainerPlan, planContainer } from './container-spec.js';
import { definitionLabel, differingKeys } from './definition.js';
import type { PlannedAction } from './deployer.js';
import type { EngineState } from './engine-state.js';
import { localRelease, serviceNumbers } from './local-release.js';
import { objectNames } from './object-names.js';
import { networkSpec, type ObjectSpec, volumeSpec } from './object-specs.js';
import { serviceOrder, type Wait, waitsOf } from './service-order.js';
import type { ContainerHost } from './standard-environment.js';

/** What is to run on an engine. */
export interface DeploymentRequest {
  readonly composition: Composition;
  /** The services that are deployed; the others stay as they are, but for what has to start anew with one of these. */
  readonly chosen: ReadonlySet<string>;
  /** IDs of the images on the engine by service; a service that is not built yet has none. */
  readonly images: ReadonlyMap<string, string>;
  readonly host: ContainerHost;
  /** Whether services that are no longer part of the composition stay. */
  readonly keepOrphans: boolean;
}

/** What is done with one thing, and why. */
interface Planned<A extends PlannedAction['action']> extends Omit<PlannedAction, 'kind'> {
  readonly action: A;
}

/** What happens to one service. */
export interface ServicePlan extends Planned<'create' | 'recreate' | 'start' | 'keep'> {
  readonly container: ContainerPlan;
  readonly imageId: string | undefined;
  readonly waits: readonly Wait[];
  /** The container that is in its place. */
  readonly current: ContainerSummary | undefined;
  /** Further containers of it, which pushes that were killed have left. */
  readonly leftovers: readonly ContainerSummary[];
}

/** What happens to one network. */
export interface NetworkPlan extends Planned<'create' | 'recreate' | 'keep' | 'remove'> {
  readonly wanted: ObjectSpec | undefined;
  readonly current: EngineNetwork | undefined;
  /** The containers on it, and whether they stay as they are otherwise. */
  readonly attached: readonly { readonly container: ContainerSummary; readonly stays: boolean }[];
}

/** What happens to one volume. None is ever removed. */
export interface VolumePlan extends Planned<'create' | 'keep'> {
  readonly wanted: ObjectSpec;
  /** Whether it is there and is not what the composition says. */
  readonly differs: boolean;
}

/** A container of a service that is no longer part of the composition. */
export interface RemovalPlan extends Planned<'remove'> {
  readonly container: ContainerSummary;
}

/** A deployment that has been thought through: services in the order in which they start. */
export interface DeploymentPlan {
  readonly services: readonly ServicePlan[];
  readonly networks: readonly NetworkPlan[];
  readonly volumes: readonly VolumePlan[];
  readonly removals: readonly RemovalPlan[];
  /** Whether everything is as it should be already. */
  readonly isDone: boolean;
}

/** Compares what is to run with what an engine has. Touches nothing. */
export function planDeployment(request: DeploymentRequest, state: EngineState): DeploymentPlan {
  const { composition, keepOrphans } = request;
  const networks = planNetworks(request, state);
  const volumes = planVolumes(request, state);
  const services = planServices(request, state, networks);
  const orphans = keepOrphans ? [] : state.containers.filter((one) => isOrphan(one, composition));
  const removals = orphans.map((container) => ({
    name: serviceOf(container) ?? container.name,
    action: 'remove' as const,
    reason: 'it is not part of the project',
    container,
  }));
  const isDone =
    removals.length === 0 &&
    [...services, ...networks, ...volumes].every(({ action }) => action === 'keep') &&
    services.every(({ leftovers }) => leftovers.length === 0);
  return { services, networks, volumes, removals, isDone };
}

function planServices(
  { composition, chosen, images, host }: DeploymentRequest,
  { containers, synced }: EngineState,
  networks: readonly NetworkPlan[],
): ServicePlan[] {
  const numbers = serviceNumbers(Object.keys(composition.services));
  const names = objectNames(composition);
  const awaited = new Set(
    Object.values(composition.services)
      .flatMap(waitsOf)
      .flatMap(({ service, condition }) => (condition === 'service_completed_successfully' ? [service] : [])),
  );
  const renewed = new Set(networks.flatMap(({ action, name }) => (action === 'recreate' ? [name] : [])));
  const plans = new Map<string, ServicePlan>();
  for (const name of serviceOrder(composition)) {
    const service = composition.services[name];
    if (service === undefined) continue;
    const number = numbers.get(name) ?? 0;
    const surroundings = { number, host, objectNames: names, isAwaited: awaited.has(name) };
    const container = planContainer(name, service, surroundings);
    const isChosen = chosen.has(name);
    const own = containers.filter((one) => serviceOfContainer(one.name) === name);
    const current = own.find((one) => isRelease(one) && one.state === 'running') ?? own.find(isRelease);
    if (!isChosen && current === undefined) continue;
    const imageId = isChosen ? images.get(name) : current?.imageId;
    const waits = waitsOf(service).filter((wait) => plans.has(wait.service));
    const reasons = [
      ...(isChosen ? reasonsOf(service, { container, imageId, current, synced, renewed }) : []),
      ...waits.flatMap((wait) =>
        wait.restart && isReplaced(plans.get(wait.service))
          ? [`${wait.service}, on which it depends, is replaced`]
          : [],
      ),
    ];
    plans.set(name, {
      name,
      ...(isChosen || reasons.length > 0 ? actionFor(current, reasons, container) : leftAlone),
      container,
      imageId,
      waits,
      current,
      leftovers: isChosen || reasons.length > 0 ? own.filter((one) => one !== current) : [],
    });
  }
  return [...plans.values()];
}

const leftAlone = { action: 'keep', reason: 'it is not among the services that are pushed' } as const;

/** Why a service that is deployed is made anew for its own sake. */
function reasonsOf(
  { networks = {} }: Service,
  {
    container,
    imageId,
    current,
    synced,
    renewed,
  }: Pick<ServicePlan, 'container' | 'imageId' | 'current'> &
    Pick<EngineState, 'synced'> & { readonly renewed: ReadonlySet<string> },
): string[] {
  return [
    ...changesOf(container, imageId, current),
    ...(current !== undefined && synced.has(current.id) ? [syncedReason] : []),
    ...Object.keys(networks).flatMap((network) =>
      renewed.has(network) ? [`the network ${network} is made anew`] : [],
    ),
  ];
}

/** Why a container is made anew that is otherwise as it should be. */
export const syncedReason = 'files were carried into it since';

function isReplaced(plan: ServicePlan | undefined): boolean {
  return plan?.action === 'recreate';
}

/** A container in its place, not one with which a push that was killed was about to replace it. */
function isRelease({ name }: ContainerSummary): boolean {
  return new RegExp(`_\\d+_${localRelease.releaseId}_${localRelease.commit}$`).test(name);
}

/** In what a container differs from what it should be, as the ends of sentences. */
function changesOf(
  { definition }: ContainerPlan,
  imageId: string | undefined,
  current: ContainerSummary | undefined,
): string[] {
  if (current === undefined) return [];
  const keys = differingKeys(current.labels[definitionLabel], definition);
  if (keys === undefined) return ['it was made by something else than davit'];
  const changed = [
    ...(imageId !== undefined && imageId !== current.imageId ? ['image'] : []),
    ...keys.map((key) => keyWords[key] ?? key),
  ];
  return changed.length === 0 ? [] : [`other ${changed.join(', ')}`];
}

/** Parts of a definition that no compose file has. */
const keyWords: Readonly<Record<string, string>> = { device: 'facts of the device', objects: 'names of networks' };

function actionFor(
  current: ContainerSummary | undefined,
  reasons: readonly string[],
  { isTask }: ContainerPlan,
): Pick<ServicePlan, 'action' | 'reason'> {
  if (current === undefined) return { action: 'create', reason: 'there is none yet' };
  if (reasons.length > 0) return { action: 'recreate', reason: reasons.join(', ') };
  const isDone = isTask && current.exitCode === 0;
  if (current.state === 'running' || current.state === 'restarting' || isDone)
    return { action: 'keep', reason: 'unchanged' };
  const canStart = current.state === 'exited' || current.state === 'created';
  return { action: canStart ? 'start' : 'recreate', reason: `it is ${current.state}` };
}

function planNetworks(request: DeploymentRequest, { networks, containers }: EngineState): NetworkPlan[] {
  const { composition, keepOrphans } = request;
  const names = objectNames(composition);
  const needed = Object.entries(composition.networks).filter(([name]) =>
    isNeeded(request, ({ networks: used = {} }) => Object.hasOwn(used, name)),
  );
  const plans = needed.map(([name, network]): NetworkPlan => {
    const wanted = networkSpec(names.network(name), network);
    const current = networks.find((one) => one.name === wanted.name);
    const attached = containers
      .filter((one) => current !== undefined && one.networks.includes(current.name))
      .map((container) => ({ container, stays: staysAsItIs(container, request) }));
    const base = { name, wanted, current, attached };
    if (network.external === true) {
      if (current === undefined) throw missingObject(`network ${wanted.name}`);
      return { ...base, action: 'keep', reason: "it is not the project's own" };
    }
    if (current === undefined) return { ...base, action: 'create', reason: 'there is none yet' };
    const keys = differingKeys(current.labels[definitionLabel], wanted.definition) ?? [];
    return keys.length === 0
      ? { ...base, action: 'keep', reason: 'unchanged' }
      : { ...base, action: 'recreate', reason: `other ${keys.join(', ')}` };
  });
  if (keepOrphans) return plans;
  const wanted = new Set(plans.map((plan) => plan.wanted?.name));
  const orphans = networks.filter((one) => isOfRelease(one.labels) && !wanted.has(one.name));
  return [
    ...plans,
    ...orphans.map((current) => ({
      name: current.name,
      action: 'remove' as const,
      reason: 'it is not part of the project',
      wanted: undefined,
      current,
      attached: [],
    })),
  ];
}

/** Whether something of the composition is needed for the services that are deployed, as all of it is for all services. */
function isNeeded({ composition, chosen }: DeploymentRequest, uses: (service: Service) => boolean): boolean {
  const services = Object.entries(composition.services);
  return services.every(([name]) => chosen.has(name)) || services.some(([name, one]) => chosen.has(name) && uses(one));
}

function planVolumes(request: DeploymentRequest, { volumes }: EngineState): VolumePlan[] {
  const names = objectNames(request.composition);
  const needed = Object.entries(request.composition.volumes).filter(([name]) =>
    isNeeded(request, ({ volumes: used = [] }) =>
      used.some(({ type, source }) => type === 'volume' && source === name),
    ),
  );
  return needed.map(([name, volume]): VolumePlan => {
    const wanted = volumeSpec(names.volume(name), volume);
    const current = volumes.find((one) => one.name === wanted.name);
    const base = { name, wanted, differs: false };
    if (current === undefined && volume.external === true) throw missingObject(`volume ${wanted.name}`);
    if (current === undefined) return { ...base, action: 'create', reason: 'there is none yet' };
    const keys = volume.external === true ? [] : differingKeys(current.labels[definitionLabel], wanted.definition);
    return keys === undefined || keys.length === 0
      ? { ...base, action: 'keep', reason: 'unchanged' }
      : { ...base, differs: true, action: 'keep', reason: `it has other ${keys.join(', ')}, but also data` };
  });
}

function missingObject(what: string): Failure {
  const message = `the device has no ${what}, which the project takes from outside`;
  return new Failure('not-found', 'external-not-found', message, {
    hint: 'Create it on the device, or take external: true out of the compose file',
  });
}

function isOfRelease(labels: Readonly<Record<string, string>>): boolean {
  return labels['io.balena.app-id'] === localRelease.appId;
}

function isOrphan(container: ContainerSummary, { services }: Composition): boolean {
  const service = serviceOf(container);
  return isOfRelease(container.labels) && service !== undefined && !(service in services);
}

/** Whether a container is neither replaced nor removed when a network that it is on changes. */
function staysAsItIs(container: ContainerSummary, { composition, chosen, keepOrphans }: DeploymentRequest): boolean {
  if (isOrphan(container, composition)) return keepOrphans;
  return !chosen.has(serviceOfContainer(container.name) ?? '');
}

function serviceOf({ name, labels }: ContainerSummary): string | undefined {
  return labels['io.balena.service-name'] ?? serviceOfContainer(name);
}
