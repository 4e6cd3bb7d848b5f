import { Failure } from '../failure/failure.js';
import { askSecret, requireTerminal } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { environmentVariable } from '../platform/environment.js';
import { collect, readUserFile } from '../platform/read-user-file.js';

/** A secret as the flags have it. */
export interface SecretFromFlags {
  /** The secret; where it is yet to be asked for, something that stands in for it. */
  readonly value: string;
  readonly ask?: () => Promise<string>;
  readonly warnings: readonly string[];
}

/** A secret that flags may name the place of. */
export interface WantedSecret {
  /** What it is: "Wi-Fi key". */
  readonly what: string;
  readonly flag: string;
  /** The file, or - for standard input. */
  readonly source: string | undefined;
  readonly variable: string;
  /** What stands in for it until it is asked for; left out where it is not asked for. */
  readonly standIn?: string;
  /** How its question ends: "of the network office". */
  readonly of: string;
  /** The flag that says that there is none, where there is such a flag. */
  readonly flagForNone?: string;
}

/** What reading a secret needs of the command. */
export interface SecretContext {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  /** Whether the image comes from standard input. */
  readonly standardInputIsTaken?: boolean;
}

/** What the key of any Wi-Fi network is called, and what stands in for it: as long as the longest, so that there is room for whatever the answer is. */
export const wifiKey = { what: 'Wi-Fi key', variable: 'DAVIT_WIFI_KEY', standIn: '0'.repeat(64) } as const;

/** Bytes that a file with a secret may have. */
const mostBytes = 4096;

/** A secret from the file or stream that a flag names, else the environment, else by a question; undefined where that is not to be asked. */
export async function readSecret(
  { what, flag, source, variable, standIn, of, flagForNone }: WantedSecret,
  { streams, signal, standardInputIsTaken = false }: SecretContext,
): Promise<SecretFromFlags | undefined> {
  if (source !== undefined) {
    const isStandardInput = source === '-';
    if (isStandardInput && standardInputIsTaken) {
      const message = `the image and the ${what} cannot both come from standard input`;
      throw new Failure('usage', 'standard-input-twice', message, { hint: `Give the ${what} with ${flag} <file>` });
    }
    const { bytes, isReadByOthers } = isStandardInput
      ? { bytes: await collect(streams.stdin, mostBytes, signal), isReadByOthers: false }
      : await readUserFile(source, { what: `the ${what} file`, most: mostBytes, signal });
    const value = String(bytes).replace(/\r?\n$/, '');
    if (value !== '') {
      return {
        value,
        warnings: isReadByOthers ? [`others may read the ${what} in ${source}: chmod 600 ${source}`] : [],
      };
    }
    const message = `there is no ${what} in ${isStandardInput ? 'standard input' : source}`;
    throw new Failure('usage', 'secret-empty', message, {
      hint: `Check what ${flag} is given${flagForNone === undefined ? '' : `; ${flagForNone} is for a network without one`}`,
    });
  }
  const value = environmentVariable(variable);
  if (value !== undefined) return { value, warnings: [] };
  if (standIn === undefined) return undefined;
  const question = {
    message: `${what.charAt(0).toUpperCase()}${what.slice(1)} ${of}`,
    insteadOfAsking: [
      `${flag} <file> (or - for standard input)`,
      ...(flagForNone === undefined ? [] : [flagForNone]),
      `or the ${what} in ${variable}`,
    ].join(', '),
    signal,
  };
  requireTerminal(question, streams);
  return { value: standIn, ask: () => askSecret(question, streams), warnings: [] };
}
