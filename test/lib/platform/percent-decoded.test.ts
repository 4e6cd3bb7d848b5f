import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentDecoded } from '../../../src/lib/platform/percent-decoded.js';

test('takes what is not encoded properly for what it is', () => {
  const decoded = ['an%20image', '100%.img'].map((part) => percentDecoded(part));
  assert.deepEqual(decoded, ['an image', '100%.img']);
});
