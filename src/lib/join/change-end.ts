import { Failure } from '../failure/failure.js';
import { backupPath } from './change-script.js';

/** Seconds that os-config has; stopping the Supervisor alone may take 90. */
export const osConfigSeconds = 180;

/** What a change was to do. */
export interface ChangeKind {
  readonly kind: 'join' | 'leave';
  readonly cloud: { readonly apiEndpoint: string } | undefined;
}

/** What became of a change, by the word that the device has for it; undefined when it is done. */
export function failureOf(end: string, name: string, { kind, cloud }: ChangeKind): Failure | undefined {
  const [word, code = ''] = end.split(' ');
  const unchanged = { device: name, state: 'unchanged' };
  switch (word) {
    case 'done':
      return undefined;
    case 'unreachable':
      return new Failure(
        'unreachable',
        'cloud-unreachable',
        `${name} cannot reach ${cloud?.apiEndpoint ?? 'the cloud'}; nothing was changed`,
        {
          hint: 'Check the network of the device, and balenaRootCA if the cloud has its own certificates',
          report: unchanged,
        },
      );
    case 'changed':
      return new Failure(
        'refused',
        'live-config-busy',
        `config.json of ${name} has changed meanwhile; nothing was changed`,
        {
          hint: 'Something else writes it now; try again in a moment',
          report: unchanged,
        },
      );
    case 'unwritten':
      return new Failure(
        'failed',
        'live-config-failed',
        `a backup of config.json cannot be written on ${name}; nothing was changed`,
        {
          hint: `See what takes the room: davit ssh ${name} -- df /mnt/boot`,
          report: unchanged,
        },
      );
    case 'failed':
      return new Failure(
        'failed',
        'os-config-failed',
        `the ${kind} failed on ${name} (exit code ${code}); what was there before is back`,
        {
          hint: 'What os-config printed says why',
          report: { device: name, state: 'restored' },
        },
      );
    case 'timeout':
      return new Failure(
        'unreachable',
        'os-config-timeout',
        `os-config did not get done on ${name} in ${osConfigSeconds} s; what was there before is back`,
        {
          hint: `See whether the device reaches ${cloud?.apiEndpoint ?? 'the cloud'}`,
          report: { device: name, state: 'restored' },
        },
      );
    case 'aborted':
      return new Failure('interrupted', 'interrupted', `${name} is as it was before`, {
        report: { device: name, state: 'restored' },
      });
    case 'stuck':
      return new Failure(
        'failed',
        'rollback-failed',
        `the ${kind} failed on ${name}, and config.json could not be put back`,
        {
          hint: `What was there before is in ${backupPath}: davit ssh ${name} -- cp ${backupPath} /mnt/boot/config.json`,
          report: { device: name, state: 'broken' },
        },
      );
    case undefined:
    default:
      return new Failure('unreachable', 'change-broken-off', `${name} was restarted before the ${kind} was done`, {
        hint: `Run the command again: it shows with --dry-run what ${name} has now`,
        report: { device: name, state: 'unknown' },
      });
  }
}

/** The failure of a change that has changed nothing, by what its beginning failed with. */
export function notStarted(name: string, reason: Failure | string | undefined): Failure {
  const why = reason instanceof Failure ? reason.message : (reason ?? '');
  const message = `${name} could not begin${why === '' ? '' : `: ${why}`}; nothing was changed`;
  return new Failure('failed', 'change-not-started', message, {
    hint: 'See whether the link is good, and whether /run is writable and has room',
    report: { device: name, state: 'unchanged' },
  });
}

/** The failure where another change goes on. */
export function busy(name: string): Failure {
  return new Failure('refused', 'change-under-way', `${name} is joining or leaving a fleet already`, {
    hint: 'Wait until it is done, a few minutes at most',
  });
}

/** The failure where the device carries on and cannot be seen. */
export function linkLost(name: string, cause: Failure): Failure {
  const message = `the link to ${name} was lost (${cause.message}); the device goes on by itself and ends with what it had or with what it is to have`;
  return new Failure('unreachable', 'change-unseen', message, {
    hint: `Reach it again and see what it has: davit ssh ${name} -- ls ${backupPath}, which is there as long as it is not done`,
    cause,
    report: { device: name, state: 'unknown' },
  });
}
