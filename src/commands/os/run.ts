import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { networkKinds } from '../../lib/os/device-network.js';
import { deviceSshPort } from '../../lib/ssh/open-ssh.js';
import { type FinishedRun, planRun, runImage, type RunningDevice } from '../../lib/os/run-image.js';

export default class OsRun extends BaseCommand {
  static override summary = 'Boot an image or a drive in QEMU, and switch it off with Ctrl-C.';

  static override description =
    'The device is ready when SSH answers, and in development mode its engine too. What it writes is forgotten when it is ' +
    'switched off, unless --keep is given.\n\n' +
    'With --network user its ports are forwarded to free ports of 127.0.0.1. With --network bridge it gets an address on the ' +
    'bridge davit0, which is made in the current network namespace, so that mDNS and davit scan work; that needs root.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img',
    '<%= config.bin %> <%= command.id %> device.img --network bridge --serial-log boot.log',
    '<%= config.bin %> <%= command.id %> /dev/loop0 --keep',
  ];

  static override args = {
    image: Args.string({ required: true, description: 'Image file or drive to boot.' }),
  };

  static override flags = {
    network: Flags.option({
      options: networkKinds,
      default: 'user' as const,
      summary: 'How the device is on a network.',
    })(),
    keep: Flags.boolean({ summary: 'Let the device write to the image or drive itself.' }),
    memory: Flags.integer({ default: 1024, min: 256, helpValue: '<MiB>', summary: 'Memory of the device in MiB.' }),
    timeout: Flags.integer({
      default: 300,
      min: 1,
      helpValue: '<seconds>',
      summary: 'How long it may take to get ready.',
    }),
    'serial-log': Flags.string({ helpValue: '<file>', summary: 'File for what it writes to its serial console.' }),
    'ready-file': Flags.string({
      helpValue: '<file>',
      summary: 'File to write its addresses to, as JSON, when it is ready.',
    }),
  };

  async run(): Promise<FinishedRun> {
    const { args, flags } = await this.parse(OsRun);
    const { network, keep, memory: memoryMiB } = flags;
    const plan = await planRun({ image: args.image, network, keep, memoryMiB });
    const finished = await runImage(plan, {
      signal: this.signal,
      progress: this.progress,
      timeoutMs: flags.timeout * 1000,
      ...(flags['serial-log'] === undefined ? {} : { serialLog: flags['serial-log'] }),
      ...(flags['ready-file'] === undefined ? {} : { readyFile: flags['ready-file'] }),
      onReady: (device) => {
        this.endProgress();
        this.#printReady(device);
      },
    });
    if (finished.ended === 'powered-off') this.print('The device switched itself off.');
    return finished;
  }

  #printReady({ ssh, engine, isDevelopment }: RunningDevice): void {
    const port = ssh.port === deviceSshPort ? '' : ` --port ${ssh.port}`;
    this.print(`Shell   davit ssh ${ssh.address}${port}`);
    if (isDevelopment) this.print(`Engine  tcp://${engine.address}:${engine.port}`);
    this.print('Ctrl-C switches it off.');
  }
}
