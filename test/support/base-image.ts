import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import tar from 'tar-stream';
import { engineJson } from '../../src/lib/engine/engine-request.js';
import type { EngineConnection } from '../../src/lib/engine/engine-connection.js';

/** What the imported image has in /bin. */
const applets = [
  'cat',
  'chmod',
  'echo',
  'env',
  'false',
  'find',
  'grep',
  'httpd',
  'kill',
  'ls',
  'mkdir',
  'mv',
  'rm',
  'seq',
];
const moreApplets = ['sh', 'sha256sum', 'sleep', 'sort', 'stat', 'test', 'touch', 'tr', 'trap', 'true', 'xargs'];

/** Imports an image named `base` that holds a static busybox, so that tests can build without a registry. */
export async function importBaseImage(engine: EngineConnection): Promise<void> {
  const pack = tar.pack();
  pack.entry({ name: 'bin/busybox', mode: 0o755 }, await readFile('/bin/busybox'));
  for (const name of [...applets, ...moreApplets])
    pack.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' });
  for (const name of ['tmp', 'etc', 'www']) pack.entry({ name, type: 'directory', mode: 0o755 });
  pack.finalize();
  const query = { fromSrc: '-', repo: 'base' };
  await engineJson(engine, { method: 'POST', path: '/images/create', query, body: { tar: Readable.from(pack) } });
}
