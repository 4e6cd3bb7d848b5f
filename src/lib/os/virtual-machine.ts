import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { Socket } from 'node:net';
import { Failure } from '../failure/failure.js';
import { findProgram } from '../platform/child-process.js';
import { childEnvironment } from '../platform/environment.js';
import { waitAtMost } from '../platform/wait.js';
import { MachineMonitor } from './machine-monitor.js';
import { type Accelerator, type Machine, machineOptions } from './machine-options.js';

/** What watches a virtual machine. */
export interface MachineOptions {
  readonly signal: AbortSignal;
  /** Takes what the device writes to its serial console. */
  readonly onSerial: (chunk: Buffer) => void;
}

/** How long a device may take to switch itself off when its power button is pressed. */
const powerDownMs = 90_000;

/** A running QEMU process. It ends with davit, even when davit is killed. */
export class VirtualMachine {
  /** Resolves when the machine is off: by itself, or because it was ended. */
  readonly ended: Promise<void>;
  readonly accelerator: Accelerator;
  readonly #child: ChildProcess;
  readonly #monitor: MachineMonitor;
  /** Resolves with what first shows whether the machine works. */
  readonly #firstSign: Promise<'serial' | 'stopped' | 'exited'>;
  #errors = '';

  private constructor(accelerator: Accelerator, child: ChildProcess, onSerial: (chunk: Buffer) => void) {
    const { serial, monitor } = channelsOf(child);
    this.accelerator = accelerator;
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    let resolveSign: (sign: 'serial' | 'stopped' | 'exited') => void = () => undefined;
    this.#firstSign = new Promise((resolve) => (resolveSign = resolve));
    this.ended = new Promise((resolve) => {
      child.on('error', (error) => {
        this.#errors += error.message;
      });
      child.on('close', () => {
        resolveSign('exited');
        resolve();
      });
    });
    serial.on('error', () => undefined);
    serial.on('data', (chunk: Buffer) => {
      resolveSign('serial');
      onSerial(chunk);
    });
    this.#monitor = new MachineMonitor(monitor, (name) => {
      if (name === 'STOP') resolveSign('stopped');
    });
  }

  /**
   * Starts a machine and resolves when its firmware shows signs of life. The host's processor is used where KVM works, which
   * takes more than /dev/kvm: nested inside another machine it may start and then fail at the first instructions.
   */
  static async start(machine: Machine, options: MachineOptions): Promise<VirtualMachine> {
    if (await isKvmThere()) {
      const attempt = await VirtualMachine.#launch(machine, 'kvm', options);
      if ((await attempt.#firstSign) === 'serial') return attempt;
      await attempt.stop();
    }
    options.signal.throwIfAborted();
    const started = await VirtualMachine.#launch(machine, 'tcg', options);
    const sign = await started.#firstSign;
    options.signal.throwIfAborted();
    if (sign === 'serial') return started;
    await started.stop();
    throw new Failure('failed', 'machine-failed', `starting QEMU for ${machine.disk}: ${started.#errors.trim()}`);
  }

  static async #launch(machine: Machine, accelerator: Accelerator, options: MachineOptions): Promise<VirtualMachine> {
    const qemu = ['qemu-system-x86_64', ...machineOptions(machine, accelerator)];
    // setpriv (util-linux) has the kernel kill QEMU when davit dies without saying goodbye.
    const hasSetpriv = (await findProgram('setpriv')) !== undefined;
    const [command = '', ...words] = hasSetpriv ? ['setpriv', '--pdeathsig', 'KILL', ...qemu] : qemu;
    const child = spawn(command, words, {
      env: childEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      // In a process group of its own, so that Ctrl-C reaches davit alone and the device can be switched off in order.
      detached: true,
    });
    const started = new VirtualMachine(accelerator, child, options.onSerial);
    const onAbort = () => {
      started.#monitor.send('quit');
    };
    // Before the first sign of life nothing is worth an orderly end.
    options.signal.addEventListener('abort', onAbort, { once: true });
    void started.#firstSign.then(() => {
      options.signal.removeEventListener('abort', onAbort);
    });
    return started;
  }

  /** Whether the machine is off. */
  get isOff(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Presses the power button and waits for the device to switch itself off; ends it by force when it does not. */
  async powerDown(): Promise<void> {
    this.#monitor.send('system_powerdown');
    const patience = new AbortController();
    void this.ended.then(() => {
      patience.abort();
    });
    await waitAtMost(powerDownMs, patience.signal);
    await this.stop();
  }

  /** Ends the machine at once, as if its plug were pulled. */
  async stop(): Promise<void> {
    if (!this.isOff) {
      this.#monitor.send('quit');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
      await this.ended;
      clearTimeout(timer);
    }
    await this.ended;
  }
}

function channelsOf(child: ChildProcess): { serial: Socket; monitor: Socket } {
  const [, , , serial, monitor] = child.stdio;
  if (!(serial instanceof Socket) || !(monitor instanceof Socket)) throw new Error('QEMU has no channels to davit');
  return { serial, monitor };
}

async function isKvmThere(): Promise<boolean> {
  return access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}
