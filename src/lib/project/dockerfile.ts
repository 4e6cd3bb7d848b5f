/** One instruction of a Dockerfile, which the classic builder counts as one step. */
export interface Instruction {
  /** In capital letters: `COPY`. */
  readonly keyword: string;
  /** Line of its first word, counted from 1. */
  readonly line: number;
  /** Its last line, that of the end of a text inside of it. */
  readonly lastLine: number;
  /** Its first line, as it stands there. */
  readonly text: string;
  /** `--name=value` words before its arguments; the value of one without `=` is empty. */
  readonly flags: readonly Flag[];
  /** What follows the flags, with its continued lines joined and comments between them left out. */
  readonly rest: string;
  /** Its arguments where they are in JSON form: `["a", "b"]`. */
  readonly json: readonly string[] | undefined;
  /** Texts that follow in lines of their own, `<<EOF`. */
  readonly hereDocuments: readonly HereDocument[];
}

/** A flag of an instruction, such as `--from=build`. */
export interface Flag {
  readonly name: string;
  readonly value: string;
}

/** A text inside of an instruction. */
export interface HereDocument {
  readonly name: string;
  readonly text: string;
}

/** A comment that stands in a line of its own, without its `#`; some tools take it for an instruction of theirs. */
export interface Comment {
  readonly line: number;
  readonly text: string;
}

/** A Dockerfile taken apart. */
export interface Dockerfile {
  readonly instructions: readonly Instruction[];
  readonly comments: readonly Comment[];
}

/** Comments at the top that the builder itself reads. */
const parserDirective = /^\s*#\s*(syntax|escape|check)\s*=\s*(\S+)\s*$/i;

/**
 * Takes a Dockerfile apart as BuildKit and the classic builder do
 * (https://docs.docker.com/reference/dockerfile/). Fails at nothing: what is no instruction is for the builder to tell.
 */
export function parseDockerfile(text: string): Dockerfile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const escape = escapeOf(lines);
  const instructions: Instruction[] = [];
  const comments: Comment[] = [];
  for (let at = 0; at < lines.length; at++) {
    const first = at;
    const comment = /^\s*#(.*)$/.exec(lines[at] ?? '')?.[1];
    if (comment !== undefined) comments.push({ line: at + 1, text: comment.trim() });
    if (comment !== undefined || lines[at]?.trim() === '') continue;
    let whole = '';
    for (; at < lines.length; at++) {
      const line = lines[at] ?? '';
      // A comment or an empty line between continued lines does not end them.
      if (at > first && (/^\s*#/.test(line) || line.trim() === '')) continue;
      const isContinued = line.trimEnd().endsWith(escape);
      whole += isContinued ? line.trimEnd().slice(0, -1) : line;
      if (!isContinued) break;
    }
    const instruction = instructionOf(whole.trim(), first + 1, (lines[first] ?? '').trim());
    const hereDocuments: HereDocument[] = [];
    if (['RUN', 'COPY', 'ADD'].includes(instruction.keyword)) {
      for (const [, tabs, , name = ''] of instruction.rest.matchAll(/<<(-?)(["']?)(\w+)\2/g)) {
        const body: string[] = [];
        const isEnd = (line: string) => (tabs === '-' ? line.replace(/^\t+/, '') : line) === name;
        for (at++; at < lines.length && !isEnd(lines[at] ?? ''); at++) body.push(lines[at] ?? '');
        hereDocuments.push({ name, text: body.map((line) => `${line}\n`).join('') });
      }
    }
    instructions.push({ ...instruction, hereDocuments, lastLine: Math.min(at + 1, lines.length) });
  }
  return { instructions, comments };
}

function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = parserDirective.exec(line) ?? [];
    // The first line that is none ends them.
    if (name === undefined) break;
    if (name.toLowerCase() === 'escape') return value === '`' ? '`' : '\\';
  }
  return '\\';
}

function instructionOf(whole: string, line: number, text: string): Omit<Instruction, 'hereDocuments' | 'lastLine'> {
  const [, keyword = '', after = ''] = /^(\S+)\s*([\s\S]*)$/.exec(whole) ?? [];
  const flags: Flag[] = [];
  let rest = after;
  for (;;) {
    const [flag, name, , value = ''] = /^--([a-z][a-z-]*)(=(\S*))?(?:\s+|$)/.exec(rest) ?? [];
    if (flag === undefined || name === undefined) break;
    flags.push({ name, value });
    rest = rest.slice(flag.length);
  }
  return { keyword: keyword.toUpperCase(), line, text, flags, rest, json: jsonWords(rest) };
}

function jsonWords(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words;
  } catch {
    // The builder takes it for a line of a shell then.
  }
  return undefined;
}
