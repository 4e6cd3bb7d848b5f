import { Failure } from '../failure/failure.js';
import type { Composition, Dependency, Service } from '../project/composition.js';

/** What one service waits for. */
export interface Wait {
  readonly service: string;
  readonly condition: Dependency['condition'];
  readonly required: boolean;
  /** Whether it is to start anew when the other is replaced. */
  readonly restart: boolean;
}

/** The other services that a service waits for before it starts: those that it depends on, and those whose container it joins. */
export function waitsOf(service: Service): readonly Wait[] {
  const waits = new Map<string, Wait>();
  for (const mode of [service.network_mode, service.ipc, service.pid]) {
    const name = /^service:(.*)$/.exec(mode ?? '')?.[1];
    if (name !== undefined)
      waits.set(name, { service: name, condition: 'service_started', required: true, restart: true });
  }
  for (const [name, dependency] of Object.entries(service.depends_on ?? {}))
    waits.set(name, { service: name, ...dependency });
  return [...waits.values()];
}

/** The services of a composition, each after those that it waits for and otherwise in the order of the files. */
export function serviceOrder({ services }: Composition): readonly string[] {
  const order: string[] = [];
  const begun = new Set<string>();
  const add = (name: string, path: readonly string[]) => {
    const service = services[name];
    if (service === undefined || order.includes(name)) return;
    if (begun.has(name)) {
      const circle = [...path.slice(path.indexOf(name)), name].join(' -> ');
      throw new Failure('refused', 'dependency-circle', `the services wait for each other: ${circle}`, {
        hint: 'Take one of them out of depends_on',
      });
    }
    begun.add(name);
    for (const wait of waitsOf(service)) add(wait.service, [...path, name]);
    order.push(name);
  };
  for (const name of Object.keys(services)) add(name, []);
  return order;
}
