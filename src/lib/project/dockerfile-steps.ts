/** One instruction of a Dockerfile, which the classic builder counts as one step. */
export interface DockerfileStep {
  /** Line of its first word, counted from 1. */
  readonly line: number;
  /** Its first line. */
  readonly text: string;
}

/** The instructions of a Dockerfile in order: comments and blank lines do not count, continued lines count once. */
export function dockerfileSteps(dockerfile: string): DockerfileStep[] {
  const escape = /^(?:\s*#[^\n]*\n)*?\s*#\s*escape\s*=\s*(\S)/i.exec(dockerfile)?.[1] === '`' ? '`' : '\\';
  const steps: DockerfileStep[] = [];
  let isContinued = false;
  for (const [index, line] of dockerfile.split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    if (!isContinued) steps.push({ line: index + 1, text });
    isContinued = text.endsWith(escape);
  }
  return steps;
}
