import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { readJsonSyntax } from '../../../src/lib/boot-config/json-syntax.js';
import { invalidJson, parseJsonObject } from '../../../src/lib/boot-config/json-text.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';

describe('parsing a JSON file', () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ['{"a": 1,}', 1, 9],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
    ['{\n  "sshKeys": ["ssh-ed25519 AAAA",\n  ]\n}', 3, 3],
    ["{'a': 1}", 1, 2],
    ['{"a": tru}', 1, 7],
    ['{"a": "x\ny"}', 1, 9],
    ['{"a": 1} {', 1, 10],
    ['{"a": "\\x"}', 1, 8],
    ['{"a": 01}', 1, 8],
    ['{"a"', 1, 5],
    ['', 1, 1],
  ];
  for (const [text, line, column] of cases) {
    test(`names line ${line}, column ${column} of ${JSON.stringify(text)}`, () => {
      const problem = findJsonProblem(text);
      assert.deepEqual([problem?.line, problem?.column], [line, column], problem?.problem);
    });
  }

  test('finds a problem exactly where JSON.parse does, in texts damaged at random', () => {
    const random = seededRandom(21);
    const good = JSON.stringify(
      { a: [1, -2.5e3, true, null, { b: 'é "quoted" \\ \u0001' }], 'os.x': { y: {} }, z: [] },
      null,
      2,
    );
    const letters = ['"', ',', ':', '{', '}', '[', ']', '0', '1', 'e', '.', '-', '\\', 't', 'n', ' ', '\n', '\u0002'];
    for (let round = 0; round < rounds(4000, 200_000); round += 1) {
      let text = good;
      for (let hit = 0; hit <= random.below(3); hit += 1) {
        const at = random.below(text.length);
        text = text.slice(0, at) + random.pick(['', random.pick(letters)]) + text.slice(at + random.below(2));
      }
      assert.equal(findJsonProblem(text) === undefined, parses(text), text);
    }
  });

  test('takes a byte-order mark', () => {
    assert.deepEqual(parseJsonObject(Buffer.from('\uFEFF{"a":1}'), 'config.json', invalidJson), { a: 1 });
  });

  for (const bytes of [Buffer.from('[1]'), Buffer.from('null'), Buffer.from([0x7b, 0xff, 0x7d]), Buffer.alloc(0)]) {
    test(`refuses ${bytes.toString('hex') || 'an empty file'}, and does not quote it`, () => {
      assert.throws(
        () => parseJsonObject(bytes, 'config.json', invalidJson),
        (error: unknown) => error instanceof Failure && error.code === 'invalid-json' && error.kind === 'failed',
      );
    });
  }

  test('fails on text nested without end instead of running out of stack', () => {
    assert.match(findJsonProblem('['.repeat(100_000))?.problem ?? '', /nested/);
  });

  test('does not show what stands in the text', () => {
    assert.throws(
      () => parseJsonObject(Buffer.from('{"apiKey": "s3cret" "x"}'), 'config.json', invalidJson),
      (error: unknown) => error instanceof Failure && !error.message.includes('s3cret'),
    );
  });
});

function findJsonProblem(text: string) {
  const found = readJsonSyntax(text);
  return 'problem' in found ? found : undefined;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
