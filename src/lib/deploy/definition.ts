import { createHash } from 'node:crypto';

/** The label that says from which definition a container, network or volume was made. */
export const definitionLabel = 'io.davit.definition';

/**
 * A definition as the value of that label: each key of it with a digest of its value, so that a later one can tell not only that something
 * has changed, but what. `environment=3f2a9c1b04 ports=…`
 */
export function definitionOf(values: object): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined && !isEmpty(value))
    .map(([key, value]) => `${key}=${createHash('sha256').update(canonical(value)).digest('hex').slice(0, 10)}`)
    .sort()
    .join(' ');
}

/** The keys in which two definitions differ, in the order of the alphabet; undefined where one of them is not known. */
export function differingKeys(before: string | undefined, now: string): readonly string[] | undefined {
  if (before === undefined) return undefined;
  const [old, current] = [keysOf(before), keysOf(now)];
  return [...new Set([...old.keys(), ...current.keys()])].filter((key) => old.get(key) !== current.get(key)).sort();
}

function keysOf(definition: string): ReadonlyMap<string, string> {
  return new Map(
    definition
      .split(' ')
      .filter((one) => one !== '')
      .map((one) => {
        const at = one.indexOf('=');
        return [one.slice(0, at), one.slice(at + 1)];
      }),
  );
}

/** Whether saying something and saying nothing is the same. */
function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

/** JSON in which the order of keys plays no part. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(',')}}`;
}
