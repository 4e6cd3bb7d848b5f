import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { sshFlags, sshOptionsFrom } from '../lib/cli/ssh-flags.js';
import { openDevice } from '../lib/device/device.js';
import { Failure } from '../lib/failure/failure.js';
import { remoteCommandLine } from '../lib/ssh/quote-command.js';
import { runSession } from '../lib/ssh/remote-session.js';
import type { RemoteExit } from '../lib/ssh/ssh-connection.js';

/** What `davit ssh --json` prints. */
export interface SshResult extends RemoteExit {
  readonly version: 1;
  readonly device: string;
  readonly address: string;
}

export default class Ssh extends BaseCommand {
  static override summary = 'Open a shell on a device, or run a command on it.';
  static override description =
    'Without a command, opens an interactive shell; input that is piped in is run by it. With one, standard input, standard ' +
    "output and standard error pass unchanged and the command's exit code is davit's (128 + the signal if one ended it).\n\n" +
    'Several words are a program and its arguments, which reach it as they are; a single word is a line for the remote ' +
    "shell, so 'dmesg | tail' works too. Ctrl-C ends the remote command.\n\n" +
    'The host key of a device is remembered at the first connection, and a changed one is refused.\n\n' +
    'With --json, the output of the command goes to standard error and standard output has only the result.';
  static override examples = [
    '<%= config.bin %> ssh 63ec46c',
    "<%= config.bin %> ssh 192.168.1.20 -- ls -l '/mnt/data/my files'",
    "<%= config.bin %> ssh 63ec46c -- 'dmesg | tail'",
    'tar -c files | <%= config.bin %> ssh 63ec46c -- tar -x -C /mnt/data',
  ];
  static override args = {
    device: Args.string({
      required: true,
      description: 'Address, name.local or host name of the device.',
    }),
    command: Args.string({ multiple: true, description: 'Command to run, after --.' }),
  };
  static override flags = {
    ...sshFlags,
    tty: Flags.boolean({ summary: 'Run the command on a terminal, as full-screen programs need.' }),
  };

  async run(): Promise<SshResult> {
    const { args, flags } = await this.parse(Ssh);
    const words = args.command ?? [];
    if (this.jsonEnabled() && words.length === 0) {
      throw new Failure('usage', 'command-needed', 'an interactive shell has no JSON result', {
        hint: `Add a command: davit ssh ${args.device} --json -- uptime`,
      });
    }
    const { signal, progress, streams } = this;
    const device = await openDevice(args.device, { signal, progress, ssh: sshOptionsFrom(flags, streams, signal) });
    try {
      const connection = await device.ssh();
      this.endProgress();
      const exit = await runSession(connection, {
        commandLine: words.length > 0 ? remoteCommandLine(words) : undefined,
        local: this.jsonEnabled() ? { ...streams, stdout: streams.stderr } : streams,
        terminal: flags.tty || (words.length === 0 && streams.stdinIsTerminal) ? streams : undefined,
        signal,
      });
      this.passExitCode(exit.exitCode);
      return { version: 1, device: device.name, address: device.address, ...exit };
    } finally {
      await device.close();
    }
  }
}
