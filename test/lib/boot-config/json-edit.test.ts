import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { editedJson } from '../../../src/lib/boot-config/json-edit.js';
import { isJsonObject, type Json, type JsonObject } from '../../../src/lib/platform/json.js';
import { rounds } from '../../support/campaign.js';
import { type SeededRandom, seededRandom } from '../../support/seeded-random.js';

/** Edits a text through its value. */
function edit(text: string, change: (value: Record<string, Json>) => JsonObject): string {
  return editedJson(text, change({ ...(JSON.parse(text) as Record<string, Json>) }));
}

describe('a JSON text that is edited', () => {
  const cases: readonly (readonly [string, string, (value: Record<string, Json>) => JsonObject, string])[] = [
    ['is laid out on one line as before', '{"b":2}', (value) => ({ ...value, a: 1 }), '{"b":2,"a":1}'],
    [
      'keeps the spaces of its line',
      '{"b": 2, "c": 3}\n',
      (value) => ({ ...value, a: [1] }),
      '{"b": 2, "c": 3, "a": [1]}\n',
    ],
    [
      'is indented as before, with its line ends',
      '{\r\n\t"b" : {"x":1}\r\n}\r\n',
      (value) => ({ ...value, a: { y: [1] } }),
      '{\r\n\t"b" : {"x":1},\r\n\t"a" : {\r\n\t\t"y": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}\r\n',
    ],
    [
      'keeps numbers as they are written',
      '{ "id": 12345678901234567890, "f": 1.0, "e": 1E3, "x": 1 }',
      (value) => ({ ...value, x: 2 }),
      '{ "id": 12345678901234567890, "f": 1.0, "e": 1E3, "x": 2 }',
    ],
    [
      'keeps escapes and the order of keys that look like numbers',
      '{"z":{"64":"\\u0041","7":"\\/"},"a":1}',
      (value) => ({ ...value, a: 2 }),
      '{"z":{"64":"\\u0041","7":"\\/"},"a":2}',
    ],
    ['loses its first key', '{\n  "a": 1,\n  "b": 2\n}', ({ b }) => ({ b: b ?? 0 }), '{\n  "b": 2\n}'],
    ['loses its last key', '{\n  "a": 1,\n  "b": 2\n}', ({ a }) => ({ a: a ?? 0 }), '{\n  "a": 1\n}'],
    ['loses all keys', '{\n  "a": 1\n}\n', () => ({}), '{}\n'],
    ['gets its first key', '{}', () => ({ a: 1 }), '{"a":1}'],
    ['is there when there was none', '', () => ({ a: { b: 1 } }), '{"a":{"b":1}}'],
    [
      'has a list with one item more',
      '{\n  "os": {\n    "sshKeys": [\n      "a"\n    ]\n  }\n}',
      () => ({ os: { sshKeys: ['a', 'b'] } }),
      '{\n  "os": {\n    "sshKeys": [\n      "a",\n      "b"\n    ]\n  }\n}',
    ],
    ['has a list with one item less', '{"l": [1.0, 2.0, 3.0]}', () => ({ l: [1, 3] }), '{"l": [1.0, 3.0]}'],
    ['has a list with a new first item', '{"l": [1.0, 2.0]}', () => ({ l: [0, 1, 2] }), '{"l": [0, 1.0, 2.0]}'],
    [
      'changes inside of an item',
      '{"l": [{"a": 1.0, "b": 2}]}',
      () => ({ l: [{ a: 1, b: 3 }] }),
      '{"l": [{"a": 1.0, "b": 3}]}',
    ],
    ['changes the one that counts of two equal keys', '{"a": 1, "a": 2}', () => ({ a: 3 }), '{"a": 1, "a": 3}'],
    ['loses both of two equal keys', '{"a": 1, "b": 0, "a": 2}', ({ b }) => ({ b: b ?? 1 }), '{"b": 0}'],
    ['changes the kind of a value', '{"a": [1], "b": {}}', () => ({ a: { c: 1 }, b: [] }), '{"a": {"c":1}, "b": []}'],
  ];
  for (const [obligation, text, change, expected] of cases) {
    test(obligation, () => {
      assert.equal(text === '' ? editedJson(text, change({})) : edit(text, change), expected);
    });
  }

  test('holds the new value exactly, and stays as it is when nothing changes, whatever its layout', () => {
    const random = seededRandom(44);
    for (let round = 0; round < rounds(2000, 100_000); round += 1) {
      const before = randomObject(random, 3);
      const text = written(random, before);
      assert.equal(editedJson(text, before), text);
      const after = changed(random, before);
      const edited = editedJson(text, isJsonObject(after) ? after : {});
      assert.deepEqual(JSON.parse(edited), after, `${text}\n${edited}`);
      assert.equal(editedJson(edited, isJsonObject(after) ? after : {}), edited);
    }
  });
});

function randomObject(random: SeededRandom, depth: number): JsonObject {
  const names = ['a', 'b"', '7', '64', 'long name', '__proto__', 'ü'];
  const entries = Array.from(
    { length: random.below(5) },
    () => [random.pick(names), randomValue(random, depth)] as const,
  );
  return Object.fromEntries(entries);
}

function randomValue(random: SeededRandom, depth: number): Json {
  const kind = random.below(depth > 0 ? 8 : 6);
  if (kind === 6) return randomObject(random, depth - 1);
  if (kind === 7) return Array.from({ length: random.below(4) }, () => randomValue(random, depth - 1));
  return random.pick([true, false, null, random.below(1000), -0.5, 'text \\ "x"\n']);
}

function changed(random: SeededRandom, value: Json): Json {
  if (Array.isArray(value)) {
    const items = (value as Json[]).flatMap((item) => (random.below(4) === 0 ? [] : [changed(random, item)]));
    return random.below(3) === 0 ? [...items, randomValue(random, 1)] : items;
  }
  if (!isJsonObject(value)) return random.below(4) === 0 ? randomValue(random, 1) : value;
  const entries = Object.entries(value).flatMap(([key, one]) =>
    random.below(5) === 0 ? [] : [[key, changed(random, one)] as const],
  );
  const more = random.below(3) === 0 ? Object.entries(randomObject(random, 1)) : [];
  return Object.fromEntries([...entries, ...more]);
}

/** A value as somebody may write it by hand. */
function written(random: SeededRandom, value: Json): string {
  const text = JSON.stringify(value, null, random.pick(['', '  ', '\t']));
  return random.below(2) === 0 ? text.replaceAll('\n', random.pick(['\n', '\r\n', ' \n'])) : text;
}
