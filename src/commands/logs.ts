import { Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { engineFlags, engineLinkFrom } from '../lib/cli/engine-flags.js';
import { devicesArgs } from '../lib/cli/device-flags.js';
import { logLineText } from '../lib/output/log-text.js';
import { type DeviceLogLine, type DeviceLogs, openDeviceLogs } from '../lib/logs/device-logs.js';
import { parseSince } from '../lib/logs/log-since.js';

/** What `davit logs --json` prints; with `--follow`, a line of JSON for each line instead. */
export interface LogsResult {
  readonly version: 2;
  readonly lines: readonly DeviceLogLine[];
}

export default class Logs extends BaseCommand {
  static override summary = 'Show the logs of services on devices.';
  static override description =
    'Prints what the containers of all services, or of those that are named, wrote, in the order of time, standard output and standard ' +
    'error alike; with --system also, or only, the journal of the device itself, over SSH.\n\n' +
    'With --follow, goes on through restarts of containers, new pushes and lost connections, without a gap or a repeated ' +
    'line, until Ctrl-C (exit code 130); with --json too, each line is then a line of JSON.';
  static override examples = [
    '<%= config.bin %> logs 63ec46c --follow',
    '<%= config.bin %> logs crane.local --service web --tail 20 --timestamps',
    '<%= config.bin %> logs crane.local --system --since 10m',
    '<%= config.bin %> logs bench-1 bench-2 --follow',
    '<%= config.bin %> logs 192.168.1.20 --since 10m --json',
  ];
  static override args = devicesArgs;
  static override flags = {
    service: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<name>',
      summary: 'Service whose log to show, in place of all. Can be repeated.',
    }),
    system: Flags.boolean({ summary: "Show the system's own journal, besides the services that are named." }),
    follow: Flags.boolean({ char: 'f', summary: 'Wait for more until Ctrl-C.' }),
    tail: Flags.integer({
      min: 0,
      helpValue: '<lines>',
      summary: 'Only the last so many lines of what is there, of each service.',
    }),
    since: Flags.string({
      helpValue: '<time>',
      summary: 'Only lines since then: 90s, 10m, 2h or 1d ago, or a time such as 2026-03-01T12:00:00Z.',
    }),
    timestamps: Flags.boolean({ summary: "Begin each line with its time by the device's clock." }),
    ...engineFlags,
  };

  /** What is followed has been printed already, line by line. */
  #isFollowing = false;

  async run(): Promise<LogsResult> {
    const { args, flags } = await this.parse(Logs);
    const { signal, progress, streams } = this;
    const { follow, system, tail, timestamps } = flags;
    this.#isFollowing = follow;
    const devices = [...new Set(args.devices)].map((name) => {
      return { name, link: engineLinkFrom(name, flags, { streams, signal, progress }) };
    });
    const since = flags.since === undefined ? undefined : parseSince(flags.since, Date.now());
    const services = flags.service ?? [];
    const timeoutMs = flags.timeout * 1000;
    try {
      const request = { services, system, follow, tail, since, timeoutMs, signal, progress };
      const logs = await openDeviceLogs(devices, request);
      const lines: DeviceLogLine[] = [];
      if (this.jsonEnabled() && !follow) for await (const line of logs.lines) lines.push(line);
      else await this.showUntilLeft(logs.lines, this.#shower(logs.sources, timestamps));
      return { version: 2, lines };
    } finally {
      await Promise.all(devices.map(({ link }) => link.drop()));
    }
  }

  protected override logJson(document: unknown): void {
    if (!this.#isFollowing) super.logJson(document);
  }

  #shower(sources: DeviceLogs['sources'], timestamps: boolean): (line: DeviceLogLine) => void {
    const { stdout, stdoutHasColor } = this.streams;
    if (this.jsonEnabled()) return (line) => stdout.write(`${JSON.stringify(line)}\n`);
    const textOf = logLineText({ sources, timestamps, hasColor: stdoutHasColor });
    return (line) => {
      this.print(textOf(line));
    };
  }
}
