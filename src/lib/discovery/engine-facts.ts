import { isRecord } from '../platform/json.js';
import { factAt, factText, factUuid, type PartialFacts } from './device-facts.js';
import type { DeviceDocuments } from './http-document.js';

/**
 * What an engine in reach says about its device. The Supervisor tells every service it starts which device it is on, so the variables of one
 * say what the engine itself does not know; no others are looked at.
 */
export async function engineFacts(http: DeviceDocuments): Promise<PartialFacts> {
  const [info, version, containers] = await Promise.all([
    http.document('/info'),
    http.document('/version'),
    http.document('/containers/json'),
  ]);
  const list = Array.isArray(containers) ? containers.filter(isRecord) : [];
  const supervised = list.find((one) => factAt(one, 'Labels', 'io.balena.supervised') === 'true');
  const variables = supervised === undefined ? () => null : await variablesOf(http, factAt(supervised, 'Id'));
  const supervisor = list.find((one) => Array.isArray(one.Names) && one.Names.some(isSupervisorName));
  return {
    engineId: factAt(info, 'ID') ?? undefined,
    uuid: factUuid(variables('BALENA_DEVICE_UUID')),
    os: variables('BALENA_HOST_OS_VERSION') ?? factAt(info, 'OperatingSystem'),
    deviceType: variables('BALENA_DEVICE_TYPE'),
    architecture: factAt(info, 'Architecture'),
    engineVersion: factAt(version, 'Version'),
    supervisorVersion: variables('BALENA_SUPERVISOR_VERSION') ?? tagVersion(factAt(supervisor, 'Image')),
  };
}

function isSupervisorName(name: unknown): boolean {
  return typeof name === 'string' && /^\/(?:balena|resin)_supervisor$/.test(name);
}

/** The version in an image's tag: `balena_supervisor:v17.1.2`. */
function tagVersion(image: string | null): string | null {
  return /:v?(\d+\.\d+\.\d+[\w.-]*)$/.exec(image ?? '')?.[1] ?? null;
}

async function variablesOf(http: DeviceDocuments, id: string | null): Promise<(name: string) => string | null> {
  const details =
    id !== null && /^[0-9a-f]{12,64}$/.test(id) ? await http.document(`/containers/${id}/json`) : undefined;
  const config = isRecord(details) ? details.Config : undefined;
  const list: readonly unknown[] = isRecord(config) && Array.isArray(config.Env) ? config.Env : [];
  return (name) => {
    const line = list.find((one) => typeof one === 'string' && one.startsWith(`${name}=`));
    return typeof line === 'string' ? factText(line.slice(name.length + 1)) : null;
  };
}
