import { Flags } from '@oclif/core';

const helpGroup = 'CONFIGURATION';

/** The flags that say what goes into the boot partition, for every command that configures. None of them takes a secret. */
export const bootConfigurationFlags = {
  profile: Flags.string({
    char: 'p',
    summary: 'YAML file with the configuration; flags and their environment variables override it.',
    helpValue: '<file>',
    env: 'DAVIT_PROFILE',
    helpGroup,
  }),
  dev: Flags.boolean({
    summary: 'Switch development mode on (or off, with --no-dev): open engine port, root login.',
    allowNo: true,
    env: 'DAVIT_DEV',
    helpGroup,
  }),
  hostname: Flags.string({
    summary: 'Name of the device on the network.',
    helpValue: '<name>',
    env: 'DAVIT_HOSTNAME',
    helpGroup,
  }),
  'ssh-key': Flags.string({
    summary: 'Public key that may log in as root: a file, the key itself, or github:<user>. Can be repeated.',
    helpValue: '<file|key>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup,
  }),
  'wifi-ssid': Flags.string({
    summary: 'Wi-Fi network to join; its key comes from --wifi-key-file or DAVIT_WIFI_KEY, or is asked for.',
    helpValue: '<name>',
    env: 'DAVIT_WIFI_SSID',
    helpGroup,
  }),
  'wifi-key-file': Flags.string({
    summary: 'File with the Wi-Fi key, or - for standard input.',
    helpValue: '<file|->',
    dependsOn: ['wifi-ssid'],
    helpGroup,
  }),
  'wifi-open': Flags.boolean({
    summary: 'The Wi-Fi network has no key.',
    dependsOn: ['wifi-ssid'],
    exclusive: ['wifi-key-file'],
    helpGroup,
  }),
  'wifi-hidden': Flags.boolean({
    summary: 'The Wi-Fi network does not announce its name.',
    dependsOn: ['wifi-ssid'],
    helpGroup,
  }),
  network: Flags.string({
    summary: 'NetworkManager connection file to put in. Can be repeated.',
    helpValue: '<file>',
    multiple: true,
    multipleNonGreedy: true,
    helpGroup,
  }),
  config: Flags.string({
    summary: 'JSON file laid over config.json: objects are merged, null removes a key. Other flags override it.',
    helpValue: '<file>',
    helpGroup,
  }),
  'persistent-logging': Flags.boolean({
    summary: 'Keep logs over reboots (or not, with --no-persistent-logging).',
    allowNo: true,
    env: 'DAVIT_PERSISTENT_LOGGING',
    helpGroup,
  }),
  dns: Flags.string({
    summary: 'DNS servers, separated by spaces or commas; none leaves out 8.8.8.8 too.',
    helpValue: '<addresses>',
    env: 'DAVIT_DNS',
    helpGroup,
  }),
  ntp: Flags.string({
    summary: 'Time servers, separated by spaces or commas.',
    helpValue: '<names>',
    env: 'DAVIT_NTP',
    helpGroup,
  }),
  country: Flags.string({
    summary: 'Country code for Wi-Fi rules, such as DE.',
    helpValue: '<code>',
    env: 'DAVIT_COUNTRY',
    helpGroup,
  }),
};

/** The values of `bootConfigurationFlags` after parsing. */
export interface BootConfigurationFlagValues {
  readonly profile: string | undefined;
  readonly dev: boolean | undefined;
  readonly hostname: string | undefined;
  readonly 'ssh-key': readonly string[] | undefined;
  readonly 'wifi-ssid': string | undefined;
  readonly 'wifi-key-file': string | undefined;
  readonly 'wifi-open': boolean;
  readonly 'wifi-hidden': boolean;
  readonly network: readonly string[] | undefined;
  readonly config: string | undefined;
  readonly 'persistent-logging': boolean | undefined;
  readonly dns: string | undefined;
  readonly ntp: string | undefined;
  readonly country: string | undefined;
}
