import { type Path, placed, problemLine } from '../boot-config/problem.js';
import { Failure, type FailureProblem } from '../failure/failure.js';
import type { Place } from './composition.js';

/** Gathers what is wrong with a project's files, so that all of it is told at once. Values are left out, as they may be secrets. */
export class Problems {
  readonly #found = new Map<string, FailureProblem>();

  /** @param path the way to it in its file; what is wrong follows it: "must be a list" */
  report(place: Place, path: Path, message: string): void {
    const { file, ...position } = place;
    const problem = placed({ path, message }, file, position);
    // A service that others extend is read once for each.
    this.#found.set(problemLine(problem), problem);
  }

  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  /** Fails with all that was found, if anything was. */
  throwIfAny(): void {
    if (this.isEmpty) return;
    const problems = [...this.#found.values()];
    const more = problems.length - most;
    const lines = [...problems.slice(0, most).map(problemLine), ...(more > 0 ? [`and ${more} more`] : [])];
    throw new Failure('usage', 'invalid-project', lines.join('\n'), {
      hint: 'Correct the project at these places; docs/project.md says what may stand there',
      problems: problems.slice(0, most),
    });
  }
}

const most = 50;
