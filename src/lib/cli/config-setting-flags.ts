import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { Failure } from '../failure/failure.js';
import { bootConfigurationFlags, type BootConfigurationFlagValues } from './boot-configuration-flags.js';
import {
  type ParsedFlags,
  readBootConfigurationRequest,
  type RequestContext,
} from './read-boot-configuration-request.js';

const { profile, dev, hostname, dns, ntp, country } = bootConfigurationFlags;

/** Those of the flags that say what goes into the boot partition which say single things in config.json. */
export const configSettingFlags = {
  profile,
  dev,
  hostname,
  'ssh-key': bootConfigurationFlags['ssh-key'],
  'persistent-logging': bootConfigurationFlags['persistent-logging'],
  dns,
  ntp,
  country,
};

/** A command line with `configSettingFlags`, parsed. */
export interface ParsedConfigSettings extends Pick<ParsedFlags, 'raw'> {
  readonly flags: Pick<BootConfigurationFlagValues, keyof typeof configSettingFlags | 'config'>;
}

/** Turns the flags into a request, with the environment and the profile under them. */
export function readConfigSettings(
  { flags, raw }: ParsedConfigSettings,
  context: RequestContext,
): Promise<BootConfigurationRequest> {
  const others = {
    network: undefined,
    'wifi-ssid': undefined,
    'wifi-key-file': undefined,
    'wifi-open': false,
    'wifi-hidden': false,
  };
  return readBootConfigurationRequest({ flags: { ...others, ...flags }, raw }, context);
}

/** Fails where one of the flags is given and the flag is not without which it means nothing. */
export function requireWith(needed: string, { raw }: Pick<ParsedFlags, 'raw'>): void {
  const given = raw.flatMap(({ type, flag }) => (type === 'flag' && flag !== undefined ? [flag] : []));
  const idle = given.find((flag) => flag === 'config' || Object.hasOwn(configSettingFlags, flag));
  if (idle === undefined || given.includes(needed)) return;
  throw new Failure('usage', 'usage', `--${idle} means nothing without --${needed}`, {
    hint: `Add --${needed}, or leave out --${idle}`,
  });
}
