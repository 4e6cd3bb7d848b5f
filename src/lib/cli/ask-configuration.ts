import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { AddressAnswer, ConfigurationAnswers, WifiAnswer } from '../boot-config/configuration-answers.js';
import { isDevelopment } from '../boot-config/config-check.js';
import { countryShape, hostnameShape } from '../boot-config/config-values.js';
import { findSshKeys } from '../boot-config/find-ssh-keys.js';
import { inspectImage } from '../boot-config/inspect-image.js';
import { ipv4Shape } from '../boot-config/network-ip.js';
import { ssidShape } from '../boot-config/network-wifi.js';
import type { Shape } from '../boot-config/shape.js';
import { readSshPublicKeys } from '../boot-config/ssh-public-key.js';
import { isWifiKey } from '../boot-config/wifi-values.js';
import { Failure } from '../failure/failure.js';
import { askSecret, askText, askWhich, askWhichOnes } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { environmentVariable, folders } from '../platform/environment.js';
import type { JsonObject } from '../platform/json.js';

/** What asking needs of the command. */
export interface AskContext {
  readonly streams: Streams;
  readonly signal: AbortSignal;
}

/** What a script says instead of answering any of these questions. */
export const insteadOfAsking =
  'what to configure, such as --hostname, --dev or --profile; see davit os configure --help';

/** Asks on a terminal what is to be in the boot partition of an image. Fails with `interrupted` after Ctrl-C. */
export async function askConfiguration(image: string, context: AskContext): Promise<ConfigurationAnswers> {
  const config = await configOf(image);
  const hostname = await askHostname(config, context);
  const mode = await askMode(config, context);
  const sshKeys = await askSshKeys(context);
  const network = await askNetwork(config, context);
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(sshKeys.length === 0 ? {} : { sshKeys }),
    ...network,
  };
}

/** The configuration in an image, for what is proposed. */
async function configOf(image: string): Promise<JsonObject> {
  try {
    return (await inspectImage(image)).boot?.config ?? {};
  } catch (error) {
    // A packed image can be configured, but not looked into. Whether it is good has been seen before.
    if (error instanceof Failure) return {};
    throw error;
  }
}

async function askHostname(config: JsonObject, { streams, signal }: AskContext): Promise<string | undefined> {
  const current = typeof config.hostname === 'string' ? config.hostname : '';
  const answer = await askText(
    {
      message: current === '' ? 'Hostname (Enter: the first digits of the UUID):' : 'Hostname:',
      ...(current === '' ? {} : { proposal: current }),
      objection: orEmpty(objectionOf(hostnameShape)),
      insteadOfAsking,
      signal,
    },
    streams,
  );
  return answer === current ? undefined : answer;
}

async function askMode(
  config: JsonObject,
  { streams, signal }: AskContext,
): Promise<'development' | 'production' | undefined> {
  const current = isDevelopment(config) ? 'development' : 'production';
  const answer = await askWhich(
    {
      message: 'Mode:',
      choices: [
        { value: '', name: `As it is in the image: ${current}` },
        { value: 'development', name: 'Development: engine port open; without SSH keys anybody may log in' },
        { value: 'production', name: 'Production: engine port closed, and only SSH keys may log in' },
      ],
      insteadOfAsking,
      signal,
    },
    streams,
  );
  return answer === 'development' || answer === 'production' ? answer : undefined;
}

