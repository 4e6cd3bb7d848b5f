import { Agent, get } from 'node:http';

/** Answers are small; somebody who sends more is no device. */
const mostBytes = 1_000_000;

/** Documents that an engine or a Supervisor gives of its device, however it is reached. What does not come is undefined. */
export interface DeviceDocuments {
  text(path: string): Promise<string | undefined>;
  document(path: string): Promise<unknown>;
}

/** An HTTP server of a device, asked several things over few connections. */
export class DeviceHttp implements DeviceDocuments {
  readonly #address: string;
  readonly #port: number;
  readonly #signal: AbortSignal;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 2 });

  constructor(address: string, port: number, signal: AbortSignal) {
    this.#address = address;
    this.#port = port;
    this.#signal = signal;
  }

  /** The text at a path, or undefined when there is none or it does not come. */
  text(path: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const give = (text: string | undefined) => {
        resolve(text);
      };
      const request = get({
        host: this.#address,
        port: this.#port,
        path,
        // Go's HTTP server refuses a Host header with a zone in it.
        headers: { host: 'device' },
        agent: this.#agent,
        signal: this.#signal,
      });
      request.on('error', () => {
        give(undefined);
      });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          if (text.length > mostBytes) response.destroy();
        });
        response.on('error', () => {
          give(undefined);
        });
        response.on('close', () => {
          give(response.complete && response.statusCode === 200 ? text : undefined);
        });
      });
    });
  }

  /** The JSON document at a path, or undefined when there is none. */
  async document(path: string): Promise<unknown> {
    try {
      return JSON.parse((await this.text(path)) ?? '');
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
