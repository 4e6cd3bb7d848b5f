// The programs that bench/flash.ts compares, and how each is told to write an image to a drive.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** One program and what it does. */
export interface Contestant {
  readonly source: string;
  readonly name: string;
  readonly command: readonly string[];
  /** Runs in the first round alone: it takes long and only sets the scene. */
  readonly once?: boolean;
  /** Bytes that it wipes before it writes the first byte of the image. */
  readonly wipedBytes?: number;
}

const here = path.dirname(fileURLToPath(import.meta.url));
const program = [process.execPath, path.resolve(here, '..', 'bin', 'run.js')];
const unpackers: Readonly<Record<string, string>> = {
  gz: 'gzip -dc',
  zst: 'zstd -dcq',
  zip: 'unzip -p',
  xz: 'xz -dc -T0',
};

/** davit wipes a MiB at the start of a drive, and one and up to a sector more at its end. */
const wipedBytes = 2 * 1024 * 1024 + 4096;

/** The file that holds an image in a form: `raw`, or an extension. */
export function packedAs(image: string, source: string): string {
  return source === 'raw' ? image : `${image}.${source}`;
}

export function davit(image: string, source: string, drives: readonly string[], ...flags: string[]): Contestant {
  const words = [...drives.flatMap((drive) => ['--drive', drive]), '--yes', '--progress', 'none', ...flags];
  return {
    source,
    name: ['davit flash', ...flags.filter((flag) => flag.startsWith('--'))].join(' '),
    command: [...program, 'flash', packedAs(image, source), ...words],
    wipedBytes: wipedBytes * drives.length,
  };
}

/** Bytes of an image that davit finds to matter. */
export function mappedBytes(image: string, drive: string): number {
  const words = [...program.slice(1), 'flash', image, '--drive', drive, '--dry-run', '--json'];
  const document = JSON.parse(execFileSync(process.execPath, words, { encoding: 'utf8' })) as {
    plan: { image: { bytesToWrite: number } };
  };
  return document.plan.image.bytesToWrite;
}

/** dd, behind a pipe from the usual program where the image is packed. */
export function dd(image: string, source: string, drive: string): Contestant {
  const write = `dd of=${drive} bs=4M oflag=direct conv=fsync iflag=fullblock status=none`;
  const unpacker = unpackers[source];
  if (unpacker === undefined) return { source, name: 'dd', command: [...write.split(' '), `if=${image}`] };
  const command = ['sh', '-c', `${unpacker} ${packedAs(image, source)} | ${write}`];
  return { source, name: `${unpacker}, dd`, command };
}

/** Writes so many bytes of an image and reads as many back: what a drive takes for that at least. */
export function thereAndBack(image: string, drive: string, bytes: number): Contestant {
  const count = `bs=4M count=${bytes} iflag=count_bytes,fullblock status=none`;
  const write = `dd if=${image} of=${drive} ${count} oflag=direct conv=fsync`;
  const read = `dd if=${drive} of=/dev/null ${count.replace('fullblock', 'direct')}`;
  return { source: '-', name: 'dd there and back, as many bytes', command: ['sh', '-c', `${write} && ${read}`] };
}

export function bmaptool(image: string, source: string, drive: string, bmap?: string): Contestant {
  const map = bmap === undefined ? ['--nobmap'] : ['--bmap', bmap];
  return {
    source,
    name: bmap === undefined ? 'bmaptool' : 'bmaptool with bmap',
    command: ['bmaptool', '-q', 'copy', ...map, packedAs(image, source), drive],
  };
}

const etcherFolder = process.env.DAVIT_BENCH_ETCHER;

/** Whether etcher-sdk can be found, in node_modules or where DAVIT_BENCH_ETCHER says. */
export function hasEtcher(): boolean {
  try {
    createRequire(etcherFolder === undefined ? import.meta.url : `${etcherFolder}/`).resolve('etcher-sdk');
    return true;
  } catch {
    return false;
  }
}

/** etcher-sdk; `trim` unpacks to a file first, leaves out what ext file systems do not use, and verifies. */
export function etcher(image: string, source: string, drives: readonly string[], mode: 'write' | 'verify' | 'trim') {
  const names = { write: 'etcher-sdk', verify: 'etcher-sdk, verify', trim: 'etcher-sdk, decompress, trim, verify' };
  const script = path.join(here, 'etcher-flash.js');
  const command = [process.execPath, script, packedAs(image, source), mode, ...drives];
  return { source, name: names[mode], command };
}
