import { Failure } from '../failure/failure.js';
import { findKnownDevice } from './find-known-device.js';
import type { Inventory } from './inventory.js';
import { isAlias, type KnownDevice, mostAliases, nameOf } from './known-device.js';

/** Gives a known device another name, which stays with it whatever it calls itself. Fails when another one has that name. */
export async function aliasDevice(inventory: Inventory, word: string, alias: string): Promise<KnownDevice> {
  if (!isAlias(alias)) {
    throw new Failure('usage', 'invalid-alias', `"${alias}" cannot be an alias`, {
      hint: 'Use letters, digits and dashes, and nothing that could be an address or a UUID: bench-3',
    });
  }
  const isNamedSo = (name: string) => name.toLowerCase() === alias.toLowerCase();
  return changeOne(inventory, word, (device, devices) => {
    const owner = devices.find((one) => one !== device && [...one.aliases, one.hostname ?? ''].some(isNamedSo));
    if (owner !== undefined) {
      throw new Failure('refused', 'alias-taken', `${alias} is already ${owner.uuid ?? nameOf(owner)}`, {
        hint: `Take the name from that device first: davit device alias ${alias} ${alias} --remove`,
      });
    }
    const aliases = [alias, ...device.aliases.filter((name) => !isNamedSo(name))];
    if (aliases.length > mostAliases) {
      const message = `${nameOf(device)} has ${device.aliases.length} aliases already: ${device.aliases.join(', ')}`;
      throw new Failure('refused', 'too-many-aliases', message, {
        hint: `Take one of them back first: davit device alias ${nameOf(device)} ${device.aliases.at(-1) ?? ''} --remove`,
      });
    }
    return { ...device, aliases };
  });
}

/** Takes an alias from the device that has it. */
export async function removeAlias(inventory: Inventory, word: string, alias: string): Promise<KnownDevice> {
  return changeOne(inventory, word, (device) => {
    const aliases = device.aliases.filter((name) => name.toLowerCase() !== alias.toLowerCase());
    if (aliases.length < device.aliases.length) return { ...device, aliases };
    throw new Failure('not-found', 'alias-not-found', `${nameOf(device)} has no alias ${alias}`, {
      hint: device.aliases.length > 0 ? `It has ${device.aliases.join(', ')}` : 'It has none',
    });
  });
}

/** Forgets a device and gives what was known of it. */
export async function forgetDevice(inventory: Inventory, word: string): Promise<KnownDevice> {
  let forgotten: KnownDevice | undefined;
  await inventory.change((devices) => {
    const found = findKnownDevice(devices, word);
    forgotten = found;
    return devices.filter((one) => one !== found);
  });
  if (forgotten === undefined) throw new Error('nothing was forgotten');
  return forgotten;
}

async function changeOne(
  inventory: Inventory,
  word: string,
  change: (device: KnownDevice, devices: readonly KnownDevice[]) => KnownDevice,
): Promise<KnownDevice> {
  let changed: KnownDevice | undefined;
  await inventory.change((devices) => {
    const device = findKnownDevice(devices, word);
    const after = change(device, devices);
    changed = after;
    return devices.map((one) => (one === device ? after : one));
  });
  if (changed === undefined) throw new Error('nothing was changed');
  return changed;
}
