import { Failure, interrupted } from '../failure/failure.js';
import type { Streams } from './streams.js';

/** A question that may only be asked on a terminal. */
export interface Question {
  readonly message: string;
  /** What a script passes instead, for the failure when nobody can answer: "--yes". */
  readonly insteadOfAsking: string;
  readonly signal: AbortSignal;
}

/** Says what is wrong with an answer; undefined where nothing is. */
export type Objection = (answer: string) => string | undefined | Promise<string | undefined>;

/** Asks for a secret without showing it. Fails without a terminal. */
export async function askSecret(
  question: Question & { readonly objection?: Objection },
  streams: Streams,
): Promise<string> {
  const prompt = await openPrompt<string>(question, streams);
  return prompt({ type: 'password', mask: '*', validate: validation(question.objection) });
}

/** Asks yes or no; the default is no. Fails without a terminal. */
export async function askYesNo(
  question: Question & { readonly isYesByDefault?: boolean },
  streams: Streams,
): Promise<boolean> {
  const prompt = await openPrompt<boolean>(question, streams);
  return prompt({ type: 'confirm', default: question.isYesByDefault ?? false });
}

/** What somebody is asked for consent with. */
export interface ConsentOptions {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  /** Lines that say what it is consent to, where nothing has shown them yet. */
  readonly plan?: readonly string[];
}

/** Asks for consent to something, and fails with `interrupted` without it, and without a terminal. */
export async function requireConsent(message: string, { streams, signal, plan = [] }: ConsentOptions): Promise<void> {
  for (const line of plan) streams.stderr.write(`${line}\n`);
  if (await askYesNo({ message, insteadOfAsking: '--yes', signal }, streams)) return;
  throw new Failure('interrupted', 'declined', 'nothing was done');
}

/** One of several answers. */
export interface Choice {
  readonly value: string;
  readonly name: string;
}

/** Asks which of several answers it is. Fails without a terminal. */
export async function askWhich(
  question: Question & { readonly choices: readonly Choice[] },
  streams: Streams,
): Promise<string> {
  const prompt = await openPrompt<string>(question, streams);
  return prompt({ type: 'select', choices: [...question.choices] });
}

/** Asks which of several things are wanted, all or none of them. Fails without a terminal. */
export async function askWhichOnes(
  question: Question & { readonly choices: readonly Choice[] },
  streams: Streams,
): Promise<string[]> {
  const prompt = await openPrompt<string[]>(question, streams);
  return prompt({ type: 'checkbox', choices: [...question.choices] });
}

/** Asks for a line of text. Fails without a terminal. */
export async function askText(
  question: Question & { readonly proposal?: string; readonly objection?: Objection },
  streams: Streams,
): Promise<string> {
  const prompt = await openPrompt<string>(question, streams);
  const { proposal, objection } = question;
  const answer = await prompt({
    type: 'input',
    ...(proposal === undefined ? {} : { default: proposal }),
    validate: validation((text) => objection?.(text.trim())),
  });
  return answer.trim();
}

/** Fails where nobody can answer a question. */
export function requireTerminal(question: Question, streams: Streams): void {
  if (!streams.stdinIsTerminal || !streams.stderrIsTerminal) {
    throw new Failure('usage', 'answer-needed', `cannot ask "${question.message}" without a terminal`, {
      hint: `Pass ${question.insteadOfAsking}`,
    });
  }
}

/** What inquirer takes for a kind of question. */
type PromptForm =
  | { readonly type: 'password'; readonly mask: string; readonly validate: Validation }
  | { readonly type: 'confirm'; readonly default: boolean }
  | { readonly type: 'select' | 'checkbox'; readonly choices: Choice[] }
  | { readonly type: 'input'; readonly default?: string; readonly validate: Validation };

type Validation = (answer: string) => Promise<true | string>;

function validation(objection: Objection | undefined): Validation {
  return async (answer) => (await objection?.(answer)) ?? true;
}

async function openPrompt<T>(question: Question, streams: Streams): Promise<(form: PromptForm) => Promise<T>> {
  requireTerminal(question, streams);
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ input: streams.stdin, output: streams.stderr });
  return (form) =>
    answered(question, async () => {
      const { value } = await prompt<{ value: T }>([{ ...form, name: 'value', message: question.message }]);
      return value;
    });
}

/** What a prompt answers; Ctrl-C at it is the failure that it is elsewhere. */
export async function answered<T>(question: Question, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    // Inquirer turns Ctrl-C at its prompt into an error of its own.
    if (question.signal.aborted || (error instanceof Error && error.name === 'ExitPromptError')) throw interrupted();
    throw error;
  }
}
