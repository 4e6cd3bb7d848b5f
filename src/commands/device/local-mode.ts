import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { deviceFlags, deviceOpeners } from '../../lib/cli/device-flags.js';
import { type LocalMode, type LocalModeEnd, planLocalModeEnd, readLocalMode } from '../../lib/device/local-mode.js';
import { endLocalMode, enterLocalMode } from '../../lib/device/switch-local-mode.js';
import { findAccount } from '../../lib/fleet/account-store.js';
import { requireConsent } from '../../lib/output/prompts.js';

/** What `davit device local-mode --json` prints. */
export interface DeviceLocalModeResult extends LocalMode {
  readonly version: 1;
  readonly device: string;
  readonly address: string;
  /** What was deleted with local mode. */
  readonly deleted?: LocalModeEnd;
}

export default class DeviceLocalMode extends BaseCommand {
  static override summary = 'Show whether a device is in local mode, in which it accepts projects, or switch that.';
  static override description =
    'A device that belongs to no fleet is always in local mode. Of one that does, only its cloud can switch local mode on, which takes a ' +
    'login (davit login); the services of the fleet stop then, and keep their images and volumes.\n\n' +
    'Switching it off deletes every container, image, network and volume that was made in local mode, with the data in them. They are ' +
    'listed first, and nothing happens without your consent or --yes. Without a login, a cloud in which local mode is set switches it on again.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c',
    '<%= config.bin %> <%= command.id %> 63ec46c off',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    state: Args.string({ options: ['on', 'off'], description: 'What it is to be.' }),
  };
  static override flags = {
    yes: Flags.boolean({ char: 'y', summary: 'Do not ask.' }),
    timeout: Flags.integer({
      default: 120,
      min: 1,
      helpValue: '<seconds>',
      summary: 'How long to wait until it is switched.',
    }),
    ...deviceFlags,
  };

  async run(): Promise<DeviceLocalModeResult> {
    const { args, flags } = await this.parse(DeviceLocalMode);
    const { signal, progress, streams } = this;
    const device = await deviceOpeners(flags, { streams, signal, progress })(args.device)(signal);
    try {
      const mode = await readLocalMode(device, signal);
      const result = { version: 1, device: device.name, address: device.address } as const;
      if (args.state === undefined || (args.state === 'on') === mode.isOn) {
        this.print(`${mode.isOn ? 'on' : 'off'}${mode.isInFleet ? '' : ', as always on a device without a fleet'}`);
        return { ...result, ...mode };
      }
      const consent = { streams, signal };
      const account = await findAccount(flags.account);
      const request = { account, waitMs: flags.timeout * 1000, signal, progress };
      if (args.state === 'on') {
        const question = `Stop the services of its fleet on ${device.name} and switch local mode on?`;
        if (!flags.yes && account !== undefined) await requireConsent(question, consent);
        await enterLocalMode(device, request);
        this.print(`${device.name} is in local mode`);
        return { ...result, isOn: true, isInFleet: true };
      }
      const deleted = await planLocalModeEnd(device, mode, signal);
      for (const line of endLines(deleted)) streams.stderr.write(`${line}\n`);
      if (!flags.yes) await requireConsent(`Switch local mode of ${device.name} off?`, consent);
      await endLocalMode(device, request);
      this.print(`${device.name} is no longer in local mode`);
      return { ...result, isOn: false, isInFleet: true, deleted };
    } finally {
      await device.close();
    }
  }
}

function endLines({ containers, volumes }: LocalModeEnd): string[] {
  if (containers === null || volumes === null) {
    return ['Deletes all containers and volumes that were made in local mode; the engine does not tell which.'];
  }
  const lines = [
    ...containers.map((name) => `  container ${name}`),
    ...volumes.map((name) => `  volume ${name}, with the data in it`),
  ];
  return lines.length === 0 ? [] : ['Deletes what was made in local mode:', ...lines];
}
