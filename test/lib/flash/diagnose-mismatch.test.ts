import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { diagnoseMismatch } from '../../../src/lib/flash/diagnose-mismatch.js';
import { seededRandom } from '../../support/seeded-random.js';

const mebibyte = 1024 * 1024;
const size = 64 * 1024;
const random = seededRandom(7);
const expected = random.bytes(size);
const other = random.bytes(size);
const run = { start: 3 * mebibyte, size, checksum: crc32(expected) };

function diagnose(actual: Buffer | undefined, known: Buffer | undefined = expected, otherStart = 99 * mebibyte) {
  const all = [run, { start: otherStart, size, checksum: crc32(other) }];
  return diagnoseMismatch({ run, actual, expected: known, all });
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(expected);
  change(bytes);
  return bytes;
}

test('takes a card that gives what belongs elsewhere for counterfeit, and says how much it holds at most', () => {
  const { cause, evidence } = diagnose(other);
  assert.equal(cause, 'counterfeit');
  assert.match(evidence, new RegExp(`byte ${99 * mebibyte}, .* at most ${32 * mebibyte} bytes`));
  assert.equal(diagnose(other, undefined).cause, 'counterfeit');
});

test('does not take what belongs to a place at no distance of wrapping addresses for counterfeit', () => {
  assert.equal(diagnose(other, expected, 3 * mebibyte + 4096).cause, 'unknown');
});

test('takes a card that gives nothing but zeros or ones where it is wrong for worn', () => {
  for (const byte of [0, 0xff]) {
    assert.equal(diagnose(Buffer.alloc(size, byte)).cause, 'worn');
    assert.equal(diagnose(Buffer.alloc(size, byte), undefined).cause, 'worn');
    assert.equal(diagnose(changed((bytes) => bytes.fill(byte, 4096, 8192))).cause, 'worn');
  }
  assert.equal(diagnose(undefined).cause, 'worn');
});

test('takes few wrong bits for the reader or its cable', () => {
  const one = diagnose(changed((bytes) => bytes.writeUInt8(bytes.readUInt8(700) ^ 0x10, 700)));
  assert.deepEqual([one.cause, one.evidence], ['reader', 'a single bit is wrong']);
  const many = changed((bytes) => {
    for (let at = 0; at < size; at += 16) bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
  });
  assert.equal(diagnose(many).cause, 'unknown');
});

test('blames the image where it no longer gives what it gave, whatever the card gives', () => {
  assert.equal(diagnose(other, random.bytes(size)).cause, 'source');
});
