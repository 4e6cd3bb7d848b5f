/** The way from the root of a document to a value in it: keys of objects and indexes of lists. */
export type Path = readonly (string | number)[];

/** Something wrong at one place of a document. The value itself is left out, as it may be a secret. */
export interface Problem {
  readonly path: Path;
  /** What is wrong, to follow the place: "must be true or false". */
  readonly message: string;
  /** Another place without which it would be no problem. */
  readonly because?: Path;
}

/** A place in a text; lines and columns count from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** A path as a JSON pointer (RFC 6901): `/os/sshKeys/0`. */
export function pointerTo(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A problem in one line, with the place in the file where there is one: `fleet.json:3:5: /hostname must be ...`. */
export function problemText({ path, message }: Problem, file?: string, place?: TextPlace): string {
  const where = file === undefined ? '' : place === undefined ? `${file}: ` : `${file}:${place.line}:${place.column}: `;
  return `${where}${pointerTo(path) || 'it'} ${message}`;
}

/** The place of an offset in a text. */
export function placeAt(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
