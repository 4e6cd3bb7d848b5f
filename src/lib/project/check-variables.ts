import type { Finding } from './finding.js';
import type { Project } from './project.js';

/** Variables that have no value here. On a device of a fleet the cloud may set them; it does not for what is pushed to the device itself. */
export function checkVariables({ unset, unsetInServices, leftOut, unread }: Project): readonly Finding[] {
  const cloud = 'variables of the cloud do not reach what is pushed to a device';
  return [
    ...unset.map(({ name, place }): Finding => ({
      level: 'warning',
      code: 'variable-unset',
      place,
      message: `the variable ${name} is not set and stands for nothing: set it here or in .env, or write \${${name}:-default}`,
    })),
    ...unsetInServices.map(({ name, place, service }): Finding => ({
      level: 'warning',
      code: 'variable-unset',
      service,
      place,
      message: `services.${service}.environment.${name} has no value here and is empty: give it one, as ${cloud}`,
    })),
    ...Array.from(leftOut, ([service, profiles]): Finding => ({
      level: 'note',
      code: 'service-left-out',
      service,
      message: `${service} is left out: its profile ${profiles.join(' or ')} is not on; --profile ${profiles[0] ?? ''} turns it on`,
    })),
    ...unread.map((name): Finding => ({
      level: 'note',
      code: 'file-not-read',
      message: `${name} is not read: name it with --file, after the others, if it is meant`,
    })),
  ];
}
