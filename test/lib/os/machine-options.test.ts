import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Machine, machineOptions } from '../../../src/lib/os/machine-options.js';

const machine: Machine = {
  disk: '/tmp/a,b.img',
  keep: false,
  memoryMiB: 512,
  firmware: { code: '/fw/code.fd', variables: '/fw/vars.fd' },
  network: { kind: 'user', forwards: [{ hostPort: 40000, devicePort: 22222 }] },
};

describe('machineOptions', () => {
  it('lets the device write to a snapshot unless its writes are kept', () => {
    assert.ok(machineOptions(machine, 'tcg').some((word) => word.includes('id=disk') && word.includes('snapshot=on')));
    const kept = machineOptions({ ...machine, keep: true }, 'tcg');
    assert.ok(kept.some((word) => word.includes('id=disk') && word.includes('snapshot=off')));
  });

  it('never writes to the installed firmware', () => {
    const flash = machineOptions(machine, 'kvm').filter((word) => word.includes('if=pflash'));
    assert.equal(flash.length, 2);
    for (const word of flash) assert.match(word, /readonly=on|snapshot=on/);
  });

  it('forwards ports from 127.0.0.1 only', () => {
    const words = machineOptions(machine, 'tcg').join(' ');
    assert.match(words, /hostfwd=tcp:127\.0\.0\.1:40000-:22222/);
  });

  it('doubles a comma in a file name, which would end the option', () => {
    assert.ok(machineOptions(machine, 'tcg').some((word) => word.endsWith('file=/tmp/a,,b.img')));
  });
});
