import { Failure } from '../failure/failure.js';
import { readUserFile } from '../platform/read-user-file.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { problemText } from './problem.js';
import { profileRequest } from './profile-request.js';

/** What somebody answered who was asked what is to be in a boot partition; what is left out stays as it is in the image. */
export interface ConfigurationAnswers {
  readonly mode?: 'development' | 'production';
  readonly hostname?: string;
  /** Public keys, or absolute paths of files with them. */
  readonly sshKeys?: readonly string[];
  readonly wifi?: WifiAnswer;
  /** Address of the Ethernet interface. */
  readonly address?: AddressAnswer;
}

/** A Wi-Fi network to join; one without a key is open. */
export interface WifiAnswer {
  readonly ssid: string;
  readonly key?: string;
  readonly country?: string;
}

/** A fixed IPv4 address with the length of its prefix. */
export interface AddressAnswer {
  readonly address: string;
  readonly gateway?: string;
  readonly dns: readonly string[];
}

/** The request that answers come to: the same as that of their profile, and of their flags where they can be said by flags. */
export async function requestOfAnswers(answers: ConfigurationAnswers): Promise<BootConfigurationRequest> {
  const { wifi } = answers;
  const security = wifi?.key === undefined ? openWifi : { key: wifi.key };
  const read = async (file: string) => (await readUserFile(file)).bytes;
  const { request, problems } = await profileRequest(profileOf(answers, security), read);
  const [problem] = problems;
  if (problem === undefined) return request;
  throw new Failure('usage', 'invalid-profile', problemText(problem), { hint: 'Start again and answer otherwise' });
}

/** The same as the text of a profile, which asks for the Wi-Fi key instead of holding it. */
export async function profileTextOfAnswers(answers: ConfigurationAnswers): Promise<string> {
  const { stringify } = await import('yaml');
  const { wifi, sshKeys = [] } = answers;
  const plain = {
    ...answers,
    sshKeys: sshKeys.map(withoutReferences),
    ...(wifi === undefined ? {} : { wifi: { ...wifi, ssid: withoutReferences(wifi.ssid) } }),
  };
  const key = { prompt: withoutReferences(`Wi-Fi key of the network ${wifi?.ssid ?? ''}`) };
  return stringify(profileOf(plain, wifi?.key === undefined ? openWifi : { key }), { lineWidth: 0 });
}

/** The same as flags; undefined where no flags say it. The Wi-Fi key is asked for where they are used. */
export function flagsOfAnswers({
  mode,
  hostname,
  sshKeys = [],
  wifi,
  address,
}: ConfigurationAnswers): string[] | undefined {
  if (address !== undefined) return undefined;
  return [
    ...(mode === undefined ? [] : [mode === 'development' ? '--dev' : '--no-dev']),
    ...(hostname === undefined ? [] : ['--hostname', hostname]),
    ...sshKeys.flatMap((key) => ['--ssh-key', key]),
    // A name that begins with a hyphen would be taken for a flag.
    ...(wifi === undefined ? [] : [`--wifi-ssid=${wifi.ssid}`, ...(wifi.key === undefined ? ['--wifi-open'] : [])]),
    ...(wifi?.country === undefined ? [] : ['--country', wifi.country]),
  ];
}

const openWifi = { security: 'open' } as const;

function profileOf<S extends object>(answers: ConfigurationAnswers, wifiSecurity: S) {
  const { mode, hostname, sshKeys = [], wifi, address } = answers;
  const networks = {
    ...(address === undefined ? {} : { wired: { type: 'ethernet', ipv4: ipv4Of(address) } as const }),
    // The name that --wifi-ssid and balena's dashboard use.
    ...(wifi === undefined ? {} : { 'resin-wifi': { type: 'wifi', ssid: wifi.ssid, ...wifiSecurity } as const }),
  };
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(sshKeys.length === 0 ? {} : { sshKeys }),
    ...(wifi?.country === undefined ? {} : { country: wifi.country }),
    ...(Object.keys(networks).length === 0 ? {} : { networks }),
  };
}

function ipv4Of({ address, gateway, dns }: AddressAnswer) {
  return {
    addresses: [address],
    ...(gateway === undefined ? {} : { gateway }),
    ...(dns.length === 0 ? {} : { dns }),
  };
}

/** A text as a profile has it, where `${` begins a reference. */
function withoutReferences(text: string): string {
  return text.replaceAll('${', () => '$${');
}
