import { access, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { findProgram, runChecked } from '../platform/child-process.js';
import { folders } from '../platform/environment.js';

/** What the user's configuration of OpenSSH says of a host. */
export interface HostSettings {
  /** What to look up instead of the name that the user typed, often the same. */
  readonly hostName: string;
  /** Undefined where nothing is said of this host in particular. */
  readonly port: number | undefined;
  readonly user: string | undefined;
  /** Private keys in the order in which they are offered; not all of them need to be there. */
  readonly identityFiles: readonly string[];
  /** Whether keys of the agent are offered only when they are among those. */
  readonly identitiesOnly: boolean;
  /** Socket of the agent; undefined for the one of the environment, `none` for no agent. */
  readonly agent: string | undefined;
  readonly certificateFiles: readonly string[];
  readonly proxy: Proxy | undefined;
}

/** What stands between davit and a host: a command that speaks for it, or hosts to go through (`user@host:port`), the first one first. */
export type Proxy = { readonly command: string } | { readonly jumps: readonly string[] };

/** What devices have in common, unlike other hosts. */
export const deviceDefaults = { user: 'root', port: 22222 } as const;

/** A host that nobody has a configuration for in particular. */
const nobody = 'davit-asks-what-holds-for-every-host.invalid';

/**
 * What the user's configuration of OpenSSH says of a device, as OpenSSH itself reads it (`ssh -G`), with all its patterns, includes and
 * matches; undefined where there is no configuration, or no OpenSSH to read it.
 *
 * User and port count only where they are said of this host, not where they are said of all: what else a user logs in to is no device.
 */
export async function deviceSettings(host: string, signal: AbortSignal): Promise<HostSettings | undefined> {
  const files = await configurationFiles();
  if (files.length === 0 || (await findProgram('ssh')) === undefined) return undefined;
  const { user, port } = deviceDefaults;
  // In OpenSSH the first value counts, so what comes last is what nobody has said anything about.
  const lines = [...includes(files), 'Host *', `User ${user}`, `Port ${port}`];
  const said = await ask(host, lines, signal);
  const isDefault = said.get('user')?.[0] === user && said.get('port')?.[0] === String(port);
  const ofAll = isDefault ? said : await ask(nobody, lines, signal);
  const particular = (keyword: string) => {
    const value = said.get(keyword)?.[0];
    return value === ofAll.get(keyword)?.[0] ? undefined : value;
  };
  return settingsFrom(host, said, { user: particular('user'), port: particular('port') });
}

/** What the user's configuration of OpenSSH says of a host that is no device, such as one that stands before devices. */
export async function hostSettings(host: string, signal: AbortSignal): Promise<HostSettings> {
  const said = await ask(host, includes(await configurationFiles()), signal);
  return settingsFrom(host, said, { user: said.get('user')?.[0], port: said.get('port')?.[0] });
}

function includes(files: readonly string[]): string[] {
  return files.map((file) => `Include "${file}"`);
}

/** The lines of `ssh -G`: `keyword value`, keywords in lower case, some of them more than once. */
async function ask(
  host: string,
  configuration: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const folder = await mkdtemp(path.join(folders.temporary(), 'davit-ssh-'));
  try {
    const file = path.join(folder, 'config');
    await writeFile(file, `${configuration.join('\n')}\n`);
    const doing = 'reading your configuration of OpenSSH';
    const text = await runChecked(doing, 'ssh', ['-G', '-F', file, '--', host], { signal });
    const settings = new Map<string, string[]>();
    for (const line of text.split('\n')) {
      const space = line.indexOf(' ');
      if (space < 0) continue;
      const keyword = line.slice(0, space);
      settings.set(keyword, [...(settings.get(keyword) ?? []), line.slice(space + 1).trim()]);
    }
    return settings;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function configurationFiles(): Promise<string[]> {
  const own = path.join(folders.home(), '.ssh', 'config');
  const hasOwn = await access(own).then(
    () => true,
    () => false,
  );
  // What distributions put into the system's own file concerns no host in particular.
  const parts = await readdir('/etc/ssh/ssh_config.d').catch(() => []);
  if (!hasOwn && parts.length === 0) return [];
  return [...(hasOwn ? [own] : []), '/etc/ssh/ssh_config'];
}

function settingsFrom(
  host: string,
  said: ReadonlyMap<string, readonly string[]>,
  { user, port }: { readonly user: string | undefined; readonly port: string | undefined },
): HostSettings {
  const first = (keyword: string) => said.get(keyword)?.[0];
  const hostName = first('hostname') ?? host;
  const usual = { user: deviceDefaults.user, port: String(deviceDefaults.port) };
  const fill = (text: string) =>
    expandTokens(text, { hostName, host, port: port ?? usual.port, user: user ?? usual.user });
  const files = (keyword: string) =>
    (said.get(keyword) ?? []).filter((file) => file !== 'none').map((file) => fill(unquoted(file)));
  const agent = first('identityagent');
  return {
    hostName,
    port: port === undefined ? undefined : Number(port),
    user,
    identityFiles: files('identityfile'),
    identitiesOnly: first('identitiesonly') === 'yes',
    agent: agent === undefined || agent === 'SSH_AUTH_SOCK' ? undefined : fill(unquoted(agent)),
    certificateFiles: files('certificatefile'),
    proxy: proxyFrom(first('proxyjump'), first('proxycommand'), fill),
  };
}

function proxyFrom(
  jump: string | undefined,
  command: string | undefined,
  fill: (text: string) => string,
): Proxy | undefined {
  if (jump !== undefined && jump !== 'none') return { jumps: jump.split(',').map((one) => one.trim()) };
  if (command === undefined || command === 'none' || isOurs(command)) return undefined;
  return { command: fill(command) };
}

/** Whether a ProxyCommand is the one of `davit ssh-config`, which would lead back to davit. */
function isOurs(command: string): boolean {
  return command.includes(` ${proxyWords} `);
}

/** What follows the program in the ProxyCommand of davit's own entries. */
export const proxyWords = 'ssh --stdio';

interface TokenValues {
  readonly hostName: string;
  readonly host: string;
  readonly port: string;
  readonly user: string;
}

/** Tokens of ssh_config(5) that make sense for files and proxies, and a home folder written as `~`. */
function expandTokens(text: string, { hostName, host, port, user }: TokenValues): string {
  const values: Readonly<Record<string, string>> = {
    '%': '%',
    h: hostName,
    n: host,
    p: port,
    r: user,
    d: folders.home(),
    u: userInfo().username,
  };
  return text
    .replace(/^~(?=\/|$)/, folders.home())
    .replace(/%([%hnprdu])/g, (whole, token: string) => values[token] ?? whole);
}

function unquoted(text: string): string {
  return /^"(.*)"$/.exec(text)?.[1] ?? text;
}
