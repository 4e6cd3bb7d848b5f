/** A file, folder or link, wherever it is. */
export interface FileEntry {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  /** Permission bits, without the kind. */
  readonly mode: number;
  /** Bytes. */
  readonly size: number;
  /** Whether it may have parts that take no room. */
  readonly isSparse: boolean;
  /** Seconds since 1970. */
  readonly modified: number;
}

/** A file that is open. Any number of reads and writes may be under way at once. */
export interface OpenFile {
  /** Fills the buffer from a position, as far as the file goes; returns how much that was. */
  read(buffer: Buffer, position: number): Promise<number>;
  write(buffer: Buffer, position: number): Promise<void>;
  setAttributes(attributes: { readonly size: number; readonly mode: number; readonly modified: number }): Promise<void>;
  close(): Promise<void>;
}

/** The files of this computer or of a device, as far as copying needs them. Everything that a device does not answer any more fails as unreachable. */
export interface Files {
  /** How a path is shown to people. */
  describe(file: string): string;
  join(folder: string, name: string): string;
  /** The folder that a file is in, and its name there, whether it exists or not. */
  folderOf(file: string): string;
  nameOf(file: string): string;
  /** Undefined when there is nothing of this name. */
  look(file: string, followLink: boolean): Promise<FileEntry | undefined>;
  list(folder: string): Promise<readonly string[]>;
  readLink(file: string): Promise<string>;
  makeLink(file: string, target: string): Promise<void>;
  makeFolder(folder: string, mode: number): Promise<void>;
  setFolder(folder: string, attributes: { readonly mode: number; readonly modified: number }): Promise<void>;
  /** Gives a file or folder another name, in place of a file that has it. */
  rename(from: string, to: string): Promise<void>;
  remove(file: string): Promise<void>;
  removeFolder(folder: string): Promise<void>;
  openToRead(file: string): Promise<OpenFile>;
  /** Opens a file to change it where it is. */
  openToWrite(file: string): Promise<OpenFile>;
  /** Makes a file that must not be there yet. */
  create(file: string, mode: number): Promise<OpenFile>;
  /** Ends the way to them. */
  close(): Promise<void>;
}
