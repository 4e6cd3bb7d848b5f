// Flashes with etcher-sdk as Etcher does, for comparison: node bench/etcher-flash.js <image> verify|write|trim <drive>…
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

// The sdk is no dependency that everybody has; a folder that holds it can be named.
const folder = process.env.DAVIT_BENCH_ETCHER;
const load = createRequire(folder === undefined ? import.meta.url : `${folder}/`);
const { multiWrite, sourceDestination } = load('etcher-sdk');

const [image, mode, ...paths] = process.argv.slice(2);
const file = new sourceDestination.File({ path: image });
const source = await file.getInnerSource();
const destinations = paths.map((path) => {
  const size = Number(execFileSync('blockdev', ['--getsize64', path], { encoding: 'utf8' }));
  const drive = { raw: path, device: path, devicePath: path, size, blockSize: 512, mountpoints: [], isSystem: false };
  return new sourceDestination.BlockDevice({ drive, write: true, direct: true, unmountOnSuccess: false });
});
const { failures } = await multiWrite.decompressThenFlash({
  source,
  destinations,
  onFail: (_, error) => {
    console.error(error.message);
  },
  onProgress: () => undefined,
  verify: mode !== 'write',
  trim: mode === 'trim',
  decompressFirst: mode === 'trim',
});
await Promise.all(destinations.map((destination) => destination.close()));
await source.close();
process.exit(failures.size === 0 ? 0 : 1);
