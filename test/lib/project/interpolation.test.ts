import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { parseEnvFile } from '../../../src/lib/project/env-file.js';
import { interpolate, InterpolationProblem } from '../../../src/lib/project/interpolation.js';
import { Problems } from '../../../src/lib/project/problems.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';

const variables: Readonly<Record<string, string>> = { A: 'one', B: 'two words', EMPTY: '', _x1: '}', NAME: 'A' };
const valueOf = (name: string) => variables[name];

describe('interpolation', () => {
  const cases: readonly (readonly [text: string, is: string])[] = [
    ['$A ${A} $A-b ${A}b', 'one one one-b oneb'],
    ['$$A $${A} $$$A $$', '$A ${A} $one $'],
    ['${NO:-d} ${NO-d} ${EMPTY:-d} ${EMPTY-d} ${A:-d}', 'd d d  one'],
    ['${NO:+d} ${NO+d} ${EMPTY:+d} ${EMPTY+d} ${A:+d}', '   d d'],
    ['${A:?x} ${EMPTY?x}', 'one '],
    ['${NO:-${EMPTY:-${A}}}', 'one'],
    ['${NO:-$A and ${B}}', 'one and two words'],
    ['${NO:-{"a": {"b": 1}}}', '{"a": {"b": 1}}'],
    ['${A:+${B}}${_x1}', 'two words}'],
    ['${A:-${NO?never asked}}', 'one'],
    ['${NO:-a:-b?c+d}', 'a:-b?c+d'],
    ['$1 $ $- 5$ $.', '$1 $ $- 5$ $.'],
    ['${NO:-$$A}', '$A'],
    ['${NO}', ''],
  ];
  for (const [text, is] of cases) {
    it(`makes ${JSON.stringify(is)} of ${text}`, () => {
      assert.equal(interpolate(text, valueOf).text, is);
    });
  }

  it('tells which variables are not set, where that counts', () => {
    assert.deepEqual(interpolate('$NO ${A:+$OTHER} ${A:-$UNUSED} ${X-}', valueOf).unset, ['NO', 'OTHER']);
  });

  for (const text of ['${', '${A', '${}', '${1}', '${A:}', '${A!}', '${ A}', '${NO:-${}}', '${NO?}', '${EMPTY:?why}']) {
    it(`refuses ${text}`, () => {
      assert.throws(() => interpolate(text, valueOf), InterpolationProblem);
    });
  }

  it('says so of texts with braces in each other without end', () => {
    const text = `${'${A:-'.repeat(20_000)}x${'}'.repeat(20_000)}`;
    assert.throws(() => interpolate(text, () => undefined), InterpolationProblem);
  });

  it('does with random texts what a shell does', () => {
    const random = seededRandom(5);
    const names = ['A', 'B', 'EMPTY', 'NO', 'NO2', '_x1'];
    const text = (depth: number): string =>
      Array.from({ length: 1 + random.below(3) }, () => {
        const name = random.pick(names);
        const kind = random.below(depth > 0 ? 8 : 4);
        if (kind === 0) return random.pick(['a', 'b-c', ':', '?', '+', '.', '/', ' ', '=']);
        if (kind === 1) return `$${name}${random.pick(['-', '.', ' ', ':'])}`;
        if (kind < 4) return `\${${name}}`;
        return `\${${name}${random.pick([':-', '-', ':+', '+'])}${text(depth - 1)}}`;
      }).join('');
    const texts = Array.from({ length: rounds(300, 20_000) }, () => text(4));
    const environment = Object.fromEntries(Object.entries(variables));
    for (let at = 0; at < texts.length; at += 500) {
      const some = texts.slice(at, at + 500);
      const script = some.map((one) => `printf '%s\\n' "${one}"`).join('\n');
      const { stdout, status } = spawnSync('sh', ['-s'], { input: script, env: environment, encoding: 'utf8' });
      assert.equal(status, 0);
      assert.deepEqual(
        some.map((one) => interpolate(one, valueOf).text),
        stdout.split('\n').slice(0, -1),
      );
    }
  });
});

describe('an env file', () => {
  const read = (text: string, problems = new Problems()) =>
    Object.fromEntries(Array.from(parseEnvFile(text, '.env', valueOf, problems), ([name, { value }]) => [name, value]));

  it('has values bare, in quotes, over several lines, with comments and variables', () => {
    const text = [
      '\uFEFF# comment',
      'PLAIN=a b # comment',
      'HASH=a#b',
      'export EXPORTED = spaced  ',
      'YAML: style',
      "SINGLE='$A \\n # '",
      'DOUBLE="$A \\"\\n\\$A # "',
      'LINES="one',
      'two"',
      'OWN=${PLAIN}-${A}-${NO:-d}',
      'NOTHING=',
      'COMMENT= # only',
      'A',
      'NO',
      'CRLF=x\r',
      'LAST=end',
    ].join('\n');
    assert.deepEqual(read(text), {
      PLAIN: 'a b',
      HASH: 'a#b',
      EXPORTED: 'spaced',
      YAML: 'style',
      SINGLE: '$A \\n # ',
      DOUBLE: 'one "\n$A # ',
      LINES: 'one\ntwo',
      OWN: 'a b-one-d',
      NOTHING: '',
      COMMENT: '',
      A: 'one',
      CRLF: 'x',
      LAST: 'end',
    });
  });

  it('that is wrong is told with its line', () => {
    for (const [text, line] of [
      ["A=1\nB='x", 2],
      ['A=1\n\n# c\nB="x\ny', 4],
      ['a b=1', 1],
      ['A=1\nB=${C', 2],
      ['A=1\n=x', 2],
    ] as const) {
      const problems = new Problems();
      read(text, problems);
      assert.throws(
        () => {
          problems.throwIfAny();
        },
        (error: unknown) => {
          assert.match(String(error), new RegExp(`\\.env:${line}:1: `));
          return true;
        },
      );
    }
  });
});
