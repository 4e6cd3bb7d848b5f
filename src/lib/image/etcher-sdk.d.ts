/** What davit uses of etcher-sdk, which is optional: it has native code that cannot be compiled everywhere. */
declare module 'etcher-sdk' {
  import type { FileHandle } from 'node:fs/promises';
  import type { ListedDrive } from 'drivelist';

  /** Bytes that etcher-sdk reads. */
  interface EtcherSource {
    open(): Promise<void>;
    close(): Promise<void>;
    createReadStream(): Promise<NodeJS.ReadableStream>;
  }

  /** A disk image of macOS. */
  interface DmgSource extends EtcherSource {
    /** Its parts and the ranges of each that are not free; the checksum is hexadecimal. */
    getBlocks(): Promise<
      readonly {
        readonly checksumType?: string;
        readonly checksum?: string;
        readonly blocks: readonly { readonly offset: number; readonly length: number }[];
      }[]
    >;
  }

  /** A drive that etcher-sdk unmounts, cleans and opens as each system needs it. */
  interface EtcherBlockDevice extends EtcherSource {
    /** What it has open; protected in its own types. */
    readonly fileHandle: FileHandle;
  }

  export const sourceDestination: {
    readonly BlockDevice: new (options: {
      readonly drive: ListedDrive;
      readonly write: boolean;
      readonly direct: boolean;
    }) => EtcherBlockDevice;
    readonly File: new (options: { readonly path: string }) => EtcherSource;
    readonly DmgSource: new (source: EtcherSource) => DmgSource;
  };
}
