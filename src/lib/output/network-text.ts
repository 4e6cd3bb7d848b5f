import type { ListedNetwork, ShownNetwork } from '../boot-config/stored-networks.js';
import { printable } from './format.js';
import { tableLines } from './table.js';

/** Networks of an image for people. */
export function networkListLines(networks: readonly ListedNetwork[]): string[] {
  if (networks.length === 0) return ['No networks: a device uses Ethernet with DHCP only.'];
  const rows = networks.map(({ name, type, description, ignoredBecause }) => [
    name,
    type ?? '',
    ignoredBecause === null ? description : `ignored, because ${ignoredBecause}`,
  ]);
  return tableLines(['name', 'type', 'what it is'], rows).map(printable);
}

/** A network as the profile that it is, with comments for what a profile has no words for. */
export async function networkProfileLines({ profileName, network, settings }: ShownNetwork): Promise<string[]> {
  const { stringify } = await import('yaml');
  const profile =
    network === null ? [] : stringify({ networks: { [profileName]: network } }, { lineWidth: 0 }).split('\n');
  const unsaid = Object.entries(settings).flatMap(([section, keys]) => [
    `# [${section}]`,
    ...Object.entries(keys).map(([key, value]) => `# ${key}=${value}`),
  ]);
  const heading =
    network === null
      ? '# A profile has no words for this network; to NetworkManager it is:'
      : '# Settings of NetworkManager that a profile has no words for:';
  return [...profile.filter(Boolean), ...(unsaid.length === 0 ? [] : [heading, ...unsaid])].map(printable);
}

/** The key files of a network, each under its name where there are several. */
export function keyfileLines({ keyfiles }: Pick<ShownNetwork, 'keyfiles'>): string[] {
  const entries = Object.entries(keyfiles);
  return entries
    .flatMap(([name, text]) => [...(entries.length === 1 ? [] : [`# ${name}`]), ...text.trimEnd().split('\n'), ''])
    .slice(0, -1)
    .map(printable);
}
