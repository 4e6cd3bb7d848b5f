import type { ConnectionFile } from '../boot-config/connection-file.js';
import { Failure } from '../failure/failure.js';
import { askSecret, requireTerminal } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { environmentVariable } from '../platform/environment.js';
import { collect, readUserFile } from '../platform/read-user-file.js';
import type { BootConfigurationFlagValues } from './boot-configuration-flags.js';

/** A Wi-Fi network as the flags have it. */
export interface WifiFromFlags {
  readonly ssid: string;
  readonly isHidden: boolean;
  /** Undefined for an open network; where it is yet to be asked for, something that stands in for it. */
  readonly key: string | undefined;
  readonly ask?: () => Promise<string>;
  readonly warnings?: readonly string[];
}

interface WifiContext {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  readonly standardInputIsTaken?: boolean;
}

/** The file that balena's dashboard and CLI use, so that a later change by either replaces this one instead of adding to it. */
const wifiConnectionName = 'resin-wifi';

/** As long as the longest key, so that there is room for whatever the answer is. */
const standIn = '0'.repeat(64);

/** Bytes that a file with a key may have. */
const mostKeyBytes = 4096;

/** The Wi-Fi network that the flags name, with its key from a file, standard input or the environment, or a way to ask for it. */
export async function readWifi(
  flags: BootConfigurationFlagValues,
  context: WifiContext,
): Promise<WifiFromFlags | undefined> {
  const { 'wifi-ssid': ssid, 'wifi-key-file': source, 'wifi-hidden': isHidden } = flags;
  if (ssid === undefined) return undefined;
  if (flags['wifi-open']) return { ssid, isHidden, key: undefined };
  if (source !== undefined) return { ssid, isHidden, ...(await readKey(source, context)) };
  const fromEnvironment = environmentVariable('DAVIT_WIFI_KEY');
  if (fromEnvironment !== undefined) return { ssid, isHidden, key: fromEnvironment };
  const { streams, signal } = context;
  const question = {
    message: `Key of the Wi-Fi network ${ssid}`,
    insteadOfAsking: '--wifi-key-file <file> (or - for standard input), --wifi-open, or the key in DAVIT_WIFI_KEY',
    signal,
  };
  requireTerminal(question, streams);
  return { ssid, isHidden, key: standIn, ask: () => askSecret(question, streams) };
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

async function readKey(
  source: string,
  { streams, signal, standardInputIsTaken = false }: WifiContext,
): Promise<Pick<WifiFromFlags, 'key' | 'warnings'>> {
  const isStandardInput = source === '-';
  if (isStandardInput && standardInputIsTaken) {
    throw new Failure(
      'usage',
      'standard-input-twice',
      'the image and the Wi-Fi key cannot both come from standard input',
      { hint: 'Give the key with --wifi-key-file <file>' },
    );
  }
  const { bytes, isReadByOthers } = isStandardInput
    ? { bytes: await collect(streams.stdin, mostKeyBytes, signal), isReadByOthers: false }
    : await readUserFile(source, { what: 'the Wi-Fi key file', most: mostKeyBytes, signal });
  const key = String(bytes).replace(/\r?\n$/, '');
  if (key === '') {
    const from = isStandardInput ? 'standard input' : source;
    throw new Failure('usage', 'invalid-wifi-key', `there is no Wi-Fi key in ${from}`, {
      hint: 'Use --wifi-open for a network without a key',
    });
  }
  return isReadByOthers
    ? { key, warnings: [`others may read the Wi-Fi key in ${source}: chmod 600 ${source}`] }
    : { key };
}
