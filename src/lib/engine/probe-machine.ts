import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Failure } from '../failure/failure.js';
import { createContainer, removeContainer, startContainer } from './containers.js';
import { valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';
import { removeImage } from './images.js';

/** What the header of a program says of the machine it is for (ELF), and the instructions of one that ends with exit code 0. */
interface Machine {
  readonly is64: boolean;
  readonly number: number;
  readonly flags: number;
  readonly code: string;
}

const machines: Readonly<Record<string, Machine>> = {
  // mov x0, #0; mov x8, #93; svc #0
  arm64: { is64: true, number: 183, flags: 0, code: '000080d2a80b80d2010000d4' },
  // mov r0, #0; mov r7, #1; svc 0
  arm: { is64: false, number: 40, flags: 0x5000200, code: '0000a0e30170a0e3000000ef' },
  // xor edi, edi; mov eax, 60; syscall
  amd64: { is64: true, number: 62, flags: 0, code: '31ffb83c0000000f05' },
  // xor ebx, ebx; mov eax, 1; int 0x80
  386: { is64: false, number: 3, flags: 0, code: '31dbb801000000cd80' },
};

/**
 * Whether an engine can run programs for a kind of machine, its own or one that it emulates: runs one that is made here and does
 * nothing. True for a kind of which nothing is known.
 *
 * @param architecture as Go calls it: `arm64`, `arm`, `amd64`, `386`
 */
export async function canRunMachine(
  engine: EngineConnection,
  architecture: string,
  signal: AbortSignal,
): Promise<boolean> {
  const machine = machines[architecture];
  if (machine === undefined) return true;
  const name = `davit-probe-${randomBytes(4).toString('hex')}`;
  const { pack } = await import('tar-stream');
  const tar = pack();
  tar.entry({ name: 'probe', mode: 0o755 }, program(machine));
  tar.finalize();
  const query = { fromSrc: '-', repo: name };
  const body = { tar: Readable.from(tar, { objectMode: false }) };
  await engineJson(engine, { method: 'POST', path: '/images/create', query, body, signal });
  try {
    const settings = { Image: name, Cmd: ['/probe'], HostConfig: { NetworkMode: 'none' } };
    await createContainer(engine, name, settings, signal);
    await startContainer(engine, name, signal);
    const path = `/containers/${name}/wait`;
    const ended = await engineJson(engine, { method: 'POST', path, signal, timeoutMs: Infinity });
    return valueAt(ended, 'StatusCode') === 0;
  } catch (error) {
    if (signal.aborted || !(error instanceof Failure) || error.kind === 'unreachable') throw error;
    // What cannot be executed cannot be started.
    return false;
  } finally {
    await removeContainer(engine, name);
    await removeImage(engine, name);
  }
}

/** A program of one segment, as small as it can be. */
function program({ is64, number, flags, code }: Machine): Buffer {
  const instructions = Buffer.from(code, 'hex');
  const headerSize = is64 ? 64 : 52;
  const start = headerSize + (is64 ? 56 : 32);
  const address = 0x10000;
  const file = Buffer.concat([Buffer.alloc(start), instructions]);
  let at = 0;
  const put = (value: number, size: number) => {
    file.writeUIntLE(value, at, Math.min(size, 6));
    at += size;
  };
  const word = is64 ? 8 : 4;
  file.write('\x7fELF', 'latin1');
  at = 4;
  put(is64 ? 2 : 1, 1);
  // Little-endian, version 1.
  put(1, 1);
  put(1, 1);
  at = 16;
  // An executable file.
  put(2, 2);
  put(number, 2);
  put(1, 4);
  put(address + start, word);
  put(headerSize, word);
  put(0, word);
  put(flags, 4);
  put(headerSize, 2);
  put(start - headerSize, 2);
  put(1, 2);
  at = headerSize;
  // One segment to load, to be read and executed (5).
  put(1, 4);
  if (is64) put(5, 4);
  put(0, word);
  put(address, word);
  put(address, word);
  put(file.length, word);
  put(file.length, word);
  if (!is64) put(5, 4);
  put(0x1000, word);
  return file;
}
