/** A tar consists of blocks of so many bytes, and ends with two that are empty. */
export const tarBlock = 512;

/** The header of a plain file with a short name (POSIX.1-1988). Sizes beyond its eleven octal digits are in binary, as GNU tar has it. */
export function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(tarBlock);
  header.write(name, 0, 100, 'ascii');
  header.write('0000644\0', 100, 'ascii');
  header.write('0000000\0', 108, 'ascii');
  header.write('0000000\0', 116, 'ascii');
  if (size < 8 ** 11) header.write(`${octal(size, 11)}\0`, 124, 'ascii');
  else {
    header.writeUInt8(0x80, 124);
    header.writeUIntBE(size, 130, 6);
  }
  header.write(`${octal(0, 11)}\0`, 136, 'ascii');
  header.write('0', 156, 'ascii');
  header.write('ustar\x0000', 257, 'ascii');
  // The checksum is taken with blanks in its place.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'ascii');
  return header;
}

/** What fills the last block of a file of this size. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((tarBlock - (size % tarBlock)) % tarBlock);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
