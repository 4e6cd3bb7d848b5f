import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { engineFlags, engineLinkFrom, supervisorFlags } from '../lib/cli/engine-flags.js';
import { outlineLines, pushedLines } from '../lib/output/push-text.js';
import { parseVariables } from '../lib/push/environment-variables.js';
import { outlinePush, planPush, type Pushed, type PushOutline, runPush } from '../lib/push/push.js';
import { servicesLogs } from '../lib/push/services-logs.js';

/** What `davit push --json` prints; with `--dry-run`, what would be done in place of what was. */
export type PushResult = (Pushed | PushOutline) & {
  readonly version: 2;
  readonly device: string;
  readonly address: string;
};

export default class Push extends BaseCommand {
  static override summary = 'Build a project on a device and run it there.';
  static override description =
    'Sends what each service is built from, without what .dockerignore names and without .git, to the engine of the device, ' +
    'builds it there, and replaces the containers of those services that have changed. Dockerfile.<device type>, ' +
    'Dockerfile.<architecture> and Dockerfile.template are preferred in this order.\n\n' +
    'Until all builds have succeeded, what runs on the device is not touched; if a new container cannot be started, what ran ' +
    'before runs again. Services that the project does not have any more are removed; volumes never are.\n\n' +
    'Then shows the logs until Ctrl-C (exit code 130), unless --detached or --json is given. Ctrl-C during the build ends it ' +
    'on the device too.';
  static override examples = [
    '<%= config.bin %> push 63ec46c',
    '<%= config.bin %> push crane.local --source ./app --detached',
    '<%= config.bin %> push crane.local --dry-run',
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
    file: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<path>',
      summary:
        'Compose file inside the project folder, or a Dockerfile. Several compose files are laid over each other.',
    }),
    profile: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<name>',
      summary: 'Also run the services of a profile of the compose file. Can be repeated.',
    }),
    detached: Flags.boolean({ summary: 'Do not show the logs afterwards.' }),
    'dry-run': Flags.boolean({ summary: 'Only say what would be built, created, replaced and removed, and why.' }),
    'keep-orphans': Flags.boolean({ summary: 'Leave services running that the project does not have any more.' }),
    nocache: Flags.boolean({ summary: 'Build every step anew.' }),
    pull: Flags.boolean({ summary: 'Pull base images even if the device has them.' }),
    env: Flags.string({
      multiple: true,
      // Otherwise a device named after it would be taken for another variable.
      multipleNonGreedy: true,
      helpValue: '[<service>:]<name>[=<value>]',
      summary: 'Set a variable in all services or in one, without a value to what it is here. Can be repeated.',
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
      files: flags.file,
      profiles: flags.profile,
      deviceType: flags['device-type'],
      environment: parseVariables(flags.env ?? []),
      timeoutMs: flags.timeout * 1000,
      noCache: flags.nocache,
      pull: flags.pull,
      keepOrphans: flags['keep-orphans'],
    };
    const link = engineLinkFrom(args.device, flags, { streams, signal, progress });
    try {
      const plan = await planPush(link, request, { signal });
      const { name, address } = plan.target.device;
      const shown = { version: 2, device: name, address } as const;
      if (flags['dry-run']) {
        const outline = await outlinePush(plan, signal);
        for (const line of outlineLines(outline)) this.print(line);
        return { ...shown, ...outline };
      }
      const pushed = await runPush(plan, { signal, progress });
      for (const line of pushedLines(pushed, name)) this.print(line);
      if (!flags.detached && !this.jsonEnabled()) {
        const services = pushed.services.map(({ service }) => service);
        progress({
          type: 'notice',
          level: 'info',
          text: `the log of ${services.join(', ')}; Ctrl-C leaves it running`,
        });
        const log = servicesLogs(link, services, { follow: true, signal, progress });
        await this.printUntilLeft(log, ({ service, text }) => (services.length > 1 ? `${service} | ${text}` : text));
      }
      return { ...shown, ...pushed };
    } finally {
      await link.drop();
    }
  }
}
