import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressFor, dhcpAnswer, virtualHardwareAddress } from '../../../src/lib/os/dhcp-answer.js';

const hardwareAddress = virtualHardwareAddress(7, 200);

/** A DHCP message of a client, with padding before its options. */
function message(type: number, from: string = hardwareAddress): Buffer {
  const header = Buffer.alloc(240);
  header[0] = 1;
  header[1] = 1;
  header[2] = 6;
  header.writeUInt32BE(0xcafe0001, 4);
  Buffer.from(from.split(':').map((byte) => Number.parseInt(byte, 16))).copy(header, 28);
  header.writeUInt32BE(0x63825363, 236);
  return Buffer.concat([header, Buffer.from([0, 12, 1, 0x78, 53, 1, type, 255])]);
}

describe('dhcpAnswer', () => {
  it('offers a discovering device the address that follows from its hardware address', () => {
    const answer = dhcpAnswer(message(1));
    assert.ok(answer);
    assert.equal(answer[0], 2);
    assert.equal(answer.readUInt32BE(4), 0xcafe0001);
    assert.equal([...answer.subarray(16, 20)].join('.'), '10.78.7.200');
    assert.equal([...answer.subarray(16, 20)].join('.'), addressFor(hardwareAddress));
    assert.deepEqual([...answer.subarray(240, 243)], [53, 1, 2]);
  });

  it('acknowledges a request', () => {
    assert.deepEqual([...(dhcpAnswer(message(3))?.subarray(240, 243) ?? [])], [53, 1, 5]);
  });

  it('never answers a computer that is not a virtual device of davit', () => {
    assert.equal(dhcpAnswer(message(1, '52:54:00:12:34:56')), undefined);
  });

  it('passes over releases, answers of other servers, and what is not DHCP', () => {
    assert.equal(dhcpAnswer(message(7)), undefined);
    const fromServer = message(1);
    fromServer[0] = 2;
    assert.equal(dhcpAnswer(fromServer), undefined);
    assert.equal(dhcpAnswer(Buffer.from('hello')), undefined);
    assert.equal(dhcpAnswer(message(1).subarray(0, 240)), undefined);
  });
});
