import type { Composition } from '../project/composition.js';
import { localObjectName } from './local-release.js';

/** What a composition's networks and volumes are called on the engine. */
export interface ObjectNames {
  readonly network: (name: string) => string;
  readonly volume: (name: string) => string;
}

/** The Supervisor's names, but for objects whose name the compose file gives, or that exist without it. */
export function objectNames({ networks, volumes }: Composition): ObjectNames {
  const nameIn = (objects: Composition['networks'] | Composition['volumes']) => (name: string) => {
    const object = objects[name];
    return object?.name ?? (object?.external === true ? name : localObjectName(name));
  };
  return { network: nameIn(networks), volume: nameIn(volumes) };
}
