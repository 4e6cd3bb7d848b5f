import { interpolate, InterpolationProblem, type Variables } from './interpolation.js';
import type { Problems } from './problems.js';

/** Variables in the order of their file. A name without a value is there only if it has one outside. */
export type EnvFile = ReadonlyMap<string, { readonly value: string; readonly line: number }>;

/**
 * Reads the text of an env file, as Compose does: `NAME=value` or `NAME: value` lines, with `export` before them or not, comments, single
 * quotes (as they are), double quotes (with escapes and variables), values over several lines in quotes, and variables in bare values.
 *
 * @param file as it is to be called in messages
 * @param outside variables that come before those of the file, where it refers to them
 */
export function parseEnvFile(text: string, file: string, outside: Variables, problems: Problems): EnvFile {
  const found = new Map<string, { value: string; line: number }>();
  const variables: Variables = (name) => outside(name) ?? found.get(name)?.value;
  const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  const statement = /(?:export[ \t]+)?([^=:\n]*)([=:\n]|$)/y;
  let at = 0;
  while (at < source.length) {
    const blank = /(?:\s|#[^\n]*(?:\n|$))*/y;
    blank.lastIndex = at;
    blank.exec(source);
    at = blank.lastIndex;
    if (at >= source.length) break;
    const line = source.slice(0, at).split('\n').length;
    const report = (message: string) => {
      problems.report({ file, line, column: 1 }, [], message);
    };
    statement.lastIndex = at;
    const [, key = '', separator = ''] = statement.exec(source) ?? [];
    at = statement.lastIndex;
    const name = key.trim();
    const isSet = separator === '=' || separator === ':';
    const isName = /^[\p{L}\p{N}_.[\]-]+$/u.test(name);
    if (!isName) report('has something here that is not NAME=value');
    if (!isSet) {
      const value = outside(name);
      if (isName && value !== undefined) found.set(name, { value, line });
      continue;
    }
    const { value, end } = valueAt(source, at);
    at = end;
    if (value === undefined) {
      report('has a quotation mark here that does not close');
      break;
    }
    try {
      if (isName) found.set(name, { value: value(variables), line });
    } catch (error) {
      if (!(error instanceof InterpolationProblem)) throw error;
      report(error.message);
    }
  }
  return found;
}

interface FoundValue {
  /** Gives the value once the variables are known; undefined where its quotation mark does not close. */
  readonly value: ((variables: Variables) => string) | undefined;
  readonly end: number;
}

function valueAt(source: string, start: number): FoundValue {
  const blanks = /[ \t\v\f\r]*/y;
  blanks.lastIndex = start;
  blanks.exec(source);
  const at = blanks.lastIndex;
  const quote = source[at];
  if (quote !== '"' && quote !== "'") {
    const end = source.indexOf('\n', at);
    const rest = source.slice(at, end < 0 ? undefined : end);
    const bare = rest.startsWith('#') && at > start ? '' : rest.replace(/\s#.*$/, '').trimEnd();
    return { value: (variables) => interpolate(bare, variables).text, end: end < 0 ? source.length : end };
  }
  const quoted = quote === '"' ? /"((?:[^"\\]|\\.)*)"/sy : /'((?:[^'\\]|\\.)*)'/sy;
  quoted.lastIndex = at;
  const inner = quoted.exec(source)?.[1];
  if (inner === undefined) return { value: undefined, end: source.length };
  return {
    value: (variables) =>
      quote === '"' ? interpolate(unescaped(inner), variables).text : inner.replaceAll("\\'", "'"),
    end: quoted.lastIndex,
  };
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
  // What interpolation makes a dollar sign of.
  $: '$$',
};

function unescaped(text: string): string {
  return text.replace(/\\(0[0-7]{1,3}|.)/gs, (all: string, escape: string) =>
    escape.startsWith('0') ? String.fromCharCode(Number.parseInt(escape, 8)) : (escapes[escape] ?? all),
  );
}
