import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { engineFlags, engineLinkFrom, supervisorFlags } from '../lib/cli/engine-flags.js';
import { parseEnvironment } from '../lib/push/environment-variables.js';
import { planPush, type Pushed, runPush } from '../lib/push/push.js';
import { serviceLogs } from '../lib/push/service-logs.js';

/** What `davit push --json` prints. */
export interface PushResult extends Pushed {
  readonly version: 1;
  readonly device: string;
  readonly address: string;
}

export default class Push extends BaseCommand {
  static override summary = 'Build a project on a device and run it there.';
  static override description =
    'Sends the project folder, without what .dockerignore names and without .git, to the engine of the device, builds its ' +
    'Dockerfile there, and replaces the running container. Dockerfile.<device type>, Dockerfile.<architecture> and ' +
    'Dockerfile.template are preferred in this order.\n\n' +
    'Until the build has succeeded, what runs on the device is not touched; if the new container cannot be started, the ' +
    'previous one is started again.\n\n' +
    'Then shows the log until Ctrl-C (exit code 130), unless --detached or --json is given. Ctrl-C during the build ends it ' +
    'on the device too.';
  static override examples = [
    '<%= config.bin %> push 63ec46c',
    '<%= config.bin %> push crane.local --source ./app --detached',
    '<%= config.bin %> push 192.168.1.20 --env LOG_LEVEL=debug --nocache',
  ];
  static override args = {
    device: Args.string({
      required: true,
      description: 'Name, address or UUID of the device.',
    }),
  };
  static override flags = {
    source: Flags.string({ default: '.', helpValue: '<folder>', summary: 'Project folder.' }),
    file: Flags.string({ helpValue: '<path>', summary: 'Dockerfile inside the project folder. [default: Dockerfile]' }),
    detached: Flags.boolean({ summary: 'Do not show the log afterwards.' }),
    nocache: Flags.boolean({ summary: 'Build every step anew.' }),
    pull: Flags.boolean({ summary: 'Pull base images even if the device has them.' }),
    env: Flags.string({
      multiple: true,
      // Otherwise a device named after it would be taken for another variable.
      multipleNonGreedy: true,
      helpValue: '<name>[=<value>]',
      summary: 'Set a variable in the container, without a value to what it is here. Can be repeated.',
    }),
    'device-type': Flags.string({
      helpValue: '<slug>',
      summary: 'Device type for Dockerfile.<device type> and templates, where the device does not tell it.',
    }),
    ...engineFlags,
    ...supervisorFlags,
  };

  async run(): Promise<PushResult> {
    const { args, flags } = await this.parse(Push);
    const { signal, progress, streams } = this;
    const request = {
      folder: flags.source,
      dockerfile: flags.file,
      deviceType: flags['device-type'],
      environment: parseEnvironment(flags.env ?? []),
      timeoutMs: flags.timeout * 1000,
      noCache: flags.nocache,
      pull: flags.pull,
    };
    const link = engineLinkFrom(args.device, flags, { streams, signal, progress });
    try {
      const plan = await planPush(link, request, { signal });
      const pushed = await runPush(plan, { signal, progress });
      this.print(`${pushed.service} is ${pushed.state} on ${plan.device.name} (${pushed.seconds} s)`);
      if (!flags.detached && !this.jsonEnabled()) {
        const text = `the log of ${pushed.service}; Ctrl-C leaves it running`;
        progress({ type: 'notice', level: 'info', text });
        const log = serviceLogs(link, { service: pushed.service, follow: true, signal, progress });
        await this.printUntilLeft(log, (line) => line.text);
      }
      const { name, address } = plan.device;
      return { version: 1, device: name, address, ...pushed };
    } finally {
      await link.drop();
    }
  }
}
