/** Memory that direct I/O accepts: Node has no way to ask for alignment, but WebAssembly memory begins on a page. */
declare const WebAssembly: {
  readonly Memory: new (options: { readonly initial: number; readonly maximum: number; readonly shared: true }) => {
    readonly buffer: SharedArrayBuffer;
  };
};

const wasmPageSize = 64 * 1024;

/** A page-aligned buffer of zeros that threads share when it is sent from one to another. `size` is a multiple of 64 KiB. */
export function alignedBuffer(size: number): Buffer {
  const pages = size / wasmPageSize;
  return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer);
}
