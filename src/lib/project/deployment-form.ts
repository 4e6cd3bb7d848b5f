import { anything, listOf, object, orEmpty } from './form.js';
import { choice, duration, number, pairs, plainText, size, text, texts, wholeNumber } from './form-values.js';

const pace = object(
  {},
  {
    parallelism: wholeNumber('a whole number'),
    delay: duration,
    failure_action: text(),
    monitor: duration,
    max_failure_ratio: number('a number'),
    order: choice('start-first', 'stop-first'),
  },
);

const deviceRequest = object(
  { capabilities: texts() },
  { count: plainText(), device_ids: texts(), driver: text(), options: pairs },
);

/** What a swarm would do with a service: read so that mistakes are found, though no device has a swarm. */
export const deployment = orEmpty(
  object(
    {},
    {
      mode: text(),
      endpoint_mode: text(),
      replicas: wholeNumber('a whole number'),
      labels: pairs,
      rollback_config: pace,
      update_config: pace,
      resources: object(
        {},
        {
          limits: object({}, { cpus: plainText(), memory: size, pids: wholeNumber('a whole number', -1) }),
          reservations: object(
            {},
            { cpus: plainText(), memory: size, generic_resources: listOf(anything), devices: listOf(deviceRequest) },
          ),
        },
      ),
      restart_policy: object(
        {},
        { condition: text(), delay: duration, max_attempts: wholeNumber('a whole number'), window: duration },
      ),
      placement: object(
        {},
        {
          constraints: texts(),
          preferences: listOf(object({}, { spread: text() })),
          max_replicas_per_node: wholeNumber('a whole number'),
        },
      ),
    },
  ),
);
