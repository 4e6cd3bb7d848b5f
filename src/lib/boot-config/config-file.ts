import { readFile } from 'node:fs/promises';
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
  return parseJsonObject(bytes, { what: file, kind: 'usage', hint: 'Correct the file at that place' });
}
