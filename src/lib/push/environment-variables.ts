import { Failure } from '../failure/failure.js';
import { environmentVariable } from '../platform/environment.js';
import { nearestName } from '../platform/nearest-name.js';
import type { Composition } from '../project/composition.js';

/** A variable for one service, or for all of them. */
export interface ServiceVariable {
  readonly service: string | undefined;
  readonly name: string;
  readonly value: string;
}

/**
 * Reads `NAME=value` and `service:NAME=value` words. A bare name takes its value from davit's own environment, so that a
 * secret need not stand on the command line. The value is never part of a failure.
 */
export function parseVariables(words: readonly string[]): ServiceVariable[] {
  return words.map(parseVariable);
}

function parseVariable(word: string): ServiceVariable {
  const [, service, name = '', value] = /^(?:([a-zA-Z0-9][a-zA-Z0-9_.-]*):)?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
    throw new Failure('usage', 'invalid-environment-variable', `"${name}" is not a name for an environment variable`, {
      hint: 'Use letters, digits and underscores, and no digit first: --env LOG_LEVEL=debug',
    });
  }
  const found = value ?? environmentVariable(name);
  if (found === undefined) {
    throw new Failure('usage', 'invalid-environment-variable', `${name} has no value, here or in the environment`, {
      hint: `Give it one: --env ${name}=value, or set ${name} before davit starts`,
    });
  }
  return { service, name, value: found };
}

/** A composition whose services have these variables besides their own; the last of two with one name counts. */
export function withVariables(composition: Composition, variables: readonly ServiceVariable[]): Composition {
  const names = Object.keys(composition.services);
  for (const { service, name } of variables) {
    if (service === undefined || names.includes(service)) continue;
    const nearest = nearestName(service, names);
    throw new Failure(
      'usage',
      'service-unknown',
      `--env ${service}:${name} is for a service that the project does not have`,
      {
        hint: nearest === undefined ? `It has ${names.join(', ')}` : `Did you mean ${nearest}?`,
      },
    );
  }
  const services = Object.entries(composition.services).map(([key, service]) => {
    const own = variables.filter((one) => one.service === undefined || one.service === key);
    const added = Object.fromEntries(own.map(({ name, value }) => [name, value]));
    return [key, { ...service, environment: { ...service.environment, ...added } }] as const;
  });
  return { ...composition, services: Object.fromEntries(services) };
}
