import { jsonObject, type JsonObject } from '../platform/json.js';
import type { Mount } from '../project/composition.js';
import type { ObjectNames } from './object-names.js';

/** Named volumes and what is bound as `docker run -v` does it: a path that the device does not have is made. */
export function binds(volumes: readonly Mount[] = [], objectNames: ObjectNames): string[] | undefined {
  const words = volumes.flatMap((mount) => {
    const { type, source, target, read_only, bind, volume } = mount;
    if (source === undefined || (type !== 'volume' && type !== 'bind') || needsMount(mount)) return [];
    const name = type === 'bind' ? source : objectNames.volume(source);
    const options = [
      ...(read_only === true ? ['ro'] : []),
      ...(volume?.nocopy === true ? ['nocopy'] : []),
      ...(bind?.propagation === undefined ? [] : [bind.propagation]),
      ...(bind?.selinux === undefined ? [] : [bind.selinux]),
    ];
    return [[name, target, ...(options.length > 0 ? [options.join(',')] : [])].join(':')];
  });
  return words.length === 0 ? undefined : words;
}

function needsMount({ type, bind }: Mount): boolean {
  return type === 'tmpfs' || (type === 'bind' && bind?.create_host_path === false);
}

/** What only the newer kind of mount can express. */
export function mounts(volumes: readonly Mount[] = []): JsonObject[] | undefined {
  const needed = volumes.filter(needsMount).map(({ type, source, target, read_only, bind, tmpfs }) =>
    jsonObject({
      Type: type,
      Source: source,
      Target: target,
      ReadOnly: read_only,
      BindOptions: bind?.propagation === undefined ? undefined : { Propagation: bind.propagation },
      TmpfsOptions: tmpfs === undefined ? undefined : jsonObject({ SizeBytes: tmpfs.size, Mode: tmpfs.mode }),
    }),
  );
  return needed.length === 0 ? undefined : needed;
}

/** Volumes without a name, which live as long as their container. */
export function anonymousVolumes(volumes: readonly Mount[] = []): JsonObject | undefined {
  const targets = volumes.filter(({ type, source }) => type === 'volume' && source === undefined);
  return targets.length === 0 ? undefined : Object.fromEntries(targets.map(({ target }) => [target, {}]));
}

/** Mount points of memory by path: `/run:size=64m`. */
export function memoryMounts(tmpfs: readonly string[] | undefined): JsonObject | undefined {
  if (tmpfs === undefined) return undefined;
  return Object.fromEntries(
    tmpfs.map((text) => {
      const at = text.indexOf(':');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
