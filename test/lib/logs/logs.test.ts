import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { framedLines, type LogLine, terminalLines } from '../../../src/lib/engine/container-logs.js';
import { textLines } from '../../../src/lib/engine/text-lines.js';
import { engineTime, LogCursor } from '../../../src/lib/logs/log-cursor.js';
import { parseSince } from '../../../src/lib/logs/log-since.js';
import { parseVariables, withVariables } from '../../../src/lib/push/environment-variables.js';
import { serviceOfContainer } from '../../../src/lib/engine/find-service.js';
import { singleServiceComposition } from '../../../src/lib/project/single-service.js';
import { balenaArchitecture } from '../../../src/lib/deploy/local-release.js';

const at = (nanoseconds: number) => `2026-11-21T00:00:00.${String(nanoseconds).padStart(9, '0')}Z`;

/** The bytes in chunks of every size from 1 up, so that boundaries fall everywhere. */
async function* chopped(bytes: Buffer): AsyncGenerator<Buffer> {
  let size = 1;
  for (let start = 0; start < bytes.length; start += size++) {
    await Promise.resolve();
    yield bytes.subarray(start, start + size);
  }
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

function frame(stream: 1 | 2, text: string): Buffer {
  const payload = Buffer.from(text);
  const header = Buffer.alloc(8);
  header.writeUInt8(stream, 0);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

describe('text lines', () => {
  it('are whole wherever chunks end, also within a letter', async () => {
    const text = 'erste\r\nzweite – ümlaut 🚢\n\nletzte ohne Ende';
    assert.deepEqual(await all(textLines(chopped(Buffer.from(text)))), [
      'erste',
      'zweite – ümlaut 🚢',
      '',
      'letzte ohne Ende',
    ]);
  });
});

describe('the log of a container', () => {
  it('tells standard output from standard error and joins the pieces of long lines', async () => {
    const bytes = Buffer.concat([
      frame(1, `${at(1)} one\n`),
      frame(1, `${at(2)} two, `),
      frame(2, `${at(3)} to stderr – ü\n`),
      frame(1, `${at(2)} continued\n`),
      frame(1, `${at(4)} no end`),
    ]);
    assert.deepEqual(await all(framedLines(chopped(bytes))), [
      { time: at(1), stream: 'stdout', text: 'one' },
      { time: at(3), stream: 'stderr', text: 'to stderr – ü' },
      { time: at(2), stream: 'stdout', text: 'two, continued' },
      { time: at(4), stream: 'stdout', text: 'no end' },
    ]);
  });

  it('of one with a terminal is plain lines, with the stamps inside long ones taken out', async () => {
    const long = 'x'.repeat(16_384);
    const bytes = Buffer.from(`${at(1)} one\r\n${at(2)} ${long}${at(2)} rest\r\n${at(3)} \r\n`);
    assert.deepEqual(
      (await all(terminalLines(chopped(bytes)))).map((line) => line.text),
      ['one', `${long}rest`, ''],
    );
  });
});

describe('a log cursor', () => {
  const line = (time: string, text: string): LogLine => ({ time, stream: 'stdout', text });

  it('resumes without a gap and without a repeat, also among lines of one moment', () => {
    const cursor = new LogCursor();
    const log = [line(at(1), 'a'), line(at(5), 'b'), line(at(5), 'c'), line(at(5), 'd'), line(at(9), 'e')];
    const first = log.slice(0, 3).filter((one) => cursor.take(one));
    assert.equal(cursor.since, '1795219200.000000005');
    cursor.resume();
    const second = log.slice(1).filter((one) => cursor.take(one));
    assert.deepEqual(
      [...first, ...second].map((one) => one.text),
      ['a', 'b', 'c', 'd', 'e'],
    );
    cursor.resume();
    assert.deepEqual(
      log.slice(4).filter((one) => cursor.take(one)),
      [],
    );
  });

  it('keeps lines that two streams bring in the wrong order', () => {
    const cursor = new LogCursor();
    assert.ok([line(at(5), 'a'), line(at(4), 'b'), line(at(6), 'c')].every((one) => cursor.take(one)));
  });
});

describe('a point in time', () => {
  it('is said as an age or as RFC 3339', () => {
    assert.equal(engineTime('2026-11-21T00:00:00.5Z'), '1795219200.500000000');
    assert.equal(parseSince('2026-11-21T02:00:00+02:00', 0), '1795219200.000000000');
    assert.equal(parseSince('1.5m', 1_000_000), '910.000000000');
    for (const wrong of ['yesterday', '10', '5w', '']) {
      assert.throws(() => parseSince(wrong, 0), { kind: 'usage', code: 'invalid-since' });
    }
  });
});

describe('variables for containers', () => {
  it('may hold anything but need a proper name', () => {
    const named = (name: string, value: string, service?: string) => ({ service, name, value });
    assert.deepEqual(parseVariables(['A=b=c', 'EMPTY=', 'web:A=a:b']), [
      named('A', 'b=c'),
      named('EMPTY', ''),
      named('A', 'a:b', 'web'),
    ]);
    assert.throws(
      () => parseVariables(['=secret']),
      (error: Error) => !error.message.includes('secret'),
    );
    assert.throws(() => parseVariables(['1A=x']), { kind: 'usage' });
    process.env.DAVIT_TEST_VARIABLE = 'from here';
    assert.deepEqual(parseVariables(['DAVIT_TEST_VARIABLE']), [named('DAVIT_TEST_VARIABLE', 'from here')]);
    assert.throws(() => parseVariables(['DAVIT_TEST_NOTHING']), { kind: 'usage' });
  });

  it('are for all services, or for one that there is', () => {
    const composition = singleServiceComposition('app', '/app', undefined);
    const { services } = withVariables(composition, parseVariables(['A=1', 'main:A=2', 'B=3']));
    assert.deepEqual(services.main?.environment, { A: '2', B: '3' });
    assert.throws(() => withVariables(composition, parseVariables(['mian:A=2'])), { code: 'service-unknown' });
  });
});

describe('names on a device', () => {
  it('give the service of a container, whoever named it', () => {
    assert.equal(serviceOfContainer('main_1_1_10ca12e1ea5e'), 'main');
    assert.equal(serviceOfContainer('my_web-app_12345_67890_0123abcd'), 'my_web-app');
    assert.equal(serviceOfContainer('main_12345_67890'), 'main');
    assert.equal(serviceOfContainer('balena_supervisor'), undefined);
  });

  it('give the architecture as balena says it', () => {
    assert.deepEqual(['x86_64', 'aarch64', 'armv7l', 'armv6l', 'i686', 'riscv64'].map(balenaArchitecture), [
      'amd64',
      'aarch64',
      'armv7hf',
      'rpi',
      'i386',
      undefined,
    ]);
  });
});
