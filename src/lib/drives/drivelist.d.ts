/** What davit uses of drivelist, whose own types are missing where its native code could not be compiled. */
declare module 'drivelist' {
  interface ListedDrive {
    readonly device: string;
    readonly description: string;
    readonly busType: string;
    readonly size: number | null;
    readonly logicalBlockSize: number;
    readonly isReadOnly: boolean;
    readonly isRemovable: boolean;
    readonly isSystem: boolean;
    readonly mountpoints: readonly { readonly path: string; readonly label: string | null }[];
  }

  export function list(): Promise<ListedDrive[]>;
}
