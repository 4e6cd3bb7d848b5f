import type { FailureProblem } from '../failure/failure.js';

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

/** A problem as a failure carries it, with its place where it was read from a file. */
export function placed({ path, message }: Problem, file?: string, place?: TextPlace): FailureProblem {
  const whole = path.length === 0 ? `it ${message}` : message;
  return { ...(file === undefined ? {} : { file }), ...place, pointer: pointerTo(path), message: whole };
}

/** A problem in one line: `fleet.json:3:5: /hostname must be ...`. Names from files cannot take over a terminal. */
export function problemLine({ file, line, column, pointer, message }: FailureProblem): string {
  const place = line === undefined ? '' : `:${line}:${column ?? 1}`;
  const text = `${file === undefined ? '' : `${file}${place}: `}${pointer === '' ? '' : `${pointer} `}${message}`;
  return text.replaceAll(/\p{Cc}/gu, '\uFFFD');
}

/** A problem in one line, with its place where it was read from a file. */
export function problemText(problem: Problem, file?: string, place?: TextPlace): string {
  return problemLine(placed(problem, file, place));
}

/** The place of an offset in a text. */
export function placeAt(text: string, offset: number): TextPlace {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
