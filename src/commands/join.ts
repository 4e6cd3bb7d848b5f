import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { deviceOptionsFrom } from '../lib/cli/engine-flags.js';
import { joinFlags } from '../lib/cli/join-flags.js';
import { openDevice } from '../lib/device/device.js';
import { readFleetConfig } from '../lib/join/fleet-config.js';
import { join } from '../lib/join/join.js';
import { type JoinPlan, planJoin } from '../lib/join/plan-join.js';
import { joinPlanLines } from '../lib/output/join-text.js';
import { requireConsent } from '../lib/output/prompts.js';

/** What `davit join --json` prints. */
export interface JoinResult extends JoinPlan {
  readonly version: 1;
  readonly address: string;
  readonly isDryRun: boolean;
  /** Whether the cloud knows the device by now; null where that was not waited for. */
  readonly isRegistered: boolean | null;
}

export default class Join extends BaseCommand {
  static override summary = 'Move a device that runs into a fleet, of balenaCloud or openBalena.';
  static override description =
    'The configuration is that of the fleet, as its dashboard gives it out or davit config generate makes it, for the type of the device. It ' +
    'reaches the device over SSH and is never part of a command line, neither here nor there. No login is needed.\n\n' +
    'The device keeps what it has of its own: mode, hostname, SSH keys, networks, servers. --take takes single keys from the configuration ' +
    'all the same.\n\n' +
    'A device that was in no fleet is in local mode and leaves it: its Supervisor deletes the containers and volumes that were made there. They are ' +
    'listed first.\n\n' +
    'If anything fails, and when you press Ctrl-C, the device is put back as it was. It carries all out by itself: a link that is lost does not ' +
    'leave it halfway.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c --config fleet.json --dry-run',
    '<%= config.bin %> <%= command.id %> 63ec46c --config fleet.json',
    'pass show fleet | <%= config.bin %> <%= command.id %> 63ec46c --config - --yes',
    '<%= config.bin %> <%= command.id %> crane --config fleet.json --take hostname --take developmentMode',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
  };
  static override flags = {
    config: Flags.string({
      required: true,
      helpValue: '<file>',
      summary: 'Configuration of the fleet; - is standard input.',
    }),
    take: Flags.string({
      multiple: true,
      default: [],
      helpValue: '<key>',
      summary:
        "Key of config.json to take from the configuration, instead of keeping the device's own: hostname, os.sshKeys.",
    }),
    'other-device-type': Flags.boolean({ summary: 'Accept a configuration that was made for another device type.' }),
    ...joinFlags,
  };

  async run(): Promise<JoinResult> {
    const { args, flags } = await this.parse(Join);
    const { streams, signal, progress } = this;
    const { config, warnings } = await readFleetConfig(flags.config, streams.stdin, signal);
    const device = await openDevice(args.device, deviceOptionsFrom(flags, { streams, signal, progress }));
    try {
      const allowsOtherType = flags['other-device-type'];
      const planned = await planJoin(device, { config, take: flags.take, allowsOtherType, signal });
      const plan = { ...planned.plan, warnings: [...warnings, ...planned.plan.warnings] };
      for (const text of plan.warnings) progress({ type: 'notice', level: 'warning', text });
      const lines = joinPlanLines(plan, streams.stdoutHasColor);
      for (const line of lines) this.print(line);
      const result = { version: 1, ...plan, address: device.address } as const;
      if (flags['dry-run']) return { ...result, isDryRun: true, isRegistered: null };
      const consent = { streams, signal, plan: this.jsonEnabled() ? lines : [] };
      if (!flags.yes) await requireConsent(`Join ${plan.apiEndpoint} with ${device.name}?`, consent);
      const { isRegistered } = await join(device, planned, { timeoutMs: flags.timeout * 1000, signal, progress });
      this.print(isRegistered === null ? `${device.name} has joined.` : `${device.name} has joined and is registered.`);
      return { ...result, isDryRun: false, isRegistered };
    } finally {
      await device.close();
    }
  }
}
