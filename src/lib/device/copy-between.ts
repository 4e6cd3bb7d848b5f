import { Failure } from '../failure/failure.js';
import { collectInOneGo } from '../platform/collect-in-one-go.js';
import { type Copied, copy, type CopyOptions } from './copy.js';
import type { PlacedFile } from './copy-file.js';
import type { CopyPlace } from './copy-place.js';
import { copyFromService, copyToService } from './copy-service.js';
import type { Device } from './device.js';
import { LocalFiles } from './local-files.js';
import { SteadyFiles } from './steady-files.js';

/** How a copy is made to or from a device. */
export interface DeviceCopyOptions extends CopyOptions {
  /** Finds a device, now and when the link to it was lost. */
  readonly open: (device: string) => Promise<Device>;
  /** How long to try to reach a device again after the link to it was lost, in seconds. */
  readonly patience: number;
}

/** How often a copy is begun anew for a device that starts anew. */
const mostStarts = 3;

/** Copies between this computer and a device, or between the hosts of two devices. */
export async function copyBetween(source: CopyPlace, target: CopyPlace, options: DeviceCopyOptions): Promise<Copied> {
  collectInOneGo();
  const { progress } = options;
  const opened = new Set<Device>();
  const open = async (name: string) => {
    const device = await options.open(name);
    opened.add(device);
    return device;
  };
  const filesOf = async (place: CopyPlace): Promise<PlacedFile> => {
    if (place.device === undefined) return { files: new LocalFiles(), path: place.path };
    const name = place.device;
    let device: Device | undefined;
    const openFiles = async () => {
      await device?.close();
      device = await open(name);
      return (await device.ssh()).openFiles();
    };
    const isWritten = place === target;
    const files = await SteadyFiles.connect({ ...options, open: openFiles, device: name, isWritten });
    return { files, path: place.path };
  };
  try {
    if (source.device === undefined && target.device === undefined) {
      throw new Failure('usage', 'copy-without-device', 'neither the source nor the target is on a device', {
        hint: 'Write <device>:<path> for one of them',
      });
    }
    const inService = [source, target].filter((place) => place.device !== undefined && place.service !== undefined);
    if (inService.length > 0 && source.device !== undefined && target.device !== undefined) {
      throw new Failure('usage', 'copy-between-services', 'copies to and from services have their other end here', {
        hint: 'Copy to a file here first, then from there',
      });
    }
    if (source.device !== undefined && source.service !== undefined) {
      const { service, path } = source;
      const engine = await (await open(source.device)).engine();
      return await copyFromService({ engine, service, path }, target.path, options);
    }
    if (target.device !== undefined && target.service !== undefined) {
      const { service, path } = target;
      const engine = await (await open(target.device)).engine();
      return await copyToService(source.path, { engine, service, path }, options);
    }
    const [from, to] = [await filesOf(source), await filesOf(target)];
    for (let starts = 1; ; starts++) {
      try {
        return await copy(from, to, options);
      } catch (error) {
        if (!(error instanceof Failure && error.code === 'device-restarted') || starts === mostStarts) throw error;
        progress({ type: 'notice', level: 'warning', text: `${error.message}; beginning again` });
      }
    }
  } finally {
    await Promise.all([...opened].map((device) => device.close()));
  }
}
