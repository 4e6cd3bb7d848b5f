import { Failure, interrupted } from '../failure/failure.js';
import type { Streams } from './streams.js';

/** A question that may only be asked on a terminal. */
export interface Question {
  readonly message: string;
  /** What a script passes instead, for the failure when nobody can answer: "--yes". */
  readonly insteadOfAsking: string;
  readonly signal: AbortSignal;
}

/** Asks for a secret without showing it. Fails without a terminal. */
export async function askSecret(question: Question, streams: Streams): Promise<string> {
  const { default: inquirer } = await openPrompt(question, streams);
  const prompt = inquirer.createPromptModule({ input: streams.stdin, output: streams.stderr });
  return answered(question, async () => {
    const answers = await prompt<{ value: string }>([
      { type: 'password', name: 'value', message: question.message, mask: '*' },
    ]);
    return answers.value;
  });
}

/** Asks yes or no; the default is no. Fails without a terminal. */
export async function askYesNo(question: Question, streams: Streams): Promise<boolean> {
  const { default: inquirer } = await openPrompt(question, streams);
  const prompt = inquirer.createPromptModule({ input: streams.stdin, output: streams.stderr });
  return answered(question, async () => {
    const answers = await prompt<{ value: boolean }>([
      { type: 'confirm', name: 'value', message: question.message, default: false },
    ]);
    return answers.value;
  });
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
  const { default: inquirer } = await openPrompt(question, streams);
  const prompt = inquirer.createPromptModule({ input: streams.stdin, output: streams.stderr });
  return answered(question, async () => {
    const answers = await prompt<{ value: string }>([
      { type: 'select', name: 'value', message: question.message, choices: [...question.choices] },
    ]);
    return answers.value;
  });
}

/** Asks for a line of text. Fails without a terminal. */
export async function askText(question: Question, streams: Streams): Promise<string> {
  const { default: inquirer } = await openPrompt(question, streams);
  const prompt = inquirer.createPromptModule({ input: streams.stdin, output: streams.stderr });
  return answered(question, async () => {
    const answers = await prompt<{ value: string }>([{ type: 'input', name: 'value', message: question.message }]);
    return answers.value.trim();
  });
}

/** Fails where nobody can answer a question. */
export function requireTerminal(question: Question, streams: Streams): void {
  if (!streams.stdinIsTerminal || !streams.stderrIsTerminal) {
    throw new Failure('usage', 'answer-needed', `cannot ask "${question.message}" without a terminal`, {
      hint: `Pass ${question.insteadOfAsking}`,
    });
  }
}

async function openPrompt(question: Question, streams: Streams) {
  requireTerminal(question, streams);
  return import('inquirer');
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
