import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalsFor, requireFlashable } from '../../../src/lib/drives/drive-refusal.js';
import { Failure } from '../../../src/lib/failure/failure.js';

test('gives one command that unmounts all that is mounted', () => {
  const refusals = refusalsFor('/dev/sdb', [
    { kind: 'mounted', text: '/dev/sdb1 is mounted at /media/my boot', mountPoint: '/media/my boot' },
    { kind: 'mounted', text: '/dev/sdb2 is mounted at /media/root', mountPoint: '/media/root' },
  ]);
  assert.deepEqual(
    refusals.map(({ code, message, hint }) => ({ code, message, hint })),
    [
      {
        code: 'drive-in-use',
        message: '/dev/sdb1 is mounted at /media/my boot; /dev/sdb2 is mounted at /media/root',
        hint: "If it is the right drive, first run: sudo umount '/media/my boot' '/media/root'",
      },
    ],
  );
});

test('never tells how to free the drive of the running system', () => {
  const refusals = refusalsFor('/dev/sda', [
    { kind: 'system', text: '/dev/sda1 is mounted at /', mountPoint: '/' },
    { kind: 'mounted', text: '/dev/sda2 is mounted at /media/other', mountPoint: '/media/other' },
  ]);
  assert.throws(
    () => {
      requireFlashable({ refusals });
    },
    (error) => error instanceof Failure && error.code === 'system-drive' && !(error.hint ?? '').includes('umount'),
  );
});
