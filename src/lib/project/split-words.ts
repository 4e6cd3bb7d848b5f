/**
 * The words of a command line as a POSIX shell splits them: at blanks, with quotation marks and backslashes, but with nothing replaced.
 * Undefined where a quotation mark does not close.
 */
export function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at] ?? '';
    if (letter === "'") {
      const end = line.indexOf("'", at + 1);
      if (end < 0) return undefined;
      word = (word ?? '') + line.slice(at + 1, end);
      at = end;
    } else if (letter === '"') {
      const quoted = /^(?:[^"\\]|\\.)*"/s.exec(line.slice(at + 1))?.[0];
      if (quoted === undefined) return undefined;
      word =
        (word ?? '') +
        quoted
          .slice(0, -1)
          .replace(/\\(["\\$`])/g, '$1')
          .replace(/\\\n/g, '');
      at += quoted.length;
    } else if (letter === '\\') {
      at += 1;
      if (line[at] !== '\n') word = (word ?? '') + (line[at] ?? '\\');
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + letter;
  }
  return word === undefined ? words : [...words, word];
}
