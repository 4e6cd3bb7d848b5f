import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { requireFatName } from '../image/fat-name.js';
import { type BootConfigurationRequest, type BootFile, connectionsOf } from './boot-configuration-request.js';
import { dnsServersText } from './config-values.js';
import { readConnectionFile } from './connection-file.js';
import { networkFiles } from './network-files.js';
import type { Path, Problem } from './problem.js';
import type { Profile } from './profile-shape.js';
import { proxyFiles } from './proxy.js';
import { requirePng } from './splash-logo.js';
import { type KeySources, readSshPublicKeys } from './ssh-public-key.js';

/**
 * Turns a profile into a request: reads the files that it names and writes its networks. What is wrong with a file becomes a problem of
 * the place that names it.
 *
 * @param read reads a file by the name that the profile has for it
 * @param fetchKeys fetches SSH keys that somebody has published; left out, those are not fetched
 */
export async function profileRequest(
  profile: Profile,
  read: (name: string) => Promise<Buffer>,
  fetchKeys?: KeySources['fetchKeys'],
): Promise<{ readonly request: BootConfigurationRequest; readonly problems: readonly Problem[] }> {
  const problems: Problem[] = [];
  /** What each of some items gives, but for those that fail. */
  const each = async <I, T>(
    items: readonly (readonly [Path, I])[],
    work: (item: I) => Promise<readonly T[]>,
  ): Promise<T[]> => {
    const results: T[] = [];
    for (const [place, item] of items) {
      try {
        results.push(...(await work(item)));
      } catch (error) {
        // What cannot be reached now is no mistake of the profile.
        if (!(error instanceof Failure) || ['interrupted', 'unreachable'].includes(error.kind)) throw error;
        problems.push({ path: place, message: `cannot be used: ${error.message}` });
      }
    }
    return results;
  };
  const allConnections = [
    ...(await each(entries('networks', profile.networks), ([name, network]) => networkFiles(name, network, read))),
    ...(await each(items('connectionFiles', profile.connectionFiles), async (name) => [
      await readConnectionFile(name, read),
    ])),
  ];
  const connections = await each([[[], allConnections]], (all) =>
    Promise.resolve(connectionsOf([{ connections: all }])),
  );
  const files: BootFile[] = [
    ...(profile.proxy === undefined ? [] : proxyFiles(profile.proxy)),
    ...(await each(items('dispatcherScripts', profile.dispatcherScripts), async (name) => {
      requireFatName(path.basename(name));
      return [{ path: `dispatcher.d/${path.basename(name)}`, content: requireScript(await read(name), name) }];
    })),
    ...(await each(entries('bootFiles', profile.bootFiles), async ([target, name]) => [
      { path: target, content: await read(name) },
    ])),
  ];
  const [splash] = await each(profile.splash === undefined ? [] : [[['splash'], profile.splash]], async (name) => {
    const content = await read(name);
    requirePng(content, name);
    return [content];
  });
  const sshKeys = await each(items('sshKeys', profile.sshKeys), (word) =>
    readSshPublicKeys(word, { readFile: read, ...(fetchKeys === undefined ? {} : { fetchKeys }) }),
  );
  const names = files.map((file) => file.path.toLowerCase());
  const twice = files.find((file, index) => names.indexOf(file.path.toLowerCase()) !== index);
  if (twice !== undefined) problems.push({ path: [], message: `puts two files at ${twice.path}` });
  const request = {
    ...settingsOf(profile),
    ...(connections.length === 0 ? {} : { connections }),
    ...(files.length === 0 ? {} : { files }),
    ...(sshKeys.length === 0 ? {} : { sshKeys }),
    ...(splash === undefined ? {} : { splash }),
  };
  return { request, problems };
}

/** What needs no file. */
function settingsOf({ mode, dns, ntp, ...profile }: Profile): BootConfigurationRequest {
  const { hostname, persistentLogging, country, configTxt, udevRules, config } = profile;
  return {
    ...(config === undefined ? {} : { config }),
    ...(mode === undefined ? {} : { developmentMode: mode === 'development' }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(persistentLogging === undefined ? {} : { persistentLogging }),
    ...(dns === undefined ? {} : { dnsServers: dnsServersText(dns) }),
    ...(ntp === undefined ? {} : { ntpServers: ntp.join(' ') }),
    ...(country === undefined ? {} : { country }),
    ...(udevRules === undefined ? {} : { udevRules }),
    ...(configTxt === undefined ? {} : { configTxt }),
  };
}

/** The items of a list with their places. */
function items(key: string, list: readonly string[] = []): (readonly [Path, string])[] {
  return list.map((item, index) => [[key, index], item]);
}

/** The entries of an object with their places. */
function entries<T>(key: string, object: Readonly<Record<string, T>> = {}): (readonly [Path, readonly [string, T]])[] {
  return Object.entries(object).map(([name, value]) => [
    [key, name],
    [name, value],
  ]);
}

function requireScript(content: Buffer, name: string): Buffer {
  const [first = ''] = content.toString('latin1').split('\n', 1);
  const why = !first.startsWith('#!')
    ? 'its first line does not name an interpreter'
    : first.endsWith('\r')
      ? 'its lines end as on Windows'
      : undefined;
  if (why === undefined) return content;
  throw new Failure('usage', 'invalid-script', `${name} would not run: ${why}`, {
    hint: 'Begin it with #!/bin/bash and end its lines with a line feed alone',
  });
}
