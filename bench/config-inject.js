// Puts a hostname into config.json with balena-image-fs, the library by which `balena config inject` changes an image; that command itself, which
// loads a good deal more, is not run: node bench/config-inject.js <image> <partition> <hostname>
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

// The library comes with etcher-sdk, which is no dependency that everybody has; a folder that holds it can be named.
const folder = process.env.DAVIT_BENCH_ETCHER;
const load = createRequire(folder === undefined ? import.meta.url : `${folder}/`);
const { interact } = load('balena-image-fs');

const [image, partition, hostname] = process.argv.slice(2);
await interact(image, Number(partition), async (fs) => {
  const config = JSON.parse(await promisify(fs.readFile)('/config.json', { encoding: 'utf8' }));
  await promisify(fs.writeFile)('/config.json', JSON.stringify({ ...config, hostname }));
});
