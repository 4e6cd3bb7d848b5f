import type { BlockReader } from './block-file.js';
import { readExt4Label } from './ext4-reader.js';
import { FatFileSystem } from './fat-file-system.js';
import { Overlay } from './overlay.js';

/** What a partition holds. */
export interface Volume {
  readonly fileSystem: 'fat12' | 'fat16' | 'fat32' | 'ext4';
  readonly label: string;
}

/** Recognises the file system that fills a partition, or returns undefined for any other content. */
export async function identifyVolume(reader: BlockReader): Promise<Volume | undefined> {
  const label = await readExt4Label(reader);
  if (label !== undefined) return { fileSystem: 'ext4', label };
  const fat = await FatFileSystem.open(new Overlay(reader));
  return fat && { fileSystem: `fat${fat.bits}`, label: await fat.label() };
}
