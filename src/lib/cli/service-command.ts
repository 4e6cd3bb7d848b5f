import { controlServices } from '../device/control-services.js';
import type { ServiceAction } from '../supervisor/actions.js';
import { BaseCommand } from './base-command.js';
import { deviceFlags, deviceOpeners, forceFlag } from './device-flags.js';
import type { EngineFlagValues } from './engine-flags.js';

/** What commands print with `--json` that restart, start or stop services. */
export interface ServiceResult {
  readonly version: 1;
  readonly device: string;
  readonly address: string;
  /** The services that it was done to. */
  readonly services: readonly string[];
}

/** Flags of these commands. */
export const serviceFlags = { ...forceFlag, ...deviceFlags };

const pastTense = { restart: 'restarted', start: 'started', stop: 'stopped' } as const;

/** What commands share that restart, start or stop services. */
export abstract class ServiceCommand extends BaseCommand {
  /** Does it and says so. */
  protected async control(
    action: ServiceAction,
    args: { readonly device: string; readonly service?: string | undefined },
    flags: EngineFlagValues & { readonly force: boolean },
  ): Promise<ServiceResult> {
    const { signal, progress, streams } = this;
    const device = await deviceOpeners(flags, { streams, signal, progress })(args.device)(signal);
    try {
      const request = { action, service: args.service, force: flags.force, signal };
      const services = await controlServices(device, request);
      this.print(`${services.join(', ')} ${pastTense[action]} on ${device.name}`);
      return { version: 1, device: device.name, address: device.address, services };
    } finally {
      await device.close();
    }
  }
}
