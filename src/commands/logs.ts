import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { engineFlags, engineLinkFrom } from '../lib/cli/engine-flags.js';
import type { LogLine } from '../lib/engine/container-logs.js';
import { parseSince } from '../lib/push/log-since.js';
import { serviceLogs } from '../lib/push/service-logs.js';

/** What `davit logs --json` prints. */
export interface LogsResult {
  readonly version: 1;
  readonly service: string;
  readonly lines: readonly LogLine[];
}

export default class Logs extends BaseCommand {
  static override summary = 'Show the log of a service on a device.';
  static override description =
    'Prints what the container of the service wrote, oldest line first, standard output and standard error alike.\n\n' +
    'With --follow, goes on through restarts of the container, new pushes and lost connections, without a gap or a repeated ' +
    'line, until Ctrl-C (exit code 130).';
  static override examples = [
    '<%= config.bin %> logs 63ec46c --follow',
    '<%= config.bin %> logs crane.local --tail 20 --timestamps',
    '<%= config.bin %> logs 192.168.1.20 --since 10m --json',
  ];
  static override args = {
    device: Args.string({
      required: true,
      description: 'Name, address or UUID of the device.',
    }),
  };
  static override flags = {
    service: Flags.string({ default: 'main', helpValue: '<name>', summary: 'Service whose log to show.' }),
    follow: Flags.boolean({ char: 'f', exclusive: ['json'], summary: 'Wait for more until Ctrl-C.' }),
    tail: Flags.integer({ min: 0, helpValue: '<lines>', summary: 'Only the last so many lines of what is there.' }),
    since: Flags.string({
      helpValue: '<time>',
      summary: 'Only lines since then: 90s, 10m, 2h or 1d ago, or a time such as 2026-03-01T12:00:00Z.',
    }),
    timestamps: Flags.boolean({ summary: "Begin each line with its time by the device's clock." }),
    ...engineFlags,
  };

  async run(): Promise<LogsResult> {
    const { args, flags } = await this.parse(Logs);
    const { signal, progress, streams } = this;
    const { service, follow, tail } = flags;
    const link = engineLinkFrom(args.device, flags, { streams, signal, progress });
    try {
      const since = flags.since === undefined ? undefined : parseSince(flags.since, Date.now());
      const request = { service, follow, tail, since, timeoutMs: flags.timeout * 1000, signal, progress };
      const log = serviceLogs(link, request);
      const lines: LogLine[] = [];
      if (this.jsonEnabled()) for await (const line of log) lines.push(line);
      else await this.printUntilLeft(log, ({ time, text }) => (flags.timestamps ? `${time} ${text}` : text));
      return { version: 1, service, lines };
    } finally {
      await link.drop();
    }
  }
}