async function askSshKeys({ streams, signal }: AskContext): Promise<string[]> {
  const found = await findSshKeys(signal);
  if (found.length > 0) {
    const choices = found.map(({ word, name }) => ({ value: word, name }));
    return askWhichOnes({ message: 'SSH keys that may log in as root:', choices, insteadOfAsking, signal }, streams);
  }
  const fileOf = (answer: string) =>
    answer.startsWith('~/') ? path.join(folders.home(), answer.slice(2)) : path.resolve(answer);
  const objection = async (answer: string) => {
    if (answer === '') return undefined;
    try {
      await readSshPublicKeys(fileOf(answer), { readFile: (file) => readFile(file) });
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  const message = 'File with an SSH public key that may log in as root (Enter: none):';
  const answer = await askText({ message, objection, insteadOfAsking, signal }, streams);
  return answer === '' ? [] : [fileOf(answer)];
}

async function askNetwork(
  config: JsonObject,
  context: AskContext,
): Promise<Pick<ConfigurationAnswers, 'wifi' | 'address'>> {
  const { streams, signal } = context;
  const kind = await askWhich(
    {
      message: 'Network:',
      choices: [
        { value: 'ethernet', name: 'Ethernet with DHCP, which needs no settings' },
        { value: 'wifi', name: 'Wi-Fi' },
        { value: 'address', name: 'Ethernet with a fixed IPv4 address' },
      ],
      insteadOfAsking,
      signal,
    },
    streams,
  );
  if (kind === 'wifi') return { wifi: await askWifi(config, context) };
  return kind === 'address' ? { address: await askAddress(context) } : {};
}

async function askWifi(config: JsonObject, { streams, signal }: AskContext): Promise<WifiAnswer> {
  const asking = { insteadOfAsking, signal };
  const ssid = await askText({ ...asking, message: 'Wi-Fi name (SSID):', objection: objectionOf(ssidShape) }, streams);
  const keyObjection = (key: string) =>
    key === '' || isWifiKey(key) ? undefined : 'A key has 8 to 63 printable ASCII characters or 64 hexadecimal digits.';
  const key = await askSecret(
    { ...asking, message: 'Wi-Fi key (Enter: the network is open):', objection: keyObjection },
    streams,
  );
  const proposal = typeof config.country === 'string' ? config.country : countryOfUser();
  const country = await askText(
    {
      ...asking,
      message: 'Country whose Wi-Fi rules hold, such as DE:',
      ...(proposal === undefined ? {} : { proposal }),
      objection: orEmpty((answer) => objectionOf(countryShape)(answer.toUpperCase())),
    },
    streams,
  );
  return { ssid, ...(key === '' ? {} : { key }), ...(country === '' ? {} : { country: country.toUpperCase() }) };
}

/** The country in the user's locale: `DE` of `de_DE.UTF-8`. */
function countryOfUser(): string | undefined {
  const locale = environmentVariable('LC_ALL') ?? environmentVariable('LANG') ?? '';
  return /^[a-z]{2,3}_([A-Z]{2})\b/.exec(locale)?.[1];
}

async function askAddress({ streams, signal }: AskContext): Promise<AddressAnswer> {
  const asking = { insteadOfAsking, signal };
  const of = (settings: (answer: string) => object) => (answer: string) => objectionOf(ipv4Shape)(settings(answer));
  const address = await askText(
    {
      ...asking,
      message: 'Address with prefix length, such as 192.168.1.20/24:',
      objection: of((one) => ({ addresses: [one] })),
    },
    streams,
  );
  const gateway = await askText(
    {
      ...asking,
      message: 'Gateway (Enter: none):',
      objection: orEmpty(of((one) => ({ addresses: [address], gateway: one }))),
    },
    streams,
  );
  const servers = (answer: string) => answer.split(/[\s,]+/).filter(Boolean);
  const dns = await askText(
    {
      ...asking,
      message: 'DNS servers, separated by spaces (Enter: none):',
      ...(gateway === '' ? {} : { proposal: gateway }),
      objection: of((all) => ({ addresses: [address], dns: servers(all) })),
    },
    streams,
  );
  return { address, ...(gateway === '' ? {} : { gateway }), dns: servers(dns) };
}

function objectionOf(shape: Shape<unknown>): (answer: unknown) => string | undefined {
  return (answer) => {
    const [problem] = shape.problems(answer, []);
    return problem && `It ${problem.message}.`;
  };
}

function orEmpty(objection: (answer: string) => string | undefined): (answer: string) => string | undefined {
  return (answer) => (answer === '' ? undefined : objection(answer));
}
