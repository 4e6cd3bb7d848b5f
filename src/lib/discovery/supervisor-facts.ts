import { factAt, type PartialFacts } from './device-facts.js';
import type { DeviceDocuments } from './http-document.js';

/** What a Supervisor in reach says about its device; a device that belongs to a fleet and is not in local mode lets nobody in. */
export async function supervisorFacts(http: DeviceDocuments): Promise<PartialFacts> {
  if ((await http.text('/ping')) !== 'OK') return {};
  const [version, info, device] = await Promise.all([
    http.document('/v2/version'),
    http.document('/v2/local/device-info'),
    http.document('/v1/device'),
  ]);
  return {
    os: factAt(device, 'os_version'),
    deviceType: factAt(info, 'info', 'deviceType'),
    architecture: factAt(info, 'info', 'arch'),
    supervisorVersion: factAt(version, 'version') ?? factAt(device, 'supervisor_version'),
  };
}
