import { Chalk, type ChalkInstance } from 'chalk';

/** Colours by meaning. Colour never carries meaning alone: the words say the same without it. */
export interface Paint {
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly good: (text: string) => string;
  readonly heading: (text: string) => string;
  /** Tells sources apart whose names are said too; any number gives one of a few colours. */
  readonly source: (number: number) => (text: string) => string;
}

/** The colours for a stream; without colour every function returns its text. */
export function paintFor(hasColor: boolean): Paint {
  // Level 1, the sixteen colours that follow the user's own terminal theme.
  const chalk: ChalkInstance = new Chalk({ level: hasColor ? 1 : 0 });
  return { error: chalk.red, warning: chalk.yellow, good: chalk.green, heading: chalk.bold, source: sourceFor(chalk) };
}

function sourceFor(chalk: ChalkInstance): Paint['source'] {
  // Red, yellow and green mean something.
  const colors = [chalk.cyan, chalk.magenta, chalk.blue, chalk.cyanBright, chalk.magentaBright, chalk.blueBright];
  return (number) => colors[number % colors.length] ?? chalk.cyan;
}
