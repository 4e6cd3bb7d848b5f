import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';

/** What is found in a JSON answer by following keys, or undefined where they lead nowhere. */
export function valueAt(answer: unknown, ...keys: readonly string[]): unknown {
  let value = answer;
  for (const key of keys) value = isRecord(value) ? value[key] : undefined;
  return value;
}

/** A text that the engine's API promises to be there. */
export function textAt(answer: unknown, ...keys: readonly string[]): string {
  const value = valueAt(answer, ...keys);
  if (typeof value === 'string') return value;
  throw new Failure('failed', 'engine-answer', `the engine's answer has no ${keys.join('.')}`, {
    hint: 'Check that the engine is balenaEngine or Docker 18.09 or newer',
  });
}

/** A number where there is one. */
export function numberAt(answer: unknown, ...keys: readonly string[]): number | undefined {
  const value = valueAt(answer, ...keys);
  return typeof value === 'number' ? value : undefined;
}

/** The elements of a JSON array; none for anything else, because engines send `null` for an empty list. */
export function listAt(answer: unknown, ...keys: readonly string[]): readonly unknown[] {
  const value = valueAt(answer, ...keys);
  return Array.isArray(value) ? value : [];
}

/** A map from text to text, such as labels; empty when it is absent. */
export function textMapAt(answer: unknown, ...keys: readonly string[]): Readonly<Record<string, string>> {
  const value = valueAt(answer, ...keys);
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, String(one)]));
}
