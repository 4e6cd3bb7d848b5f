import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { ConnectionFile } from '../../src/lib/boot-config/connection-file.js';
import { projectRoot } from './davit.js';

/** What NetworkManager's own library understood of a key file: settings by section (D-Bus names), byte arrays as hexadecimal digits. */
export interface ReadKeyfile {
  readonly error?: string;
  readonly warnings?: readonly string[];
  readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

// Debian's own interpreter has the bindings, not one that may come before it in PATH.
const python = '/usr/bin/python3';
const script = path.join(projectRoot, 'test', 'support', 'read-keyfiles.py');

/** Why NetworkManager's library cannot be asked here, or false when it can. */
export function networkManagerMissing(): string | false {
  const probe = spawnSync(python, ['-c', 'import gi; gi.require_version("NM", "1.0")']);
  return probe.status === 0
    ? false
    : 'needs the Debian packages python3-gi and gir1.2-nm-1.0 (libnm, the parser of NetworkManager)';
}

/** Reads key files with libnm, the library that NetworkManager itself reads them with. */
export function readAsNetworkManager(files: readonly ConnectionFile[]): ReadKeyfile[] {
  const input = JSON.stringify(files.map(({ name, content }) => [name, content.toString('base64')]));
  const { status, stdout, stderr } = spawnSync(python, [script], { input, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as ReadKeyfile[];
}
