import { setMaxListeners } from 'node:events';
import { Command, Flags, type Interfaces } from '@oclif/core';
import { exitCodeOf, Failure, interrupted } from '../failure/failure.js';
import { reportError } from '../output/error-document.js';
import { LiveLines } from '../output/live-lines.js';
import { createRenderer, type ProgressMode, progressModes, type Renderer } from '../output/renderer.js';
import { processStreams, type Streams } from '../output/streams.js';
import { environmentVariable } from '../platform/environment.js';
import type { ProgressListener } from '../platform/progress.js';
import { asUsageFailure } from './usage-failure.js';

/** SIGHUP is what a closed terminal sends. */
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * What every davit command shares: the same exit codes with and without `--json`, one result or one error document on
 * standard output, progress on standard error, and an abort signal that Ctrl-C, SIGTERM and the closing of the terminal pull
 * once; the second time they end the process.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;

  static override baseFlags = {
    progress: Flags.option({
      options: progressModes,
      default: 'auto' as const,
      summary: 'How progress is shown on standard error.',
      helpGroup: 'GLOBAL',
    })(),
    'no-color': Flags.boolean({ hidden: true, summary: 'Show no colour.' }),
  };

  /** Aborted by Ctrl-C, SIGTERM and SIGHUP; everything that waits takes it. */
  protected get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Where domain functions report their progress. */
  protected readonly progress: ProgressListener = (event) => {
    const renderer = (this.#renderer ??= createRenderer(this.#progressMode(), this.streams));
    const render = () => {
      renderer.render(event);
    };
    if (this.#liveLines === undefined) render();
    else this.#liveLines.above(render);
  };

  /** The process's streams, with colour settled. */
  protected readonly streams: Streams = processStreams({ noColor: ownWords(this.argv).includes('--no-color') });

  readonly #abort = new AbortController();
  #renderer: Renderer | undefined;
  #liveLines: LiveLines | undefined;
  readonly #onSignal = () => {
    this.#removeSignalHandlers();
    this.#abort.abort(interrupted());
  };

  protected override async init(): Promise<void> {
    await super.init();
    // Any number of devices, drives and questions may wait for the same Ctrl-C.
    setMaxListeners(0, this.signal);
    for (const name of endingSignals) process.on(name, this.#onSignal);
  }

  /**
   * Parses the command line. A missing argument is an error, where oclif would wait for it on standard input; and so is a variable for a flag
   * that is on or off with another word than those, which oclif takes for off.
   */
  protected override async parse<
    F extends Record<string, unknown>,
    B extends Record<string, unknown>,
    A extends Record<string, unknown>,
  >(options?: Interfaces.Input<F, B, A>, argv?: string[]): Promise<Interfaces.ParserOutput<F, B, A>> {
    for (const argument of Object.values<{ ignoreStdin?: boolean }>(options?.args ?? {})) argument.ignoreStdin = true;
    const parsed = await super.parse(options, argv);
    const given = new Set(parsed.raw.map((token) => (token.type === 'flag' ? token.flag : undefined)));
    for (const [name, flag] of Object.entries<{ type?: string; env?: string }>(options?.flags ?? {})) {
      if (flag.type === 'boolean' && flag.env !== undefined && !given.has(name)) requireSwitch(flag.env);
    }
    return parsed;
  }

  /**
   * Prints a line of the result for people; under `--json` the returned value is the result instead. False when nobody
   * reads the result any more, as after `| head`: an endless one then ends.
   */
  protected print(line: string): boolean {
    const { stdout, stdoutIsTerminal } = this.streams;
    const write = () => stdout.write(`${line}\n`);
    if (this.jsonEnabled()) return stdout.writable;
    if (stdoutIsTerminal && this.#renderer?.above !== undefined) this.#renderer.above(write);
    else write();
    return stdout.writable;
  }

  /** Prints what comes, line by line, until it ends or the user leaves. */
  protected async printUntilLeft<T>(items: AsyncIterable<T>, textOf: (item: T) => string): Promise<void> {
    await this.showUntilLeft(items, (item) => {
      this.print(textOf(item));
    });
  }

  /**
   * Shows what comes until it ends or nobody reads it any more. Ctrl-C is the way out of a log that has no end: the exit
   * code says so, but nothing has failed.
   */
  protected async showUntilLeft<T>(items: AsyncIterable<T>, show: (item: T) => void): Promise<void> {
    try {
      for await (const item of items) {
        show(item);
        if (!this.streams.stdout.writable) return;
      }
    } catch (error) {
      if (!this.signal.aborted) throw error;
      // The terminal has shown `^C`; the shell's prompt is to begin on a line of its own.
      if (this.streams.stderrIsTerminal) this.streams.stderr.write('\n');
      process.exitCode = exitCodeOf(interrupted());
    }
  }

  /** The lines of a table on the terminal that changes, above which notices go. */
  protected liveLines(): LiveLines {
    this.#liveLines ??= new LiveLines(this.streams);
    return this.#liveLines;
  }

  /** Makes the exit code of a remote program the exit code of this command. */
  protected passExitCode(exitCode: number): void {
    process.exitCode = exitCode;
  }

  /** Ends live progress lines, before something else takes over the terminal. */
  protected endProgress(): void {
    this.#renderer?.close();
    this.#renderer = undefined;
  }

  protected override logJson(document: unknown): void {
    this.endProgress();
    this.streams.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }

  protected override catch(thrown: Error): Promise<void> {
    this.endProgress();
    const error = this.signal.aborted ? interruptionBy(thrown) : asUsageFailure(thrown);
    process.exitCode = exitCodeOf(error);
    reportError(error, this.streams, { json: this.jsonEnabled() });
    return Promise.resolve();
  }

  protected override finally(): Promise<void> {
    this.endProgress();
    this.#removeSignalHandlers();
    return Promise.resolve();
  }

  #removeSignalHandlers(): void {
    for (const name of endingSignals) process.off(name, this.#onSignal);
  }

  #progressMode(): ProgressMode {
    const words = ownWords(this.argv);
    const at = words.findIndex((word) => word === '--progress' || word.startsWith('--progress='));
    const word = words[at];
    const value = word === '--progress' ? words[at + 1] : word?.slice('--progress='.length);
    return progressModes.find((mode) => mode === value) ?? 'auto';
  }
}

/** Ctrl-C is told as that, whatever it made fail; what is known of drives and devices goes with it. */
function interruptionBy(thrown: Error): Failure {
  const report = thrown instanceof Failure ? thrown.report : undefined;
  return report === undefined ? interrupted() : interrupted().withReport(report);
}

function requireSwitch(variable: string): void {
  const value = environmentVariable(variable);
  if (value === undefined || /^(1|0|true|false|yes|no|y|n)$/i.test(value)) return;
  throw new Failure('usage', 'invalid-switch', `${variable} is neither true nor false`, {
    hint: `Set ${variable} to true or false, or unset it`,
  });
}

/** The words up to `--`; what follows belongs to somebody else, such as a remote command. */
function ownWords(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end < 0 ? argv : argv.slice(0, end);
}
