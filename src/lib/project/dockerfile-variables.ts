/** A word of a Dockerfile with its variables filled in; undefined when one of them is not known. */
export function withVariables(text: string, variables: ReadonlyMap<string, string>): string | undefined {
  const unknown: string[] = [];
  const valueOf = (name: string): string => {
    const value = variables.get(name);
    if (value === undefined) unknown.push(name);
    return value ?? '';
  };
  const nested = (word: string): string => {
    const value = withVariables(word, variables);
    if (value === undefined) unknown.push(word);
    return value ?? '';
  };
  const chosen = (name: string, operator: string, word: string): string => {
    const value = variables.get(name);
    const isSet = value !== undefined && (value !== '' || !operator.startsWith(':'));
    if (operator.endsWith('-')) return isSet ? value : nested(word);
    return isSet ? nested(word) : '';
  };
  const pattern = /\\(?<escaped>.)|\$(?<plain>\w+)|\$\{(?<braced>\w+)(?:(?<operator>:?[-+])(?<word>[^}]*))?\}/gs;
  const parts: string[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    const { escaped, plain, braced = '', operator, word = '' } = match.groups ?? {};
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (escaped !== undefined) parts.push(escaped === '$' ? '$' : match[0]);
    else parts.push(operator === undefined ? valueOf(plain ?? braced) : chosen(braced, operator, word));
  }
  return unknown.length > 0 ? undefined : [...parts, text.slice(end)].join('');
}

/** The words of an instruction, with quotes and escapes taken away, as the builder reads `COPY`, `ENV` and `ARG`. */
export function dockerfileWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const letter = text.charAt(at);
    if (letter === '\\' && quote !== "'" && at + 1 < text.length) {
      const next = text.charAt(++at);
      // A dollar stays escaped until variables are filled in.
      word = (word ?? '') + (next === '$' ? '\\$' : next);
    } else if (quote !== '') {
      if (letter === quote) quote = '';
      else word = (word ?? '') + letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= '';
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + letter;
    }
  }
  return word === undefined ? words : [...words, word];
}

/** `NAME=value` words of an `ENV` or `ARG` instruction, in their order; an `ARG` without a value has none. */
export function assignments(rest: string): { readonly name: string; readonly value: string | undefined }[] {
  const words = dockerfileWords(rest);
  const [first = '', ...others] = words;
  // The old form of ENV: a name, and all that follows is its value.
  if (!first.includes('=') && others.length > 0) return [{ name: first, value: others.join(' ') }];
  return words.map((word) => {
    const at = word.indexOf('=');
    return at < 0 ? { name: word, value: undefined } : { name: word.slice(0, at), value: word.slice(at + 1) };
  });
}
