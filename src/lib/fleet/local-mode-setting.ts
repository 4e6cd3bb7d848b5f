import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import type { Account } from './account.js';
import { answerFailure, cloudChange, cloudJson } from './cloud-api.js';

/** What the setting is called; both are understood, the second one is what balena-cli sets. */
const settingNames: readonly unknown[] = ['BALENA_SUPERVISOR_LOCAL_MODE', 'RESIN_SUPERVISOR_LOCAL_MODE'];

const setting = '/v7/device_config_variable';

/**
 * Switches local mode of a device on or off in the cloud that it belongs to, which tells the device when that asks next. Fails as not found where
 * the account has no such device.
 */
export async function setCloudLocalMode(
  account: Account,
  uuid: string,
  isOn: boolean,
  signal: AbortSignal,
): Promise<void> {
  const device = await idOf(account, uuid, signal);
  const filter = encodeURIComponent(`device eq ${device}`);
  const all = await list(account, `${setting}?$select=id,name,value&$filter=${filter}`, signal);
  const there = all.filter(({ name }) => settingNames.includes(name));
  const value = isOn ? '1' : '0';
  for (const { id, value: before } of there) {
    if (before === value) continue;
    await cloudChange(account, { method: 'PATCH', path: `${setting}(${String(id)})`, json: { value } }, signal);
  }
  if (there.length > 0 || !isOn) return;
  const json = { device, name: 'RESIN_SUPERVISOR_LOCAL_MODE', value };
  await cloudChange(account, { method: 'POST', path: setting, json }, signal);
}

async function idOf(account: Account, uuid: string, signal: AbortSignal): Promise<number> {
  const filter = encodeURIComponent(`uuid eq '${uuid}'`);
  const [device] = await list(account, `/v7/device?$select=id&$top=1&$filter=${filter}`, signal);
  if (typeof device?.id === 'number') return device.id;
  throw new Failure('not-found', 'device-not-found', `${account.apiUrl} knows no device ${uuid} of yours`, {
    hint: 'davit whoami tells who you are there; --account chooses another login',
  });
}

async function list(
  account: Account,
  path: string,
  signal: AbortSignal,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const answer = await cloudJson(account, path, signal);
  if (!isRecord(answer) || !Array.isArray(answer.d)) throw answerFailure(account, 'it gives no list');
  return answer.d.filter(isRecord);
}
