import type { ConnectionFile } from '../boot-config/connection-file.js';
import { Failure } from '../failure/failure.js';
import type { BootConfigurationFlagValues } from './boot-configuration-flags.js';
import { readSecret, type SecretContext, type SecretFromFlags, wifiKey } from './secret-from-flags.js';

/** A Wi-Fi network as the flags have it. */
export interface WifiFromFlags {
  readonly ssid: string;
  readonly isHidden: boolean;
  /** Undefined for an open network. */
  readonly key: SecretFromFlags | undefined;
}

/** The file that balena's dashboard and CLI use, so that a later change by either replaces this one instead of adding to it. */
const wifiConnectionName = 'resin-wifi';

/** The Wi-Fi network that the flags name, with its key from a file, standard input or the environment, or a way to ask for it. */
export async function readWifi(
  flags: BootConfigurationFlagValues,
  context: SecretContext,
): Promise<WifiFromFlags | undefined> {
  const { 'wifi-ssid': ssid, 'wifi-key-file': source, 'wifi-hidden': isHidden } = flags;
  if (ssid === undefined) return undefined;
  if (flags['wifi-open']) return { ssid, isHidden, key: undefined };
  const wanted = { flag: '--wifi-key-file', source, of: `of the network ${ssid}`, flagForNone: '--wifi-open' };
  return { ssid, isHidden, key: await readSecret({ ...wifiKey, ...wanted }, context) };
}

/** The files of the network, with its key. */
export async function wifiConnection(
  { ssid, isHidden }: WifiFromFlags,
  key: string | undefined,
): Promise<ConnectionFile[]> {
  const network = {
    type: 'wifi',
    ssid,
    ...(key === undefined ? { security: 'open' as const } : { key }),
    ...(isHidden ? { hidden: true } : {}),
  } as const;
  const [{ networkDataShape }, { networkFiles }] = await Promise.all([
    import('../boot-config/network.js'),
    import('../boot-config/network-files.js'),
  ]);
  const [problem] = networkDataShape.problems(network, []);
  if (problem === undefined) return networkFiles(wifiConnectionName, network);
  if (problem.path.at(-1) === 'ssid') {
    throw new Failure('usage', 'invalid-ssid', `--wifi-ssid ${problem.message}`, { hint: 'Check --wifi-ssid' });
  }
  throw new Failure('usage', 'invalid-wifi-key', `the Wi-Fi key ${problem.message}`, {
    hint: 'Check what --wifi-key-file holds; a line end after the key does no harm',
  });
}
