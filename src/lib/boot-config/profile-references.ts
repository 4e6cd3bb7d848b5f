import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import type { Path, Problem } from './problem.js';

/** Where the values come from that a profile only refers to. Each gives undefined, or fails, for what is not there. */
export interface ReferenceSources {
  readonly variable: (name: string) => string | undefined;
  readonly file: (name: string, place: Path) => Promise<string>;
  /** Left out where nobody can be asked: such a value then stays open. */
  readonly prompt?: (message: string) => Promise<string>;
}

/** A document with its references resolved as far as they can be. */
export interface ResolvedReferences {
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Places whose value is not known: those with problems, and questions that nobody answers. */
  readonly open: readonly Path[];
  /** Those questions, in the order of the document. */
  readonly questions: readonly string[];
  /** What files held and questions were answered with: likely secrets, which no message may show. */
  readonly confidential: ReadonlySet<string>;
}

type Reference = { readonly env: string } | { readonly file: string } | { readonly prompt: string };

/**
 * Resolves what stands for text elsewhere: `${NAME}`, `${NAME:-default}` and `${NAME:?message}` inside of text (`$${` is a plain `${`), and
 * in place of text `{env: NAME}`, `{file: path}` or `{prompt: message}`, where path and message are such text too. A variable that is unset or empty has no value.
 */
export async function resolveReferences(root: unknown, sources: ReferenceSources): Promise<ResolvedReferences> {
  const problems: Problem[] = [];
  const open: Path[] = [];
  const questions: string[] = [];
  const confidential = new Set<string>();
  const fail = (path: Path, message: string) => {
    problems.push({ path, message });
    open.push(path);
    return '';
  };

  const interpolate = (text: string, path: Path): string =>
    text.replaceAll(
      /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([-?])([^}]*))?\}|\$\{/g,
      (whole, name?: string, kind?: string, words?: string) => {
        if (whole === '$${') return '${';
        if (name === undefined) return fail(path, 'has ${ without a variable: write $${ for the two characters');
        const value = sources.variable(name);
        if (value !== undefined) return value;
        if (kind === '-') return words ?? '';
        return fail(
          path,
          `needs the environment variable ${name}${words === undefined || words === '' ? '' : `: ${words}`}`,
        );
      },
    );

  const follow = async (reference: Reference, path: Path): Promise<string> => {
    if ('env' in reference) {
      return sources.variable(reference.env) ?? fail(path, `needs the environment variable ${reference.env}`);
    }
    const failed = problems.length;
    const target = interpolate('file' in reference ? reference.file : reference.prompt, path);
    if (problems.length > failed) return '';
    const keep = (text: string) => {
      confidential.add(text);
      return text;
    };
    if ('file' in reference) {
      try {
        return keep((await sources.file(target, path)).replace(/\r?\n$/, ''));
      } catch (error) {
        if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
        return fail(path, `cannot be read: ${error.message}`);
      }
    }
    if (sources.prompt !== undefined) return keep(await sources.prompt(target));
    questions.push(target);
    open.push(path);
    return '';
  };

  const resolve = async (value: unknown, path: Path): Promise<unknown> => {
    if (typeof value === 'string') return interpolate(value, path);
    const reference = referenceIn(value);
    if (reference !== undefined) return follow(reference, path);
    if (Array.isArray(value)) {
      const items: unknown[] = [];
      for (const [index, item] of value.entries()) items.push(await resolve(item, [...path, index]));
      return items;
    }
    if (!isRecord(value)) return value;
    const entries: (readonly [string, unknown])[] = [];
    // One after the other, so that questions come in the order of the file.
    for (const [key, one] of Object.entries(value)) entries.push([key, await resolve(one, [...path, key])]);
    return Object.fromEntries(entries);
  };

  return { value: await resolve(root, []), problems, open, questions, confidential };
}

/** The reference that an object is, or undefined for any other value. */
export function referenceIn(value: unknown): Reference | undefined {
  if (!isRecord(value)) return undefined;
  const [entry, ...more] = Object.entries(value);
  if (entry === undefined || more.length > 0 || typeof entry[1] !== 'string') return undefined;
  const [kind, target] = [entry[0], entry[1]];
  if (kind === 'env') return { env: target };
  if (kind === 'file') return { file: target };
  return kind === 'prompt' ? { prompt: target } : undefined;
}
