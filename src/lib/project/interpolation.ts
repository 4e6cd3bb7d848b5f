/** What variables stand for: undefined where one is not set. */
export type Variables = (name: string) => string | undefined;

/** A text after interpolation. */
export interface Interpolated {
  readonly text: string;
  /** Variables that are not set, have nothing to stand in for them, and so have become empty. */
  readonly unset: readonly string[];
}

/** Why a text cannot be interpolated, in words that follow its place. */
export class InterpolationProblem extends Error {}

/**
 * Replaces variables in a text as the Compose Specification has it: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`,
 * `${NAME:?message}`, `${NAME?message}`, `${NAME:+other}`, `${NAME+other}` and `$$` for a dollar sign. What stands in for a variable
 * may hold further ones, which count only where it is used. A dollar sign before anything else stays what it is.
 */
export function interpolate(text: string, variables: Variables): Interpolated {
  const unset: string[] = [];
  const replaced = (part: string): string => {
    let [result, at] = ['', 0];
    for (;;) {
      const dollar = part.indexOf('$', at);
      if (dollar < 0) return result + part.slice(at);
      result += part.slice(at, dollar);
      const next = part[dollar + 1];
      const name = namePattern.exec(part.slice(dollar + 1))?.[0];
      if (next === '{') {
        const end = closingBrace(part, dollar + 1);
        result += substituted(part.slice(dollar + 2, end));
        at = end + 1;
      } else if (name !== undefined) {
        result += valueOf(name);
        at = dollar + 1 + name.length;
      } else {
        result += '$';
        at = dollar + (next === '$' ? 2 : 1);
      }
    }
  };
  const valueOf = (name: string) => {
    const value = variables(name);
    if (value === undefined) unset.push(name);
    return value ?? '';
  };
  const substituted = (expression: string): string => {
    const name = namePattern.exec(expression)?.[0];
    const [, operator = '', word = ''] = /^(:?[-?+])?(.*)$/s.exec(expression.slice(name?.length ?? 0)) ?? [];
    if (name === undefined || (operator === '' && word !== '')) {
      throw new InterpolationProblem(`has \${${shown(expression)}}, which is no variable; a dollar sign is written $$`);
    }
    if (operator === '') return valueOf(name);
    const value = variables(name);
    const isThere = value !== undefined && (value !== '' || !operator.startsWith(':'));
    if (operator.endsWith('+')) return isThere ? replaced(word) : '';
    if (isThere) return value;
    if (operator.endsWith('-')) return replaced(word);
    const reason = replaced(word);
    throw new InterpolationProblem(
      `needs the variable ${name}, which has no value${reason === '' ? '' : `: ${reason}`}`,
    );
  };
  return { text: replaced(text), unset };
}

const namePattern = /^[_a-z][_a-z0-9]*/i;

/** Nobody writes as many; each is a call within a call. */
const mostBraces = 100;

/** Where the brace closes that opens at an offset; braces inside come in pairs, as those of JSON do. */
function closingBrace(text: string, opening: number): number {
  let depth = 0;
  for (let at = opening; at < text.length; at += 1) {
    if (text[at] === '{') depth += 1;
    if (depth > mostBraces) throw new InterpolationProblem(`has more than ${mostBraces} braces in each other`);
    if (text[at] === '}') depth -= 1;
    if (depth === 0) return at;
  }
  throw new InterpolationProblem('has ${ without }; a dollar sign is written $$');
}

/** The beginning of what somebody wrote, which may be long. */
function shown(text: string): string {
  return text.length > 30 ? `${text.slice(0, 30)}…` : text;
}
