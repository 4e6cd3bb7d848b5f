import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inspectImage } from '../boot-config/inspect-image.js';
import { examineDrive } from '../drives/drive.js';
import { openDrive, type OpenDrive } from '../drives/open-drive.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { requirePrograms } from '../platform/child-process.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { type DeviceEndpoints, type DeviceNetwork, type NetworkKind, openNetwork } from './device-network.js';
import { untilReady } from './device-readiness.js';
import { findFirmware, type Firmware } from './firmware.js';
import type { Accelerator } from './machine-options.js';
import { SerialLog } from './serial-log.js';
import { VirtualMachine } from './virtual-machine.js';

/** What to boot, and how. */
export interface RunRequest {
  /** Image file or drive. */
  readonly image: string;
  /** Whether what the device writes stays in the image. */
  readonly keep: boolean;
  readonly memoryMiB: number;
  readonly network: NetworkKind;
}

/** A request that was found to be possible. */
export interface RunPlan extends RunRequest {
  readonly isDrive: boolean;
  readonly firmware: Firmware;
  /** Whether the image is in development mode, so that its engine will answer too. */
  readonly isDevelopment: boolean;
}

/** Where a booted device is reached from this computer. */
export interface RunningDevice extends DeviceEndpoints {
  readonly accelerator: Accelerator;
  /** Whether its engine answers; its Supervisor does on real balenaOS only. */
  readonly isDevelopment: boolean;
  /** Time from switching it on until it was ready. */
  readonly secondsToReady: number;
}

/** How a plan is carried out. */
export interface RunImageOptions {
  /** Aborted to switch the device off. */
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
  /** How long the device may take until it is ready. */
  readonly timeoutMs: number;
  /** File for what the device writes to its serial console. */
  readonly serialLog?: string;
  /** File that appears, with the `RunningDevice` as JSON, when the device is ready; removed when it is off. */
  readonly readyFile?: string;
  readonly onReady: (device: RunningDevice) => void;
}

/** What became of a device that was ready. */
export interface FinishedRun {
  readonly device: RunningDevice;
  /** `stopped` by the user, or `powered-off` by itself. */
  readonly ended: 'stopped' | 'powered-off';
}

/** What is on the drive stays there, so that it may be any drive that nobody uses. */
const takenRisks = ['fixed', 'large', 'data'] as const;

/** Checks that an image can be booted on this computer; changes nothing. */
export async function planRun(request: RunRequest): Promise<RunPlan> {
  await requirePrograms('booting an image', [{ program: 'qemu-system-x86_64', debianPackage: 'qemu-system-x86' }]);
  const firmware = await findFirmware();
  const { image } = request;
  const { isDrive, os, boot } = await inspectImage(image);
  const arch = os?.deviceType?.arch;
  if (arch !== undefined && arch !== 'amd64') {
    throw new Failure('refused', 'wrong-architecture', `${image} is for ${arch} computers; davit boots amd64 only`, {
      hint: 'To try it, flash it onto the hardware it is made for',
    });
  }
  const isDevelopment = boot?.config?.developmentMode === true || boot?.config?.developmentMode === 'true';
  return { ...request, isDrive, firmware, isDevelopment };
}

/**
 * Boots an image in QEMU and keeps it running until it switches itself off or the signal is aborted. It is ready when SSH
 * answers, and in development mode the engine too. Leaves no process, interface or temporary file behind.
 */
export async function runImage(plan: RunPlan, options: RunImageOptions): Promise<FinishedRun> {
  const { signal, progress = ignoreProgress, readyFile } = options;
  const log = await SerialLog.open(options.serialLog);
  let held: OpenDrive | undefined;
  let place: DeviceNetwork | undefined;
  let machine: VirtualMachine | undefined;
  const step = { type: 'step', id: path.basename(plan.image), phase: 'boot' } as const;
  try {
    // Held open so that nothing can mount or write the drive while the device does.
    if (plan.keep && plan.isDrive) held = await openDrive(await examineDrive(plan.image, { accepted: takenRisks }));
    place = await openNetwork(plan.network);
    const { network, endpoints } = place;
    const startedAt = performance.now();
    progress({ ...step, state: 'active' });
    machine = await VirtualMachine.start(
      { disk: plan.image, keep: plan.keep, memoryMiB: plan.memoryMiB, firmware: plan.firmware, network },
      {
        signal,
        onSerial: (chunk) => {
          log.add(chunk);
        },
      },
    );
    const { image, isDevelopment } = plan;
    await untilReady({ image, isDevelopment, endpoints, machine, log }, options.timeoutMs, signal);
    const device: RunningDevice = {
      accelerator: machine.accelerator,
      ...endpoints,
      isDevelopment,
      secondsToReady: Math.round((performance.now() - startedAt) / 100) / 10,
    };
    progress({ ...step, state: 'done', detail: `${device.secondsToReady} s` });
    if (readyFile !== undefined) await writeReadyFile(readyFile, device);
    options.onReady(device);
    const ended = await whicheverFirst(machine, signal);
    if (ended === 'stopped' && plan.keep) {
      progress({ ...step, phase: 'power off', state: 'active' });
      await machine.powerDown();
    }
    return { device, ended };
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw error;
  } finally {
    await machine?.stop();
    await place?.close();
    await log.close();
    await held?.handle.close();
    if (readyFile !== undefined) await rm(readyFile, { force: true });
  }
}

async function whicheverFirst(machine: VirtualMachine, signal: AbortSignal): Promise<FinishedRun['ended']> {
  return new Promise((resolve) => {
    const onAbort = () => {
      resolve('stopped');
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void machine.ended.then(() => {
      signal.removeEventListener('abort', onAbort);
      resolve('powered-off');
    });
  });
}

/** Renamed into place, so that whoever waits for the file never reads half of it. */
async function writeReadyFile(file: string, device: RunningDevice): Promise<void> {
  const beside = `${file}.${process.pid}`;
  try {
    await writeFile(beside, `${JSON.stringify({ pid: process.pid, ...device }, null, 2)}\n`);
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw whileDoing(`writing ${file}`, error);
  }
}
