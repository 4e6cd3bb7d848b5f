import { randomBytes } from 'node:crypto';
import type { EngineContainer } from '../engine/container-archive.js';
import { execInContainer } from '../engine/exec.js';
import { Failure } from '../failure/failure.js';
import type { RemoteProcess } from '../platform/remote-program.js';

/** How engines say, in the place of its output, that a program is not there; a container that is just ending is another reason. */
const notFound = /not found|no such file/i;

/**
 * A shell of root in a running container that stays open, so that each script costs one round trip. Scripts run one after the other.
 */
export class ContainerShell {
  readonly #program: RemoteProcess;
  readonly #mark = `davit-${randomBytes(8).toString('hex')}`;
  #said = '';
  #complained = '';
  #isOpen = true;
  #wake: (() => void) | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(program: RemoteProcess) {
    this.#program = program;
    program.stdout.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
      this.#wake?.();
    });
    program.stderr.on('data', (chunk: Buffer) => {
      this.#complained += chunk.toString();
    });
    // A shell that ends under a script is told by the end of its output.
    program.stdin.on('error', () => undefined);
    program.stdout.once('close', () => {
      this.#isOpen = false;
      this.#wake?.();
    });
  }

  /** Starts the shell; undefined where the container has none. Fails as refused when the container does not run. */
  static async open({ engine, id }: EngineContainer, signal: AbortSignal): Promise<ContainerShell | undefined> {
    const shell = new ContainerShell(
      await execInContainer(engine, { container: id, command: ['sh'], user: '0', signal }),
    );
    // What is waited for may be a script on a device that is gone.
    const onAbort = () => {
      shell.close();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    shell.#program.stdout.once('close', () => {
      signal.removeEventListener('abort', onAbort);
    });
    try {
      await shell.run(':');
      return shell;
    } catch (error) {
      const isEnd = error instanceof Failure && error.code === 'container-shell-ended';
      if (isEnd && notFound.test(shell.#said + shell.#complained)) return undefined;
      throw error;
    } finally {
      if (!shell.isOpen) shell.close();
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Runs lines of a script; fails with what the script complained about when its last command failed. */
  run(script: string): Promise<void> {
    const running = this.#last.then(() => this.#run(script));
    this.#last = running.catch(() => undefined);
    return running;
  }

  close(): void {
    this.#isOpen = false;
    this.#program.close();
    this.#wake?.();
  }

  async #run(script: string): Promise<void> {
    this.#said = '';
    this.#complained = '';
    this.#program.stdin.write(`${script}\necho ${this.#mark} $?\n`);
    const end = new RegExp(`${this.#mark} (\\d+)\\n`);
    for (;;) {
      const status = end.exec(this.#said)?.[1];
      if (status === '0') return;
      if (status !== undefined) {
        const message = this.#complained.trim() || `a script in the container ended with status ${status}`;
        throw new Failure('failed', 'container-script-failed', message);
      }
      if (!this.#isOpen) {
        throw new Failure('unreachable', 'container-shell-ended', 'the shell in the container ended');
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
