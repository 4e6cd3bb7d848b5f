// The images that bench/flash.ts writes: balena's layout, filled with real files of this computer, and their packed forms.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const mebibyte = 1024 * 1024;

/** An image that was made; its packed forms lie beside it under its name and their extension. */
export interface BenchImage {
  readonly path: string;
  /** In a folder of its own, so that davit uses it only when it is told to. */
  readonly bmap: string;
  readonly size: number;
}

interface Part {
  readonly label: string;
  readonly mebibytes: number;
  /** Folders of this computer that fill it, and how much of them. */
  readonly from?: string;
  readonly mebibytesUsed?: number;
}

/** 2 GiB, of which a third is used. */
const large: readonly Part[] = [
  { label: 'resin-boot', mebibytes: 80, from: '/usr/sbin', mebibytesUsed: 20 },
  { label: 'resin-rootA', mebibytes: 700, from: '/usr/bin /usr/sbin /usr/lib', mebibytesUsed: 520 },
  { label: 'resin-rootB', mebibytes: 700 },
  { label: 'resin-state', mebibytes: 20 },
  { label: 'resin-data', mebibytes: 540, from: '/usr/share', mebibytesUsed: 60 },
];

/** 512 MiB, for cards on which the other one would take minutes. */
const small: readonly Part[] = [
  { label: 'resin-boot', mebibytes: 80, from: '/usr/sbin', mebibytesUsed: 20 },
  { label: 'resin-rootA', mebibytes: 160, from: '/usr/bin /usr/sbin /usr/lib', mebibytesUsed: 50 },
  { label: 'resin-rootB', mebibytes: 160 },
  { label: 'resin-state', mebibytes: 20 },
  { label: 'resin-data', mebibytes: 84, from: '/usr/share', mebibytesUsed: 10 },
];

const packers: Readonly<Record<string, (image: string, packed: string) => string>> = {
  gz: (image, packed) => `gzip -6 <${image} >${packed}`,
  zst: (image, packed) => `zstd -q -3 -T0 -o ${packed} ${image}`,
  zip: (image, packed) => `zip -6 -q -j ${packed} ${image}`,
  xz: (image, packed) => `xz -1 -T0 --block-size=24MiB <${image} >${packed}`,
};

/** Makes both images and their packed forms in a folder, unless they are there; that takes two minutes. */
export function makeBenchImages(folder: string): { readonly large: BenchImage; readonly small: BenchImage } {
  mkdirSync(folder, { recursive: true });
  return { large: makeBenchImage(folder, 'large', large), small: makeBenchImage(folder, 'small', small) };
}

function makeBenchImage(folder: string, name: string, parts: readonly Part[]): BenchImage {
  const image = path.join(folder, `${name}.img`);
  if (!existsSync(image)) {
    console.error(`making the ${name} image`);
    const work = path.join(folder, 'work');
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work);
    const unfinished = path.join(work, 'image');
    makeImage(unfinished, work, parts);
    renameSync(unfinished, image);
    rmSync(work, { recursive: true });
  }
  for (const [extension, command] of Object.entries(packers)) {
    const packed = `${image}.${extension}`;
    if (existsSync(packed)) continue;
    console.error(`packing ${path.basename(packed)}`);
    execFileSync('sh', ['-c', `${command(image, `${packed}.part`)} && mv ${packed}.part ${packed}`]);
  }
  const bmap = path.join(folder, 'bmap', `${name}.bmap`);
  mkdirSync(path.dirname(bmap), { recursive: true });
  if (!existsSync(bmap)) execFileSync('bmaptool', ['-q', 'create', '-o', bmap, image]);
  return { path: image, bmap, size: statSync(image).size };
}

function makeImage(image: string, work: string, parts: readonly Part[]): void {
  // 4 MiB in front of the first partition, and as much behind the last for the copy of the table.
  const size = (8 + parts.reduce((sum, part) => sum + part.mebibytes, 0)) * mebibyte;
  writeFileSync(image, '');
  truncateSync(image, size);
  let start = 4;
  const table: string[] = [];
  for (const [index, { label, mebibytes, from, mebibytesUsed = 0 }] of parts.entries()) {
    const number = index + 1;
    table.push('-n', `${number}:${start}M:+${mebibytes}M`, '-c', `${number}:${label}`);
    const tree = path.join(work, label);
    mkdirSync(tree);
    if (from !== undefined) copyFiles(from, tree, mebibytesUsed);
    const file = path.join(work, 'partition');
    if (number === 1) {
      execFileSync('mkfs.vfat', ['-C', '-F', '32', '-n', 'RESIN-BOOT', file, String(mebibytes * 1024)], {
        stdio: 'ignore',
      });
      execFileSync('sh', ['-c', `mcopy -s -o -i ${file} ${tree}/* ::`], { stdio: 'ignore' });
    } else {
      execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-L', label, '-d', tree, file, `${mebibytes}m`]);
    }
    const place = [`seek=${start}`, 'bs=1M', 'conv=notrunc,sparse', 'status=none'];
    execFileSync('dd', [`if=${file}`, `of=${image}`, ...place]);
    rmSync(file);
    start += mebibytes;
  }
  execFileSync('sgdisk', ['-a', '2048', ...table, image], { stdio: 'ignore' });
}

/** Copies regular files until so many MiB are full. */
function copyFiles(from: string, to: string, mebibytes: number): void {
  const files = `find ${from} -xdev -type f -size -20M -print0 | sort -z`;
  const pack = `tar --create --null --files-from=- --file=- --hard-dereference 2>/dev/null`;
  // The last file is cut short, about which tar complains.
  const unpack = `tar --extract --file=- --directory=${to} --strip-components=1 2>/dev/null || true`;
  execFileSync('sh', ['-c', `${files} | ${pack} | head --bytes=${mebibytes}M | ${unpack}`]);
}
