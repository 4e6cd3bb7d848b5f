import type { EngineConnection } from '../engine/engine-connection.js';
import { deployOnEngine } from './deploy-on-engine.js';
import type { Deployer, PlannedAction } from './deployer.js';
import { readEngineState } from './engine-state.js';
import { type DeploymentPlan, planDeployment } from './plan-deployment.js';
import type { ContainerHost } from './standard-environment.js';

/** How a composition is deployed by ourselves. */
export interface EngineDeployerOptions {
  readonly host: ContainerHost;
  /** The services that are deployed; the others stay as they are. */
  readonly chosen: ReadonlySet<string>;
  /** Whether services that are no longer part of the composition stay. */
  readonly keepOrphans: boolean;
}

/** The deployer for an engine that no Supervisor looks after. */
export function engineDeployer(
  engine: EngineConnection,
  { host, chosen, keepOrphans }: EngineDeployerOptions,
): Deployer {
  return {
    plan: async (composition, images, signal) => {
      const state = await readEngineState(engine, signal);
      const plan = planDeployment({ composition, chosen, images, host, keepOrphans }, state);
      return {
        actions: actionsOf(plan),
        isDone: plan.isDone,
        run: (options) => deployOnEngine(engine, plan, options),
      };
    },
  };
}

function actionsOf({ services, networks, volumes, removals }: DeploymentPlan): PlannedAction[] {
  const as = (kind: PlannedAction['kind'], plans: readonly Omit<PlannedAction, 'kind'>[]) =>
    plans.map(({ name, action, reason }) => ({ kind, name, action, reason }));
  return [...as('network', networks), ...as('volume', volumes), ...as('service', services), ...as('service', removals)];
}
