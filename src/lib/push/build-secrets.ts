import { Failure } from '../failure/failure.js';
import { parseDockerfile } from '../project/dockerfile.js';

/** Contents of a build's secrets by the path below `/run/secrets` at which its steps find them. */
export type BuildSecrets = ReadonlyMap<string, Uint8Array>;

/** A secret is in the build's parameters, which are part of a request's first line; engines take no more than 1 MB of that. */
const mostBytes = 65_536;
const bytesInLine = 60;
const mark = '@secret';

/**
 * The hosts that carry secrets into the steps of a classic build, as `extrahosts` of the API has them.
 *
 * The classic builder has no secrets and mounts nothing that we could name, with one exception: it gives each step an `/etc/hosts` of
 * its own, a mounted file that is in no layer, and what is in it for this build is recorded in no history. So a secret travels as
 * names of the host 0.0.0.0, its bytes in the octal notation that every shell's `printf` reads.
 */
export function secretHosts(secrets: BuildSecrets): readonly string[] {
  const total = [...secrets.values()].reduce((sum, { length }) => sum + length, 0);
  if (total > mostBytes) {
    const message = `the secrets of a build are ${total} bytes, and a build on a device takes ${mostBytes}`;
    throw new Failure('refused', 'build-secrets-too-large', message, {
      hint: 'Keep what is not secret in files of its own',
    });
  }
  return [...secrets].flatMap(([path, content]) => {
    const name = octal(Buffer.from(path));
    const pieces = Math.max(1, Math.ceil(content.length / bytesInLine));
    return Array.from({ length: pieces }, (_, piece) => {
      const bytes = content.subarray(piece * bytesInLine, (piece + 1) * bytesInLine);
      return `${mark}/${name}/${octal(bytes)}:0.0.0.0`;
    });
  });
}

/** An engine's words, should they ever quote such a host. */
export function withoutSecrets(message: string): string {
  return message.replace(/@secret\/\S*/g, 'a secret');
}

function octal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

/**
 * A shell's way from those hosts to `/run/secrets`: the files are in the memory of the step, to which a link leads that goes when the
 * step ends. A step of another user than root that may not make that link finds them in `/dev/shm/secrets`.
 */
const unpack = [
  '(umask 077',
  'mkdir -p /run /dev/shm/secrets',
  'while read -r a n b',
  `do case $n in ${mark}/*) n=\${n#${mark}/}`,
  'f=/dev/shm/secrets/$(printf "${n%%/*}")',
  'mkdir -p "${f%/*}"',
  'printf "${n#*/}" >>"$f";; esac',
  'done </etc/hosts) 2>/dev/null',
  `ln -s /dev/shm/secrets /run 2>/dev/null && trap 'rm /run/secrets' EXIT`,
].join('; ');

/**
 * A Dockerfile whose steps find secrets, line for line as it was: each `RUN` that a shell executes gets the files first. What it says
 * of that is the same for every secret, so that another secret alone builds nothing anew.
 */
export function withSecrets(dockerfile: string): string {
  const lines = dockerfile.split('\n');
  for (const { keyword, json, line } of parseDockerfile(dockerfile).instructions) {
    // What no shell executes can read no octal notation.
    if (keyword !== 'RUN' || json !== undefined) continue;
    lines[line - 1] = (lines[line - 1] ?? '').replace(/^(\s*RUN\s+)/i, (words) => `${words}${unpack}; `);
  }
  return lines.join('\n');
}
