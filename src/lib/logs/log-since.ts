import { Failure } from '../failure/failure.js';
import { engineTime } from './log-cursor.js';

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * Reads a point in time, `10m` ago or RFC 3339, and gives it as the engine's API takes it.
 *
 * @param now milliseconds since 1970
 */
export function parseSince(text: string, now: number): string {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  const seconds = secondsOf[unit];
  if (amount !== undefined && seconds !== undefined) {
    return engineTime(new Date(now - Number(amount) * seconds * 1000).toISOString());
  }
  if (/^\d{4}-\d\d-\d\d/.test(text) && !Number.isNaN(Date.parse(text))) return engineTime(text);
  throw new Failure('usage', 'invalid-since', `"${text}" is not a point in time`, {
    hint: 'Say 90s, 10m, 2h or 1d, or a time such as 2026-03-01T12:00:00Z',
  });
}
