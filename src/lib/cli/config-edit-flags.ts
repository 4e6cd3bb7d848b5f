import { Flags } from '@oclif/core';
import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { type ConfigEdit, valueFromText } from '../boot-config/config-edit.js';
import { type ConfigFile, parseConfigFile, readConfigFile } from '../boot-config/config-file.js';
import { behindLast, parseConfigPath, pathText } from '../boot-config/config-path.js';
import { holdsSecret } from '../boot-config/secrets.js';
import { Failure } from '../failure/failure.js';
import { askSecret, requireTerminal } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { collect, readUserFile } from '../platform/read-user-file.js';

/** The flags that change config.json by path, beside pairs of a path and a value on the command line. */
export const configEditFlags = {
  delete: Flags.string({
    summary: 'Path of a key or an item to remove. Can be repeated.',
    helpValue: '<path>',
    multiple: true,
    multipleNonGreedy: true,
  }),
  'value-file': Flags.string({
    summary: 'File with the value of the last path, or - for standard input; for secrets and long texts.',
    helpValue: '<file|->',
  }),
  from: Flags.string({
    summary:
      'JSON file, such as one downloaded from a dashboard, or - for standard input: its keys are merged in, null removes a key, and what it ' +
      'does not name stays. It takes the place of a config.json that is not JSON.',
    helpValue: '<file|->',
    aliases: ['config'],
  }),
};

/** The values of `configEditFlags` after parsing. */
export interface ConfigEditFlagValues {
  readonly delete: readonly string[] | undefined;
  readonly 'value-file': string | undefined;
  readonly from: string | undefined;
}

interface EditContext {
  readonly streams: Streams;
  readonly signal: AbortSignal;
}

/** Far more than any value has. */
const mostBytes = 1024 * 1024;

/**
 * Turns pairs of words and the flags into a request: values that are set, in their order, then removals. The value of a secret is never taken
 * from the command line; one that has to be asked for is asked for later.
 */
export async function readConfigEdits(
  words: readonly string[],
  flags: ConfigEditFlagValues,
  context: EditContext,
): Promise<BootConfigurationRequest> {
  const { 'value-file': valueFile, from, delete: removed = [] } = flags;
  const pairs = pairsOf(words, valueFile);
  const removals = removed.map(parseConfigPath);
  requireOnce([...pairs.map(({ path }) => path), ...removals]);
  const inputs = [...pairs.map(({ source }) => source), from].filter((source) => source === '-');
  if (inputs.length > 1) throw inputTwice();
  const file = from === undefined ? {} : await readFrom(from, context);
  const question = secretQuestion(pairs.at(-1), context);
  const edits: ConfigEdit[] = [];
  for (const { path, word, source } of pairs) {
    const text = source === undefined ? word : await readValue(source, context);
    // What stands in for the answer is as good as any.
    edits.push({ path, value: valueFromText(path, text ?? 'x') });
  }
  const request = (all: readonly ConfigEdit[]) => ({
    ...file,
    ...(from === undefined ? {} : { replacesBrokenConfig: true }),
    edits: [...all, ...lastFirst(removals).map((path) => ({ path, isRemoved: true as const }))],
  });
  if (question === undefined) return request(edits);
  const later = async () => {
    const answer = { path: question.path, value: valueFromText(question.path, await question.ask()) };
    return request([...edits.slice(0, -1), answer]);
  };
  return { ...request(edits), later };
}

/** A path and where its value is: on the command line, elsewhere, or yet to be asked for. */
interface Pair {
  readonly path: readonly string[];
  readonly word?: string | undefined;
  readonly source?: string | undefined;
}

function pairsOf(words: readonly string[], valueFile: string | undefined): Pair[] {
  const pairs: Pair[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const path = parseConfigPath(words[at] ?? '');
    const word = words[at + 1];
    if (word === undefined) pairs.push({ path, source: valueFile });
    else if (word === '-') pairs.push({ path, source: word });
    else pairs.push({ path, word: requirePublic(path, word) });
  }
  if (valueFile === undefined || words.length % 2 === 1) return pairs;
  const why = words.length === 0 ? 'there is none' : 'that one has a value already';
  throw new Failure('usage', 'usage', `--value-file has the value of the last path, and ${why}`, {
    hint: 'Give the path without a value: davit config write device.img apiKey --value-file key.txt',
  });
}

/** Everybody on a computer can read the command lines of all programs. */
function requirePublic(path: readonly string[], word: string): string {
  const key = pathText(path);
  if (!holdsSecret(path, valueFromText(path, word))) return word;
  throw new Failure('usage', 'secret-on-command-line', `${key} holds a secret, and others can read command lines`, {
    hint: `Leave out the value to be asked for it, or give it with --value-file <file>, or as - on standard input`,
  });
}

function secretQuestion(pair: Pair | undefined, { streams, signal }: EditContext) {
  if (pair === undefined || pair.word !== undefined || pair.source !== undefined) return undefined;
  const { path } = pair;
  const key = pathText(path);
  if (!holdsSecret(path, '')) {
    throw new Failure('usage', 'usage', `the value of ${key} is missing`, {
      hint: 'Give pairs of a path and a value, or the value with --value-file',
    });
  }
  const question = {
    message: `Value of ${key}`,
    insteadOfAsking: '--value-file <file>, or - for standard input',
    signal,
  };
  requireTerminal(question, streams);
  return { path, ask: () => askSecret(question, streams) };
}

async function readFrom(from: string, { streams, signal }: EditContext): Promise<ConfigFile> {
  if (from !== '-') return readConfigFile(from, signal);
  return parseConfigFile(await collect(streams.stdin, mostBytes, signal), 'standard input');
}

/** A value from a file or standard input. A single line loses its end, which is rarely meant; a text of several lines stays as it is. */
async function readValue(source: string, { streams, signal }: EditContext): Promise<string> {
  const bytes =
    source === '-'
      ? await collect(streams.stdin, mostBytes, signal)
      : (await readUserFile(source, { what: 'the value file', most: mostBytes, signal })).bytes;
  const text = decode(bytes, source);
  const line = text.replace(/\r?\n$/, '');
  return line.includes('\n') ? text : line;
}

function decode(bytes: Buffer, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Failure('usage', 'invalid-config', `the value in ${source} is not UTF-8 text`, {
      hint: 'Give a file with text; certificates of balenaRootCA are text in base64',
    });
  }
}

function requireOnce(paths: readonly (readonly string[])[]): void {
  const keys = paths.filter((path) => !path.includes(behindLast)).map(pathText);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice === undefined) return;
  throw new Failure('usage', 'same-path-twice', `${twice} is named twice`, { hint: 'Name each path once' });
}

/** Removals in such an order that the indexes of items stay what they are until it is their turn. */
function lastFirst(paths: readonly (readonly string[])[]): (readonly string[])[] {
  const compare = (a: readonly string[], b: readonly string[]) => {
    const at = a.findIndex((part, index) => part !== b[index]);
    const [one, other] = [a[at] ?? '', b[at] ?? ''];
    return Number(other) - Number(one) || (one < other ? 1 : -1);
  };
  return [...paths].sort(compare);
}

function inputTwice(): Failure {
  return new Failure('usage', 'standard-input-twice', 'only one thing can come from standard input', {
    hint: 'Give the others with --value-file <file> or --from <file>',
  });
}
