import { text } from 'node:stream/consumers';
import { StringDecoder } from 'node:string_decoder';
import type { Device } from '../device/device.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { remoteCommandLine } from '../ssh/quote-command.js';
import { linkLost } from './change-end.js';
import { followScript, scriptCodes, stepMark } from './change-script.js';

/** How a change is shown. */
export interface FollowOptions {
  readonly progress: ProgressListener;
  /** Hides secrets in a line that os-config prints. */
  readonly mask: (line: string) => string;
}

/** How long a device that cannot be reached any more is looked for. */
const reconnectMs = 90_000;

/** Looks on while a device changes itself, over as many connections as it takes. */
export class Follower {
  readonly #device: Device;
  readonly #name: string;
  readonly #options: FollowOptions;
  readonly #giveUp: AbortSignal;
  readonly #decoder = new StringDecoder('utf8');
  #bytes = 0;
  #line = '';

  constructor(device: Device, name: string, options: FollowOptions, giveUp: AbortSignal) {
    this.#device = device;
    this.#name = name;
    this.#options = options;
    this.#giveUp = giveUp;
  }

  /** How it ended, as the worker said it; `gone` when the device does not know of it any more. */
  async follow(): Promise<string> {
    let lostAt: number | undefined;
    for (;;) {
      try {
        return await this.#look(() => {
          lostAt = undefined;
        });
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        // Whoever is not let in any more, or is to end, will not see more.
        if (error.kind !== 'unreachable') throw linkLost(this.#device.name, error);
        if (lostAt === undefined) this.#notice(`the link to ${this.#device.name} is lost; it goes on by itself`);
        lostAt ??= performance.now();
        if (this.#giveUp.aborted || performance.now() - lostAt > reconnectMs) throw linkLost(this.#device.name, error);
        await waitAtMost(1000, this.#giveUp);
      }
    }
  }

  async #look(onConnected: () => void): Promise<string> {
    const connection = await this.#device.ssh();
    onConnected();
    const words = ['exec', 'sh', '-c', followScript, 'davit', this.#name, String(this.#bytes)];
    const program = await connection.execute(remoteCommandLine(words));
    const stop = () => {
      program.close();
    };
    this.#giveUp.addEventListener('abort', stop, { once: true });
    try {
      program.stdin.end();
      const said = text(program.stderr);
      program.stdout.on('data', (chunk: Buffer) => {
        this.#bytes += chunk.length;
        this.#print(this.#decoder.write(chunk));
      });
      const [{ exitCode }, end] = await Promise.all([program.exited, said]);
      if (exitCode === scriptCodes.gone || exitCode === scriptCodes.died) return 'gone';
      return end.trim();
    } finally {
      this.#giveUp.removeEventListener('abort', stop);
    }
  }

  #print(part: string): void {
    const lines = (this.#line + part).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith(stepMark)) this.#notice(line.slice(stepMark.length));
      else this.#options.progress({ type: 'line', id: 'os-config', text: this.#options.mask(line) });
    }
  }

  #notice(words: string): void {
    this.#options.progress({ type: 'notice', level: 'info', text: words });
  }
}
