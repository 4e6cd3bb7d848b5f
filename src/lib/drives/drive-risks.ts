import { Failure } from '../failure/failure.js';
import { environmentVariable } from '../platform/environment.js';
import type { DrivePartition } from './drive-partitions.js';

/** Risks that a user can take by name; each has one flag and one error code. */
export type DriveRisk = 'fixed' | 'large' | 'data' | 'mounted';

/** What a user passes to take a risk. */
export const riskFlags: Readonly<Record<DriveRisk, string>> = {
  fixed: '--force-fixed',
  large: '--force-large',
  data: '--force-data',
  mounted: '--unmount',
};

/** Bytes: what is sold as 256 GB has up to 256 GiB. */
const usualLimit = 256 * 1024 ** 3;

const units: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bytes above which a drive is hardly a card: what `DAVIT_LARGE_DRIVE` says (`64GB`, `2TB`), or 256 GiB. */
export function largeDriveLimit(): number {
  const setting = environmentVariable('DAVIT_LARGE_DRIVE');
  if (setting === undefined) return usualLimit;
  const [, digits = '', prefix = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)b?$/i.exec(setting.trim()) ?? [];
  const limit = Number(digits) * (units[prefix.toLowerCase()] ?? 0);
  if (digits !== '' && limit > 0) return limit;
  throw new Failure('usage', 'invalid-size', `DAVIT_LARGE_DRIVE is no size: ${setting}`, {
    hint: 'Give it in bytes or with a unit, such as 512GB',
  });
}

/** Kinds of file systems that no image for a device has, and what holds encrypted data. */
const neverOfImages = /^(ntfs|refs|hfs|hfsplus|apfs|bitlocker|crypto_luks|jfs|reiserfs|udf)$/i;

/** Kinds of file systems that images have, but data as well. */
const perhapsOfImages = /^(vfat|exfat|msdos|ext[234]|btrfs|xfs|f2fs)$/i;

/** Names that images give their partitions; balenaOS and what it is tried on first. */
const imageNames = new RegExp(
  '^(' +
    [
      '(resin|balena|flash|hassos|armbi|mender|rauc|ubuntu|debian|raspi\\w*|fedora|alpine|arch|nixos|kali|dietpi)([-_ .].*)?',
      '(boot|root|rootfs|system|kernel|firmware|recovery|bios|grub|u?efi|esp)([-_ ]?(fs|boot|img|part|a|b|[0-9]))*',
      'efi system( partition)?|bios boot( partition)?|system-boot|writable|settings[0-9]?|config-2|cidata|overlay|openwrt',
      'hypriotos|libreelec|coreelec|volumio(_data|_imgpart)?|noobs|boot-rpi',
    ].join('|') +
    ')$',
  'i',
);

/** What cards are called when they are new. */
const vendorNames = new RegExp(
  '^(' +
    [
      'no[ _]name|untitled|new volume|volume|disk|removable( disk)?|flash|sd([ _-]?card)?|sd[hx]c|usb([ _-]?(disk|drive|stick|key))?',
      '(adata|corsair|emtec|integral|intenso|kingston|lexar|maxell|netac|patriot|philips|pny|samsung|sandisk|sony|toshiba|transcend|verbatim)([ _-].*)?',
    ].join('|') +
    ')$',
  'i',
);

/**
 * Whether a partition looks like it holds somebody's data: it has a file system that images for devices do not have, or one whose label is
 * neither that of an image nor what its maker gave the card. Without a label it passes.
 */
export function looksLikeData({ fileSystem, label, name }: DrivePartition): boolean {
  if (fileSystem === null || [label, name].some((one) => one !== null && imageNames.test(one))) return false;
  if (neverOfImages.test(fileSystem)) return true;
  if (!perhapsOfImages.test(fileSystem) || label === null) return false;
  return !(vendorNames.test(label) && /fat$/i.test(fileSystem));
}
