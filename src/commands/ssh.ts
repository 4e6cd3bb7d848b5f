import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { deviceOptionsFrom, engineFlags } from '../lib/cli/engine-flags.js';
import { sshFlags } from '../lib/cli/ssh-flags.js';
import type { Via } from '../lib/device/cloud-access.js';
import { openDevice } from '../lib/device/device.js';
import { programStarter } from '../lib/device/program.js';
import { runSession } from '../lib/device/session.js';
import { relay } from '../lib/device/stdio-relay.js';
import { Failure } from '../lib/failure/failure.js';
import type { RemoteExit } from '../lib/platform/remote-program.js';

/** What `davit ssh --json` prints. */
export interface SshResult extends RemoteExit {
  readonly version: 1;
  readonly device: string;
  readonly address: string;
  /** Whether the device was reached in this network or through the cloud. */
  readonly via: Via;
  readonly service: string | null;
}

export default class Ssh extends BaseCommand {
  static override summary = 'Open a shell on a device or in one of its services, or run a command there.';
  static override description =
    'Without a command, opens an interactive shell; input that is piped in is run by it. With one, standard input, standard ' +
    "output and standard error pass unchanged and the command's exit code is davit's (128 + the signal if one ended it).\n\n" +
    'Several words are a program and its arguments, which reach it as they are; a single word is a line for the remote ' +
    "shell, so 'dmesg | tail' works too. Ctrl-C ends the remote command.\n\n" +
    'With a service, all that happens in its container, which has to run; it needs no SSH where the engine of the device is open.\n\n' +
    'The host key of a device is remembered at the first connection, and a changed one is refused. What ~/.ssh/config says of ' +
    'the device holds. docs/ssh.md has more.\n\n' +
    'With --json, the output of the command goes to standard error and standard output has only the result.';
  static override usage = 'ssh <device> [<service>] [flags] [-- <command>...]';
  static override examples = [
    '<%= config.bin %> ssh 63ec46c',
    "<%= config.bin %> ssh 192.168.1.20 -- ls -l '/mnt/data/my files'",
    "<%= config.bin %> ssh 63ec46c -- 'dmesg | tail'",
    '<%= config.bin %> ssh 63ec46c main -- env',
    'tar -c files | <%= config.bin %> ssh 63ec46c -- tar -x -C /mnt/data',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    service: Args.string({ description: 'Service in whose container to be.' }),
  };
  static override flags = {
    ...sshFlags,
    'engine-port': engineFlags['engine-port'],
    stdio: Flags.boolean({
      hidden: true,
      exclusive: ['json', 'tty'],
      summary: "Join standard input and output with the device's SSH server, for the ProxyCommand of another program.",
    }),
    tty: Flags.boolean({ summary: 'Run the command on a terminal, as full-screen programs need.' }),
  };

  async run(): Promise<SshResult> {
    const [before, words] = atDoubleDash(this.argv);
    const { args, flags } = await this.parse(Ssh, before);
    const { device: name, service } = args;
    if (this.jsonEnabled() && words.length === 0) {
      throw new Failure('usage', 'command-needed', 'an interactive shell has no JSON result', {
        hint: `Add a command: davit ssh ${name} --json -- uptime`,
      });
    }
    const { signal, progress, streams } = this;
    const device = await openDevice(name, deviceOptionsFrom(flags, { signal, progress, streams }));
    try {
      if (flags.stdio) {
        await relay(await device.sshStream(), streams, signal);
        return {
          version: 1,
          device: device.name,
          address: device.address,
          via: device.via,
          service: null,
          exitCode: 0,
        };
      }
      const start = await programStarter(device, { service, words, signal });
      this.endProgress();
      const exit = await runSession({
        start,
        local: this.jsonEnabled() ? { ...streams, stdout: streams.stderr } : streams,
        terminal: flags.tty || (words.length === 0 && streams.stdinIsTerminal) ? streams : undefined,
        signal,
      });
      this.passExitCode(exit.exitCode);
      return {
        version: 1,
        device: device.name,
        address: device.address,
        via: device.via,
        service: service ?? null,
        ...exit,
      };
    } finally {
      await device.close();
    }
  }
}

/** The words before the first `--`, and those after it, which belong to the remote program. */
function atDoubleDash(argv: readonly string[]): readonly [string[], readonly string[]] {
  const at = argv.indexOf('--');
  return at < 0 ? [[...argv], []] : [argv.slice(0, at), argv.slice(at + 1)];
}
