/** What davit uses of drivelist, whose own types are missing where its native code could not be compiled. */
declare module 'drivelist' {
  export interface ListedDrive {
    /** What the system calls it: `\\.\PhysicalDrive2`, `/dev/disk4`. */
    readonly device: string;
    /** The path past the cache, where that is another: `/dev/rdisk4`. */
    readonly raw: string;
    /** The place it is plugged in, where that is known. */
    readonly devicePath: string | null;
    readonly description: string;
    readonly busType: string;
    readonly size: number | null;
    readonly logicalBlockSize: number;
    readonly isReadOnly: boolean;
    readonly isRemovable: boolean;
    readonly isSystem: boolean;
    readonly isCard: boolean | null;
    readonly isUSB: boolean | null;
    readonly isVirtual: boolean | null;
    readonly mountpoints: readonly { readonly path: string; readonly label: string | null }[];
  }

  export function list(): Promise<ListedDrive[]>;
}
