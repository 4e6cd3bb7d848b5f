import { Failure } from '../failure/failure.js';
import { collectInOneGo } from '../platform/collect-in-one-go.js';
import { type Copied, copy, type CopyOptions } from './copy.js';
import type { PlacedFile } from './copy-file.js';
import type { CopyPlace } from './copy-place.js';
import { copyFromService, copyToService } from './copy-service.js';
import type { Device } from './device.js';
import { LocalFiles } from './local-files.js';

/** Copies between this computer and a device, or between the hosts of two devices. */
export async function copyBetween(
  source: CopyPlace,
  target: CopyPlace,
  open: (device: string) => Promise<Device>,
  options: CopyOptions,
): Promise<Copied> {
  collectInOneGo();
  const opened: Device[] = [];
  const openOnce = async (name: string) => {
    const device = await open(name);
    opened.push(device);
    return device;
  };
  const filesOf = async (place: CopyPlace): Promise<PlacedFile> => {
    if (place.device === undefined) return { files: new LocalFiles(), path: place.path };
    const connection = await (await openOnce(place.device)).ssh();
    return { files: await connection.openFiles(), path: place.path };
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
      const engine = await (await openOnce(source.device)).engine();
      return await copyFromService({ engine, service, path }, target.path, options);
    }
    if (target.device !== undefined && target.service !== undefined) {
      const { service, path } = target;
      const engine = await (await openOnce(target.device)).engine();
      return await copyToService(source.path, { engine, service, path }, options);
    }
    return await copy(await filesOf(source), await filesOf(target), options);
  } finally {
    await Promise.all(opened.map((device) => device.close()));
  }
}
