import { readFile } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { JsonObject } from '../platform/json.js';
import { parseJsonObject } from './json-text.js';

/** Reads a file of the user's with keys for config.json. */
export async function readConfigFile(file: string): Promise<JsonObject> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw whileDoing(`reading the configuration ${file}`, error);
  }
  return parseJsonObject(bytes, file, invalidConfigFile);
}

function invalidConfigFile(message: string): Failure {
  return new Failure('usage', 'invalid-config-file', message, { hint: 'Correct the file at that place' });
}
