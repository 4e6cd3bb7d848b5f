import { supervisorAnswers } from '../supervisor/supervisor-answers.js';
import {
  type SupervisorConnection,
  supervisorPort as usualSupervisorPort,
} from '../supervisor/supervisor-connection.js';
import type { Device, DeviceOptions } from './device.js';
import { readSupervisorKey } from './supervisor-key.js';

/** The Supervisor of a device through SSH, with the device's own key; undefined when none answers. */
export async function supervisorOverSsh(
  device: Pick<Device, 'name' | 'ssh' | 'engine'>,
  { supervisorPort: port = usualSupervisorPort, signal }: Pick<DeviceOptions, 'supervisorPort' | 'signal'>,
): Promise<SupervisorConnection | undefined> {
  let key: Promise<string | undefined> | undefined;
  const supervisor: SupervisorConnection = {
    description: `the Supervisor of ${device.name} over SSH`,
    connect: async () => (await device.ssh()).openTcp('127.0.0.1', port),
    apiKey: () => (key ??= device.engine().then((engine) => readSupervisorKey(engine, signal))),
  };
  // A device that lets nobody in is another matter than one without a Supervisor.
  await device.ssh();
  return (await supervisorAnswers(supervisor, signal)) ? supervisor : undefined;
}
