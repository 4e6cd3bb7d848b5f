import type { Composition, Service } from './composition.js';

/** The name that balena gives to the only service of a project without a compose file. */
export const onlyService = 'main';

/**
 * What balena makes of a project that has only a Dockerfile; the Supervisor, where there is one, acts on the feature labels.
 *
 * @param folder absolute path of the project
 * @param dockerfile relative to the folder, where it has another name than `Dockerfile`
 */
export function singleServiceComposition(name: string, folder: string, dockerfile: string | undefined): Composition {
  const build = { context: folder, args: {}, labels: {}, ...(dockerfile === undefined ? {} : { dockerfile }) };
  return compositionOf(name, folder, { build });
}

/** The same of an image that exists already. */
export function singleImageComposition(name: string, folder: string, image: string): Composition {
  return compositionOf(name, folder, { image });
}

function compositionOf(name: string, folder: string, origin: Pick<Service, 'build' | 'image'>): Composition {
  return {
    name,
    folder,
    services: {
      [onlyService]: {
        ...origin,
        environment: {},
        privileged: true,
        tty: true,
        restart: 'always',
        network_mode: 'host',
        volumes: [{ type: 'volume', source: 'resin-data', target: '/data' }],
        labels: Object.fromEntries(features.map((feature) => [`io.balena.features.${feature}`, '1'])),
      },
    },
    networks: {},
    volumes: { 'resin-data': {} },
    secrets: {},
    configs: {},
  };
}

const features = ['kernel-modules', 'firmware', 'dbus', 'supervisor-api', 'balena-api'] as const;
