import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { gzipBlocks } from '../../../src/lib/push/gzip-blocks.js';
import { seededRandom } from '../../support/seeded-random.js';

const megabyte = 1_000_000;

describe('gzipBlocks', () => {
  it('gives what every reader of gzip unpacks to what it was', async () => {
    const random = seededRandom(1);
    const parts = [
      Buffer.alloc(3 * megabyte),
      random.bytes(2 * megabyte + 1),
      Buffer.from('end'),
      Buffer.alloc(megabyte),
    ];
    const packed: Buffer[] = [];
    for await (const block of gzipBlocks(chunks(parts))) packed.push(block);
    const whole = Buffer.concat(packed);
    assert.ok(gunzipSync(whole).equals(Buffer.concat(parts)));
    assert.ok(whole.length < 4 * megabyte, `${whole.length} bytes`);
  });

  it('hands over all it has when it is told to, before more comes', async () => {
    let isHandedOver = false;
    const content = async function* () {
      yield Buffer.from('first');
      yield Buffer.alloc(0);
      // Asked for more, it has nothing left to give.
      assert.ok(isHandedOver);
      yield Buffer.from('second');
      await Promise.resolve();
    };
    const texts: string[] = [];
    for await (const block of gzipBlocks(content())) {
      isHandedOver = true;
      texts.push(gunzipSync(block).toString());
    }
    assert.deepEqual(texts, ['first', 'second']);
  });
});

async function* chunks(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    yield part;
    await Promise.resolve();
  }
}
