import type { JsonObject } from '../platform/json.js';
import type { BootConfigurationRequest, BootFile } from './boot-configuration-request.js';
import type { BootPartition, FoundBy } from './boot-partition.js';
import { checkConfig, idleConfigKeys } from './config-check.js';
import { configValue } from './config-json.js';
import { deviceWarnings, editWarnings, moveWarnings } from './config-warnings.js';
import { type ConnectionFile, connectionValue, isNameIgnored } from './connection-file.js';
import { connectionWarnings } from './connection-warnings.js';
import type { ExistingConfig } from './existing-config.js';
import { diskNames, flasherWarning } from './flasher-targets.js';
import { parseKeyfile } from './keyfile.js';
import { isBalenaOs, isOlderThan, type OsFacts } from './os-facts.js';
import { problemText } from './problem.js';

/** All that is known of a configuration before it is written. */
interface PlannedConfiguration {
  readonly layers: readonly BootConfigurationRequest[];
  readonly boot: BootPartition;
  readonly os: OsFacts;
  readonly before: ExistingConfig;
  readonly after: JsonObject;
  readonly connections: readonly ConnectionFile[];
  /** All that `system-connections` will hold, where connections are put in. */
  readonly connectionFolder: readonly ConnectionFile[];
  readonly files: readonly BootFile[];
}

/** What is doubtful about a configuration, though it can be written. */
export function configurationWarnings(planned: PlannedConfiguration): string[] {
  const { layers, boot, os, before, after, connections, connectionFolder, files } = planned;
  const fileBeside = (name: string) => connectionFolder.find((file) => file.name === name)?.content;
  return [
    ...layers.flatMap((layer) => layer.warnings ?? []),
    ...(before.madeAnew === undefined ? [] : [before.madeAnew]),
    ...warningsAboutImage(after, os, boot),
    ...deviceWarnings(after, os),
    ...moveWarnings(before.config, after),
    ...warningsAboutConfig(after, before, os),
    ...layers.flatMap((layer) => editWarnings(layer.edits ?? [], before.config)),
    ...layers.flatMap((layer) => warningsAboutOldWifi(layer, connections)),
    ...connections.flatMap((connection) => connectionWarnings(connection, { os, fileBeside })),
    ...warningsAboutRadio(after, connections),
    ...warningsAboutFiles(files, os),
  ];
}

const whyDoubtful: Partial<Record<FoundBy, string>> = {
  'config.json': 'because of its config.json',
  'device-type.json': 'because of its device-type.json',
  'device-type.json-hint': 'because device-type.json says so',
};

function doubtText({ number, foundBy }: BootPartition): string {
  return `no partition is named or labelled as a boot partition; partition ${number} was taken ${whyDoubtful[foundBy] ?? ''}`;
}

/** The disks that a configuration lets a flasher write to. */
function targetsOf(config: JsonObject): string[] | undefined {
  const list = configValue(config, 'installer.target_devices');
  return typeof list === 'string' ? diskNames(list) : undefined;
}

function warningsAboutImage(config: JsonObject, os: OsFacts, boot: BootPartition): string[] {
  const warnings: readonly (readonly [boolean, string])[] = [
    [whyDoubtful[boot.foundBy] !== undefined, doubtText(boot)],
    [os.kind === 'flasher', flasherWarning(targetsOf(config) ?? os.targetDisks)],
  ];
  return warnings.flatMap(([applies, text]) => (applies ? [text] : []));
}

/** What will have no effect, and what was bad before and stays. */
function warningsAboutConfig(config: JsonObject, { locate, oddities }: ExistingConfig, os: OsFacts): string[] {
  const bad = [...oddities, ...checkConfig(config)].map((problem) =>
    problemText(problem, 'config.json in the image', locate(problem.path)),
  );
  return [...bad, ...idleConfigKeys(config, os).map((problem) => problemText(problem))];
}

function warningsAboutOldWifi(
  { config = {} }: BootConfigurationRequest,
  connections: readonly ConnectionFile[],
): string[] {
  const isOld = 'wifiSsid' in config && connections.length === 0;
  return isOld ? ['wifiSsid and wifiKey in config.json have no effect since OS 2.0: use --wifi-ssid'] : [];
}

/** Without a country, radio rules of the whole world hold, and those let nobody begin to send at 5 GHz. */
function warningsAboutRadio(config: JsonObject, connections: readonly ConnectionFile[]): string[] {
  if (configValue(config, 'country') !== undefined) return [];
  return connections.flatMap(({ name, content }) => {
    const keyfile = isNameIgnored(name) ? undefined : parseKeyfile(String(content), name);
    const wifi = (key: string) => keyfile && connectionValue(keyfile, 'wifi', key);
    const isAccessPoint = wifi('mode') === 'ap' && wifi('band') === 'a';
    return isAccessPoint ? [`the access point ${name} needs a country to send at 5 GHz: add --country`] : [];
  });
}

function warningsAboutFiles(files: readonly BootFile[], os: OsFacts): string[] {
  const since = [
    ['dispatcher.d/', '3.1.3', 'scripts in dispatcher.d have'],
    ['system-proxy/', '2.0.7', 'a proxy has'],
  ] as const;
  return since.flatMap(([folder, release, what]) =>
    files.some(({ path }) => path.startsWith(folder)) && isBalenaOs(os) && isOlderThan(os.osVersion, release)
      ? [`${what} no effect before balenaOS ${release}, and this is ${os.osVersion ?? 'older'}`]
      : [],
  );
}
