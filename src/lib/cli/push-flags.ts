import { Args, Flags } from '@oclif/core';
import { deviceSources } from '../device/device-sources.js';
import { Inventory } from '../discovery/inventory.js';
import { scanDevices } from '../discovery/scan.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { buildPlaces } from '../push/open-delivery.js';

/** Flags that say how images get onto a device. */
export const deliveryFlags = {
  build: Flags.option({
    options: buildPlaces,
    default: 'device' as const,
    summary: 'Build on the device, or on this computer, from where the device is sent the layers that it lacks.',
  })(),
  image: Flags.string({
    multiple: true,
    multipleNonGreedy: true,
    helpValue: '[<service>=]<image>',
    summary:
      'Use an image that this computer has, or a file that docker save wrote, for a service, or without its name in place of a ' +
      'project. Can be repeated.',
  }),
};

/** Arguments of a command for some devices, or with `--all` for whatever the network has. */
export const anyDevicesArgs = {
  devices: Args.string({ multiple: true, description: 'Names, addresses or UUIDs of devices.' }),
};

/** The flag in place of names. */
export const allFlag = {
  all: Flags.boolean({ default: false, summary: 'All devices that davit scan finds in the network.' }),
};

const scanMs = 4000;

/** The devices that the user means: those that were named, or all that are found. */
export async function chosenDevices(
  { named = [], all }: { readonly named: readonly string[] | undefined; readonly all: boolean },
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressListener },
): Promise<readonly string[]> {
  if (all === named.length > 0) {
    throw new Failure('usage', 'devices-needed', all ? 'both --all and devices are given' : 'no device is given', {
      hint: 'Name devices, or give --all for all that davit scan finds',
    });
  }
  if (!all) return named;
  const inventory = new Inventory(progress);
  const options = { signal, timeoutMs: scanMs, inventory, sources: deviceSources(), onChange: () => undefined };
  const found = await scanDevices(options);
  const names = found.flatMap(({ hostname, addresses }) => hostname ?? addresses[0] ?? []);
  if (names.length === 0) {
    throw new Failure('not-found', 'device-not-found', 'no device is found in the network', {
      hint: 'See davit scan --help for networks that drop multicast, or name devices by their addresses',
    });
  }
  progress({ type: 'notice', level: 'info', text: `pushing to ${names.join(', ')}` });
  return names;
}
