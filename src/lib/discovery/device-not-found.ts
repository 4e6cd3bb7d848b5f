import { Failure } from '../failure/failure.js';
import { isForwarded } from './find-again.js';
import { hostNameAt } from './host-name-at.js';
import { bareHostname, type KnownDevice, nameOf } from './known-device.js';
import { givenUuid } from './look-up-name.js';

/** The failure that says where a device was looked for. */
export function deviceNotFound(name: string, known: KnownDevice | undefined): Failure {
  if (known === undefined && isLikeUuid(name)) {
    const message = `davit knows no device whose UUID begins with ${name}, and none called so answers on this network`;
    return new Failure('not-found', 'device-not-found', message, {
      hint: `A device that davit has not met yet is found by its whole UUID or by its first seven digits, which it is called by: ${name.slice(0, 7).toLowerCase()}`,
    });
  }
  if (known === undefined) {
    return new Failure('not-found', 'device-not-found', `no device called ${name} answers on this network`, {
      hint: 'Run davit scan to see the devices that do; one that was just started needs a minute',
    });
  }
  const [last] = known.addresses;
  const port = isForwarded(known) ? ` port ${known.sshPort}` : '';
  const where =
    last === undefined ? 'and davit has never seen it' : `nor does anything at ${last}${port}, where it was last seen`;
  const called = nameOf(known) === name ? name : `${name} (${nameOf(known)})`;
  return new Failure('not-found', 'device-not-found', `${called} does not answer by its name, ${where}`, {
    hint: 'Check that it is on and in this network; davit scan lists the devices that are. One that was just started needs a minute',
  });
}

/** Whether a word looks like a part of a UUID that is longer than what devices are called by. */
function isLikeUuid(name: string): boolean {
  return /^[0-9a-f]{8,}$/i.test(name) && givenUuid(name) === undefined;
}

/** Fails as not found when the computer at the last address of a device of which nothing but a name is known has another one now. */
export async function requireNobodyElse(
  asked: string,
  { uuid, hostname }: KnownDevice,
  address: string,
  signal: AbortSignal,
): Promise<void> {
  // Whoever logs in to a device whose UUID is known finds out who it is.
  if (uuid !== null || hostname === null) return;
  const now = await hostNameAt(address, signal);
  if (now === undefined || bareHostname(now) === hostname) return;
  const message = `${asked} does not answer by its name, and at ${address}, where it was last seen, is ${now}`;
  throw new Failure('not-found', 'device-not-found', message, {
    hint: `davit scan lists the devices in this network. If that is the device all the same, use its address: ${address}`,
  });
}
