import { createHash } from 'node:crypto';
import { requireGoodValues, type ShownConfigChange, shownChange } from '../boot-config/changed-config.js';
import { type ConfigChange, configChanges } from '../boot-config/config-json.js';
import { editedJson } from '../boot-config/json-edit.js';
import { readJsonText } from '../boot-config/json-text.js';
import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import type { Device } from './device.js';
import { runScript } from './run-script.js';

/** The config.json of a device that runs. */
export interface LiveConfig {
  readonly bytes: Buffer;
  readonly text: string;
  readonly config: JsonObject;
}

/** Where a device keeps what it needs while it joins or leaves a fleet by itself: in memory, for root alone. */
export const fleetChangeFolder = '/run/davit-join';

/** Where it is, and what gives it away that the OS there installs another one and then ends. */
export const liveConfigPath = '/mnt/boot/config.json';
const flasherFlags = ['/mnt/boot/balena-image-flasher', '/mnt/boot/resin-image-flasher'] as const;

/**
 * Keys that the Supervisor keeps in memory and writes back, whatever the file says by then: it is stopped while they change
 * (balena-supervisor, `src/config/schema.ts`).
 */
const supervisorKeys: ReadonlySet<string> = new Set([
  'uuid',
  'apiEndpoint',
  'apiKey',
  'deviceApiKey',
  'deviceId',
  'registered_at',
  'appUpdatePollInterval',
  'hostname',
  'persistentLogging',
  'developmentMode',
  'os',
]);

/** Exit codes of the scripts here, as in sysexits.h. */
const [notThere, notMine, brokenOff, changedMeanwhile] = [66, 69, 74, 75];

/** Reads the config.json of a device. Fails with `no-live-config` on what does not run balenaOS. */
export async function readLiveConfig(device: Pick<Device, 'name' | 'ssh'>): Promise<LiveConfig> {
  const script = `
for flag in ${flasherFlags.join(' ')}; do [ -e "$flag" ] && exit ${notMine}; done
[ -e ${liveConfigPath} ] || exit ${notThere}
exec cat ${liveConfigPath}`;
  const { exitCode, stdout, stderr } = await runScript(await device.ssh(), script);
  if (exitCode === notThere) throw noConfig(device.name);
  if (exitCode === notMine) throw isFlasher(device.name);
  if (exitCode !== 0) throw failed(`reading ${liveConfigPath} of ${device.name}`, stderr);
  const { value, text } = readJsonText(stdout, `${liveConfigPath} of ${device.name}`, broken);
  return { bytes: stdout, text, config: value };
}

/**
 * Changes the config.json of a device that runs: all at once, so that it is the old one or the new one whenever the link or the power is lost, and
 * not over what somebody else has changed meanwhile. Layout and order of what stays are kept; the OS applies what it applies by
 * itself. Fails with `invalid-config` for values that the OS would not understand. Returns what has changed.
 *
 * @param change gives the new configuration for the one that is there; it may be called again
 */
export async function changeLiveConfig(
  device: Pick<Device, 'name' | 'ssh'>,
  change: (config: JsonObject) => JsonObject,
): Promise<readonly ShownConfigChange[]> {
  let done: readonly ConfigChange[] | undefined;
  let lost: Failure | undefined;
  for (let tries = 0; tries < mostTries; tries++) {
    const { bytes, text, config } = await readLiveConfig(device);
    const wanted = change(config);
    const changes = configChanges(config, wanted);
    // What was on its way when the link was lost has arrived.
    if (changes.length === 0) return (lost === undefined ? [] : (done ?? [])).map(shownChange);
    requireGoodValues(wanted, changes);
    done = changes;
    try {
      if (await replaced(device, bytes, Buffer.from(editedJson(text, wanted)), changes))
        return changes.map(shownChange);
    } catch (error) {
      if (!(error instanceof Failure && error.kind === 'unreachable')) throw error;
      lost = error;
    }
  }
  throw lost ?? keepsChanging(device.name);
}

const mostTries = 4;

/**
 * A script that takes the place of config.json with what it reads. `$1` and `$2` are the SHA-256 of the old and the new one, `$3` says
 * whether the Supervisor has to be stopped. Once all has come, it goes on to its end without the link.
 */
const replaceScript = `
trap '' HUP INT PIPE TERM
umask 077
config=${liveConfigPath}
hash() { sha256sum < "$1" | cut -d ' ' -f 1; }
for other in "$config".davit-*; do
  [ -e "$other" ] && ! kill -0 "\${other##*-}" 2>/dev/null && rm -f "$other"
done
if [ -e ${fleetChangeFolder}/pid ] && [ ! -e ${fleetChangeFolder}/result ]; then
  kill -0 "$(cat ${fleetChangeFolder}/pid)" 2>/dev/null && exit ${changedMeanwhile}
fi
new=$config.davit-$$
cat > "$new"
code=${brokenOff}
if [ "$(hash "$new")" = "$2" ]; then
  sync
  stopped=
  if [ "$3" = stop ]; then
    for unit in balena-supervisor resin-supervisor; do
      systemctl is-active --quiet "$unit" 2>/dev/null && systemctl stop "$unit" && stopped="$stopped $unit"
    done
  fi
  code=${changedMeanwhile}
  if [ "$(hash "$config")" = "$1" ]; then
    mv -f "$new" "$config" && sync && [ "$(hash "$config")" = "$2" ]
    code=$?
  fi
  for unit in $stopped; do systemctl start "$unit"; done
fi
rm -f "$new"
exit "$code"`;

/** False when somebody else has changed the file since it was read. */
async function replaced(
  device: Pick<Device, 'name' | 'ssh'>,
  before: Buffer,
  after: Buffer,
  changes: readonly ConfigChange[],
): Promise<boolean> {
  const isSupervisors = changes.some(({ key }) => supervisorKeys.has(key.split('.')[0] ?? ''));
  const words = [sha256(before), sha256(after), isSupervisors ? 'stop' : 'leave'];
  const { exitCode, stderr } = await runScript(await device.ssh(), replaceScript, { words, input: after });
  if (exitCode === 0) return true;
  if (exitCode === changedMeanwhile) return false;
  throw failed(`writing ${liveConfigPath} of ${device.name}`, stderr);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function noConfig(name: string): Failure {
  return new Failure('refused', 'no-live-config', `${name} has no ${liveConfigPath}, so it does not run balenaOS`, {
    hint: 'Check with davit scan that this is the device that you mean',
  });
}

function isFlasher(name: string): Failure {
  const message = `${name} runs an installer, which is about to write the OS to the internal disk`;
  return new Failure('refused', 'device-is-flasher', message, {
    hint: 'Wait until the device runs the OS that is installed, or configure the image before: davit os configure',
  });
}

function broken(message: string): Failure {
  return new Failure('failed', 'invalid-json', message, {
    hint: 'Correct the file on the device, or in the card with: davit config write <drive> --from <file>',
  });
}

function failed(doing: string, stderr: string): Failure {
  const reason = stderr.trim().split('\n').at(-1) ?? '';
  return new Failure('failed', 'live-config-failed', `${doing}: ${reason === '' ? 'it did not work' : reason}`, {
    hint: 'See whether /mnt/boot is writable and has room',
  });
}

function keepsChanging(name: string): Failure {
  return new Failure('refused', 'live-config-busy', `${liveConfigPath} of ${name} keeps changing`, {
    hint: 'Something else writes it now, as while the device joins a fleet; try again in a moment',
  });
}
