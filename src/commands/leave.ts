import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { deviceOptionsFrom } from '../lib/cli/engine-flags.js';
import { joinFlags } from '../lib/cli/join-flags.js';
import { openDevice } from '../lib/device/device.js';
import { leave } from '../lib/join/leave.js';
import { type LeavePlan, planLeave } from '../lib/join/plan-leave.js';
import { leavePlanLines } from '../lib/output/join-text.js';
import { requireConsent } from '../lib/output/prompts.js';

/** What `davit leave --json` prints. */
export interface LeaveResult extends LeavePlan {
  readonly version: 1;
  readonly address: string;
  readonly isDryRun: boolean;
}

export default class Leave extends BaseCommand {
  static override summary = 'Take a device out of its fleet, so that no cloud manages it.';
  static override description =
    'Removes from the device what belongs to the cloud, and nothing else: UUID, hostname, mode, SSH keys, networks and volumes stay, and so does the ' +
    "device's own key at that cloud, in case it comes back. The services of the fleet stop and are removed. The cloud keeps its record of the " +
    'device.\n\n' +
    'Afterwards the device is in local mode, and anybody in its network may talk to its Supervisor.\n\n' +
    'A device that is in no fleet is left as it is. If anything fails, and when you press Ctrl-C, the device is put back as it was.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c --dry-run',
    '<%= config.bin %> <%= command.id %> 63ec46c --yes',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
  };
  static override flags = {
    'allow-lockout': Flags.boolean({ summary: 'Leave even if nobody can log in any more afterwards.' }),
    ...joinFlags,
  };

  async run(): Promise<LeaveResult> {
    const { args, flags } = await this.parse(Leave);
    const { streams, signal, progress } = this;
    const device = await openDevice(args.device, deviceOptionsFrom(flags, { streams, signal, progress }));
    try {
      const planned = await planLeave(device, { allowsLockout: flags['allow-lockout'], signal });
      const { plan } = planned;
      for (const text of plan.warnings) progress({ type: 'notice', level: 'warning', text });
      const lines = leavePlanLines(plan, streams.stdoutHasColor);
      for (const line of lines) this.print(line);
      const result = { version: 1, ...plan, address: device.address, isDryRun: flags['dry-run'] } as const;
      if (flags['dry-run'] || plan.leaves === null) return result;
      const consent = { streams, signal, plan: this.jsonEnabled() ? lines : [] };
      if (!flags.yes) await requireConsent(`Leave ${plan.leaves} with ${device.name}?`, consent);
      await leave(device, planned, { timeoutMs: flags.timeout * 1000, signal, progress });
      this.print(`${device.name} has left.`);
      return result;
    } finally {
      await device.close();
    }
  }
}
