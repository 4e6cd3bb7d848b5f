import { isJsonObject, isRecord, type Json, type JsonObject } from '../platform/json.js';
import { nearestName } from '../platform/nearest-name.js';
import type { Path, Problem } from './problem.js';

/**
 * What a value of a configuration file has to look like: for davit, which checks it and then knows its type, and for editors, as JSON
 * Schema (https://json-schema.org, draft 2020-12). The schema may allow more than the check does, never less.
 */
export interface Shape<out T> {
  readonly schema: JsonObject;
  /** What is wrong with a value; where nothing is, the value is a T. */
  readonly problems: (value: unknown, path: Path) => readonly Problem[];
  /** The shape of each item of a list, or of each value of an object with free keys. */
  readonly each?: Shape<unknown>;
  /** Carries the type; never there. */
  readonly value?: T;
}

/** The type of the values that a shape takes. */
export type ValueOf<S> = S extends Shape<infer T> ? T : never;

/** Whether a value has a shape; it then has the shape's type. */
export function fits<T>(shape: Shape<T>, value: unknown): value is T {
  return shape.problems(value, []).length === 0;
}

/** A shape that a predicate decides. `mustBe` follows "must be". */
function simple<T>(mustBe: string, schema: JsonObject, isGood: (value: unknown) => boolean): Shape<T> {
  return {
    schema,
    problems: (value, path) => (isGood(value) ? [] : [{ path, message: `must be ${mustBe}` }]),
  };
}

/** Text, of a certain form if a predicate or a pattern is given. */
export function text(mustBe = 'text', form: RegExp | ((value: string) => boolean) = () => true): Shape<string> {
  const isGood = form instanceof RegExp ? (value: string) => form.test(value) : form;
  const pattern = form instanceof RegExp && form.flags === '' ? { pattern: form.source } : {};
  const shape = simple<string>(
    mustBe,
    { type: 'string', ...pattern },
    // Half of a letter beyond the basic plane, which an escape can stand for, has no bytes in UTF-8.
    (one) => typeof one === 'string' && !/\p{Surrogate}/u.test(one) && isGood(one),
  );
  return {
    schema: shape.schema,
    problems: (value, path) =>
      typeof value === 'number' || typeof value === 'boolean'
        ? [{ path, message: `must be ${mustBe}, in quotes` }]
        : shape.problems(value, path),
  };
}

/** Text that is not empty and stands on one line. */
export const textLine: Shape<string> = text(
  'one line of text, not empty',
  (value) => value !== '' && !/[\0\r\n]/.test(value),
);

/** A whole number within bounds. */
export function wholeNumber(mustBe: string, least = 0, most = Number.MAX_SAFE_INTEGER): Shape<number> {
  const bounds = most === Number.MAX_SAFE_INTEGER ? { minimum: least } : { minimum: least, maximum: most };
  return simple(
    mustBe,
    { type: 'integer', ...bounds },
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
  );
}

/** True or false. */
export const truth: Shape<boolean> = simple(
  'true or false',
  { type: 'boolean' },
  (value) => typeof value === 'boolean',
);

/** One of some words. */
export function choice<const T extends string>(...words: readonly T[]): Shape<T> {
  const known: readonly unknown[] = words;
  return {
    schema: { enum: words },
    problems: (value, path) => {
      if (known.includes(value)) return [];
      const near = typeof value === 'string' ? nearestName(value, words) : undefined;
      return [{ path, message: `must be ${orList(words)}${near === undefined ? '' : `: did you mean ${near}?`}` }];
    },
  };
}

/** Any JSON value. */
export const anything: Shape<Json> = simple('a JSON value', {}, () => true);

/** A list whose items have one shape. */
export function list<T>(item: Shape<T>, mustBe = 'a list', least = 0): Shape<readonly T[]> {
  return {
    schema: { type: 'array', items: item.schema, ...(least === 0 ? {} : { minItems: least }) },
    each: item,
    problems: (value, path) => {
      if (!Array.isArray(value) || value.length < least) return [{ path, message: `must be ${mustBe}` }];
      return value.flatMap((one: unknown, index) => item.problems(one, [...path, index]));
    },
  };
}

