import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type EngineContainer, readArchive } from '../engine/container-archive.js';
import { Failure } from '../failure/failure.js';
import type { Owner } from './container-files.js';

/**
 * Who `user` or `user:group` is in a container, by name or number, as its own /etc/passwd and /etc/group say. Without a group it is the
 * user's first one, or the number of the user, as the builder has it.
 */
export async function ownerIn(container: EngineContainer, owner: string, signal: AbortSignal): Promise<Owner> {
  const [user = '', group] = owner.split(':');
  const users = await entriesOf(container, '/etc/passwd', signal);
  const known = users.find(([name, , uid]) => name === user || uid === user);
  const uid = numberOf(known?.[2] ?? user, owner);
  if (group === undefined) return { uid, gid: numberOf(/^\d+$/.test(user) ? user : (known?.[3] ?? user), owner) };
  const groups = await entriesOf(container, '/etc/group', signal);
  return { uid, gid: numberOf(groups.find(([name]) => name === group)?.[2] ?? group, owner) };
}

function numberOf(value: string, owner: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw new Failure('not-found', 'owner-unknown', `nobody in the container is called ${owner}`);
}

async function entriesOf(container: EngineContainer, file: string, signal: AbortSignal): Promise<string[][]> {
  const { default: tar } = await import('tar-stream');
  const extract = tar.extract();
  const source = Readable.from(readArchive(container, file, signal));
  source.on('error', (error) => {
    extract.destroy(error);
  });
  source.pipe(extract);
  try {
    for await (const entry of extract) return (await text(entry)).split('\n').map((line) => line.split(':'));
  } catch (error) {
    // An image need not name anybody.
    if (!(error instanceof Failure && error.kind === 'not-found')) throw error;
  }
  return [];
}
