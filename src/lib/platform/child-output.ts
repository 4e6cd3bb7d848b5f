import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { systemErrorCode } from '../failure/while-doing.js';
import { folders } from './environment.js';

/** A way for a child process to hand over much output. */
export interface ChildOutput {
  /** To be the child's standard output, and to be destroyed here once the child has it. */
  readonly childEnd: Socket;
  /** What the child writes. Each chunk is in the same memory, so it is good only until the next one is asked for. */
  readonly chunks: AsyncGenerator<Buffer>;
}

/** More than a socket of Linux holds at a time. */
const chunkSize = 1024 * 1024;

/**
 * Makes a socket whose output is read into one buffer over and over. Through an ordinary pipe to a child, Node gives every 64 KiB memory of
 * their own, and collecting that garbage takes as long as decompressing what is in it. Undefined where no such socket can be made: then an
 * ordinary pipe has to do.
 */
export async function openChildOutput(): Promise<ChildOutput | undefined> {
  try {
    const folder = await mkdtemp(path.join(folders.temporary(), 'davit-'));
    try {
      return await connectSockets(path.join(folder, 'output'));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } catch (error) {
    // The folder's path may be too long for a socket or not be writable, and Windows has no sockets in folders.
    if (systemErrorCode(error) === undefined) throw error;
    return undefined;
  }
}

async function connectSockets(address: string): Promise<ChildOutput> {
  const server = createServer({ pauseOnConnect: true });
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  try {
    server.listen(address);
    await once(server, 'listening');
    const memory = Buffer.allocUnsafe(chunkSize);
    let filled = 0;
    let wake: (() => void) | undefined;
    const callback = (bytes: number) => {
      filled = bytes;
      wake?.();
      // Nothing more is read before the chunk has been used.
      return false;
    };
    const socket = createConnection({ path: address, onread: { buffer: memory, callback } });
    await once(socket, 'connect');
    const errors: Error[] = [];
    socket.on('error', (error) => errors.push(error));
    socket.on('close', () => {
      wake?.();
    });
    const readOn = async () => {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      socket.resume();
      await woken;
    };
    const chunks = async function* () {
      try {
        for (;;) {
          while (filled === 0 && !socket.closed) await readOn();
          for (const error of errors) throw error;
          if (filled === 0) return;
          const chunk = memory.subarray(0, filled);
          filled = 0;
          yield chunk;
        }
      } finally {
        socket.destroy();
      }
    };
    return { childEnd: await accepted, chunks: chunks() };
  } finally {
    server.close();
  }
}