/** An object with free keys, each of a form, whose values have one shape. */
export function mapOf<T>(item: Shape<T>, keys: Shape<string> = text()): Shape<Readonly<Record<string, T>>> {
  return {
    schema: { type: 'object', additionalProperties: item.schema, propertyNames: keys.schema },
    each: item,
    problems: (value, path) => {
      if (!isRecord(value)) return [{ path, message: 'must be an object' }];
      return Object.entries(value).flatMap(([key, one]) => [
        ...keys
          .problems(key, [...path, key])
          .map(({ message }) => ({ path: [...path, key], message: `as a name ${message}` })),
        ...item.problems(one, [...path, key]),
      ]);
    },
  };
}

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Required<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };
type Optional<F extends Fields> = { readonly [K in keyof F]?: ValueOf<F[K]> };

/** An object with known keys: some must be there, others may be, and any other is a mistake. */
export function object<R extends Fields, O extends Fields>(required: R, optional: O): Shape<Required<R> & Optional<O>> {
  const fields: Fields = { ...required, ...optional };
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(Object.entries(fields).map(([key, { schema }]) => [key, schema])),
      ...(Object.keys(required).length === 0 ? {} : { required: Object.keys(required) }),
      additionalProperties: false,
    },
    problems: (value, path) => {
      if (!isRecord(value)) return [{ path, message: `must be an object with ${keyList(Object.keys(fields))}` }];
      const missing = Object.keys(required).filter((key) => !Object.hasOwn(value, key));
      return [
        ...missing.map((key) => ({ path, message: `must have ${key}` })),
        ...Object.entries(value).flatMap(([key, one]) => {
          const at = [...path, key];
          const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
          return field?.problems(one, at) ?? [{ path: at, message: notKnown(key, Object.keys(fields)) }];
        }),
      ];
    },
  };
}

/** One of several shapes; `mustBe` says which, unless the value is an object and one shape takes objects, which then judges it. */
export function either<S extends readonly Shape<unknown>[]>(mustBe: string, ...shapes: S): Shape<ValueOf<S[number]>> {
  return {
    schema: { anyOf: shapes.map(({ schema }) => schema) },
    problems: (value, path) => {
      if (shapes.some((shape) => shape.problems(value, path).length === 0)) return [];
      const objects = shapes.filter(({ schema }) => schema.type === 'object');
      const judge = isRecord(value) && objects.length === 1 ? objects[0] : undefined;
      return judge?.problems(value, path) ?? [{ path, message: `must be ${mustBe}` }];
    },
  };
}

/** Objects of several kinds, told apart by the word under one key. */
export function variants<K extends string, V extends Readonly<Record<string, Shape<object>>>>(
  key: K,
  kinds: V,
): Shape<{ [N in keyof V & string]: Readonly<Record<K, N>> & ValueOf<V[N]> }[keyof V & string]> {
  const word = choice(...Object.keys(kinds));
  return {
    schema: { oneOf: Object.entries(kinds).map(([name, { schema }]) => withKey(schema, key, name)) },
    problems: (value, path) => {
      if (!isRecord(value)) return [{ path, message: `must be an object with ${key}` }];
      if (!Object.hasOwn(value, key)) return [{ path, message: `must have ${key}: ${orList(Object.keys(kinds))}` }];
      const { [key]: name, ...rest } = value;
      const kind = typeof name === 'string' && Object.hasOwn(kinds, name) ? kinds[name] : undefined;
      return kind?.problems(rest, path) ?? word.problems(name, [...path, key]);
    },
  };
}

/** A shape with a sentence about it for editors. */
export function about<T>(description: string, shape: Shape<T>): Shape<T> {
  return { ...shape, schema: { description, ...shape.schema } };
}

/** A shape with a condition that its parts cannot express; the condition is asked only where they are good. */
export function where<T>(shape: Shape<T>, more: (value: T, path: Path) => readonly Problem[]): Shape<T> {
  return {
    schema: shape.schema,
    problems: (value, path) => {
      const found = shape.problems(value, path);
      return found.length === 0 && fits(shape, value) ? more(value, path) : found;
    },
  };
}

/** What is said of a key that nothing reads. */
export function notKnown(key: string, known: readonly string[]): string {
  const near = nearestName(key, known);
  return near === undefined ? 'is not a known key' : `is not a known key: did you mean ${near}?`;
}

function withKey(schema: JsonObject, key: string, name: string): JsonObject {
  const { properties, required } = schema;
  return {
    ...schema,
    properties: { [key]: { const: name }, ...(isJsonObject(properties) ? properties : {}) },
    required: [key, ...(isList(required) ? required : [])],
  };
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

function keyList(keys: readonly string[]): string {
  return keys.length > 4 ? `${keys.slice(0, 4).join(', ')}, ...` : keys.join(', ');
}
