import { Failure } from '../failure/failure.js';
import type { Composition } from '../project/composition.js';
import type { Project } from '../project/project.js';
import { waitsOf } from './service-order.js';

/** The services that are meant where some are named: those, and all that they wait for. All services where none is named. */
export function chosenServices(composition: Composition, names: readonly string[]): ReadonlySet<string> {
  const { services } = composition;
  const all = Object.keys(services);
  const unknown = names.find((name) => !Object.hasOwn(services, name));
  if (unknown !== undefined) {
    throw new Failure('usage', 'unknown-service', `the project has no service ${unknown}`, {
      hint: `Its services: ${all.join(', ')}`,
    });
  }
  const chosen = new Set(names.length === 0 ? all : names);
  // What is added meanwhile is visited too.
  for (const name of chosen) {
    const service = services[name];
    if (service === undefined) continue;
    for (const wait of waitsOf(service)) if (Object.hasOwn(services, wait.service)) chosen.add(wait.service);
  }
  return chosen;
}

/** A project as if it had some of its services only. */
export function partOf(project: Project, chosen: ReadonlySet<string>): Project {
  const { composition, unsetInServices } = project;
  const services = Object.entries(composition.services).filter(([name]) => chosen.has(name));
  return {
    ...project,
    composition: { ...composition, services: Object.fromEntries(services) },
    unsetInServices: unsetInServices.filter(({ service }) => chosen.has(service)),
  };
}
