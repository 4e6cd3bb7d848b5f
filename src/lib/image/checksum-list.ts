import path from 'node:path';

/** A line of a list of checksums. */
interface ListedSum {
  /** SHA-256 in lower-case hexadecimal. */
  readonly digest: string;
  /** The file's name without folders; undefined where the list is of one file and does not name it. */
  readonly name: string | undefined;
}

const packed = /\.(gz|xz|zst|zip|bz2|lz4)$/i;

/**
 * The SHA-256 that a list has for a file: `sha256sum`'s own format, that of BSD and OpenSSL (`SHA256 (name) = …`), or a bare sum. A list may
 * name the file as it is or unpacked. A sole sum belongs to the file whatever it is called when the list is of that file alone.
 *
 * @param isOfOneFile whether the list is beside the file under its name, as in `image.img.sha256`
 */
export function listedSum(list: string, name: string, isOfOneFile: boolean): string | undefined {
  const sums = list.split(/\r?\n/).flatMap((line) => parseLine(line) ?? []);
  const wanted = [name, name.replace(packed, '')];
  const named = wanted.flatMap((one) => sums.filter((sum) => sum.name === one));
  const [sole, ...others] = sums;
  const anonymous = sole !== undefined && others.length === 0 && (isOfOneFile || sole.name === undefined);
  return named[0]?.digest ?? (anonymous ? sole.digest : undefined);
}

function parseLine(line: string): ListedSum | undefined {
  const { digest, name } =
    /^\\?(?<digest>[\da-f]{64})(?:\s+\*?(?<name>\S.*?))?\s*$/i.exec(line)?.groups ??
    /^SHA2?-?256 ?\((?<name>.+)\) ?= ?(?<digest>[\da-f]{64})\s*$/i.exec(line)?.groups ??
    {};
  if (digest === undefined) return undefined;
  return { digest: digest.toLowerCase(), name: name === undefined ? undefined : path.posix.basename(name) };
}
