// The image that bench/flash.ts writes: 2 GiB in balena's layout, filled with real files of this computer, and its packed forms.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const mebibyte = 1024 * 1024;

interface Part {
  readonly label: string;
  readonly mebibytes: number;
  /** Folders of this computer that fill it, and how much of them. */
  readonly from?: string;
  readonly mebibytesUsed?: number;
}

const parts: readonly Part[] = [
  { label: 'resin-boot', mebibytes: 80 },
  { label: 'resin-rootA', mebibytes: 700, from: '/usr/bin /usr/sbin /usr/lib', mebibytesUsed: 520 },
  { label: 'resin-rootB', mebibytes: 700 },
  { label: 'resin-state', mebibytes: 20 },
  { label: 'resin-data', mebibytes: 536, from: '/usr/share', mebibytesUsed: 60 },
];

/** Makes the image and its packed forms in a folder, unless they are there, and returns its path. */
export function makeBenchImage(folder: string): string {
  const image = path.join(folder, 'image.img');
  if (!existsSync(image)) {
    console.log('making the image');
    mkdirSync(folder, { recursive: true });
    makeImage(`${image}.part`, folder);
    execFileSync('mv', [`${image}.part`, image]);
  }
  const packers: Readonly<Record<string, string>> = {
    gz: `gzip -6 <${image}`,
    zst: `zstd -3 -T0 <${image}`,
    xz: `xz -1 -T0 --block-size=24MiB <${image}`,
  };
  for (const [extension, command] of Object.entries(packers)) {
    const packed = `${image}.${extension}`;
    if (existsSync(packed)) continue;
    console.log(`packing ${extension}`);
    execFileSync('sh', ['-c', `${command} >${packed}.part && mv ${packed}.part ${packed}`]);
  }
  if (!existsSync(`${image}.bmap`)) execFileSync('bmaptool', ['create', '-o', `${image}.bmap`, image]);
  return image;
}

function makeImage(image: string, folder: string): void {
  writeFileSync(image, '');
  truncateSync(image, 2048 * mebibyte);
  const work = path.join(folder, 'work');
  mkdirSync(work);
  let start = 4;
  const table: string[] = [];
  for (const [index, part] of parts.entries()) {
    // The last partition leaves room for the copy of the table.
    const size = index === parts.length - 1 ? part.mebibytes - 4 : part.mebibytes;
    const number = index + 1;
    table.push('-n', `${number}:${start}M:+${size}M`, '-c', `${number}:${part.label}`);
    const tree = path.join(work, part.label);
    mkdirSync(tree);
    if (part.from !== undefined) copyFiles(part.from, tree, part.mebibytesUsed ?? 0);
    const file = path.join(work, 'partition');
    if (number === 1) {
      execFileSync('mkfs.vfat', ['-C', '-F', '32', '-n', 'RESIN-BOOT', file, String(size * 1024)], { stdio: 'ignore' });
      copyFiles('/usr/sbin', tree, 20);
      execFileSync('sh', ['-c', `mcopy -s -o -i ${file} ${tree}/* ::`], { stdio: 'ignore' });
    } else {
      const label = ['-L', part.label];
      execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', ...label, '-d', tree, file, `${size}m`]);
    }
    const place = [`seek=${start}`, 'bs=1M', 'conv=notrunc,sparse', 'status=none'];
    execFileSync('dd', [`if=${file}`, `of=${image}`, ...place]);
    rmSync(file);
    start += size;
  }
  execFileSync('sgdisk', ['-a', '2048', ...table, image], { stdio: 'ignore' });
  rmSync(work, { recursive: true });
  if (statSync(image).size !== 2048 * mebibyte) throw new Error('the image has the wrong size');
}

/** Copies regular files until so many MiB are full. */
function copyFiles(from: string, to: string, mebibytes: number): void {
  const files = `find ${from} -xdev -type f -size -20M -print0 | sort -z`;
  const pack = `tar --create --null --files-from=- --file=- --hard-dereference 2>/dev/null`;
  // The last file is cut short, about which tar complains.
  const unpack = `tar --extract --file=- --directory=${to} --strip-components=1 2>/dev/null || true`;
  execFileSync('sh', ['-c', `${files} | ${pack} | head --bytes=${mebibytes}M | ${unpack}`]);
}
