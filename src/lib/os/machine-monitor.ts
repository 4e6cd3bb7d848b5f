import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { isRecord } from '../platform/json.js';

/** A client of QEMU's machine protocol (QMP): sends commands without waiting for answers and tells of events. */
export class MachineMonitor {
  readonly #socket: Socket;

  /** @param onEvent called with the name of each event: `STOP`, `SHUTDOWN`, … */
  constructor(socket: Socket, onEvent: (name: string) => void) {
    this.#socket = socket;
    // The socket ends with QEMU, whose exit is watched elsewhere; readline passes its errors on.
    const lines = createInterface({ input: socket });
    for (const emitter of [socket, lines]) emitter.on('error', () => undefined);
    lines.on('line', (line) => {
      const message: unknown = JSON.parse(line);
      if (isRecord(message) && typeof message.event === 'string') onEvent(message.event);
    });
    this.send('qmp_capabilities');
  }

  /** Sends a command that takes no arguments. */
  send(command: 'qmp_capabilities' | 'system_powerdown' | 'quit'): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify({ execute: command })}\n`);
  }
}
