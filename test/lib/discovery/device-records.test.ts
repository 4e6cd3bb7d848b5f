import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DeviceRecords, deviceService } from '../../../src/lib/discovery/device-records.js';
import type { MulticastRecord } from '../../../src/lib/discovery/multicast.js';

const instance = '63ec46c._ssh._tcp.local';
const host = '63ec46c.local';
const pointer: MulticastRecord = { name: deviceService, type: 'PTR', ttl: 4500, data: instance };
const service: MulticastRecord = { name: instance, type: 'SRV', ttl: 120, data: { target: host, port: 22222 } };
const ipv4: MulticastRecord = { name: host, type: 'A', ttl: 120, data: '192.168.1.20' };
const ipv6: MulticastRecord = { name: host, type: 'AAAA', ttl: 120, data: 'fe80::1' };
const device = { hostname: host, sshPort: 22222, addresses: ['192.168.1.20', 'fe80::1%eth0'], interfaces: ['eth0'] };

describe('DeviceRecords', () => {
  it('puts a device together from records in any order and any number of packets', () => {
    const orders = [
      [pointer, service, ipv4, ipv6],
      [ipv6, ipv4, service, pointer],
      [service, ipv6, pointer, ipv4],
    ];
    for (const order of orders) {
      const records = new DeviceRecords();
      for (const record of order) records.add([record], 'eth0');
      assert.deepEqual(records.devices(), [device]);
      assert.deepEqual(records.missing(), []);
    }
  });

  it('asks for exactly what is missing', () => {
    const records = new DeviceRecords();
    assert.deepEqual(records.missing(), []);
    records.add([pointer], 'eth0');
    assert.deepEqual(records.missing(), [{ name: instance, type: 'SRV' }]);
    records.add([service], 'eth0');
    assert.deepEqual(records.missing(), [
      { name: host, type: 'A' },
      { name: host, type: 'AAAA' },
    ]);
    records.add([ipv6], 'eth0');
    assert.deepEqual(records.missing(), [{ name: host, type: 'A' }]);
  });

  it('merges what one device says on several interfaces', () => {
    const records = new DeviceRecords();
    records.add([pointer, service, ipv4], 'eth0');
    records.add([pointer, service, { ...ipv4, data: '10.0.0.2' }, ipv6], 'wlan0');
    assert.deepEqual(records.devices(), [
      { ...device, addresses: ['10.0.0.2', '192.168.1.20', 'fe80::1%wlan0'], interfaces: ['eth0', 'wlan0'] },
    ]);
  });

  it('takes names that differ in letter case for one', () => {
    const records = new DeviceRecords();
    records.add([pointer, { ...service, name: instance.toUpperCase() }, { ...ipv4, name: host.toUpperCase() }], 'eth0');
    assert.equal(records.devices().length, 1);
  });

  it('forgets what is taken back with a time to live of zero', () => {
    const records = new DeviceRecords();
    records.add([pointer, service, ipv4], 'eth0');
    records.add([{ ...ipv4, ttl: 0 }], 'eth0');
    assert.deepEqual(records.devices(), []);
    records.add([ipv4], 'eth0');
    records.add([{ ...pointer, ttl: 0 }], 'eth0');
    assert.deepEqual(records.devices(), []);
  });

  it('leaves out computers with SSH that are no devices', () => {
    const records = new DeviceRecords();
    records.add([{ ...pointer, name: '_ssh._tcp.local' }, service, ipv4], 'eth0');
    assert.deepEqual(records.devices(), []);
  });

  it('does not believe in names that would play tricks on a terminal', () => {
    const records = new DeviceRecords();
    const target = 'x\u001B[2J.local';
    records.add([pointer, { ...service, data: { target, port: 22222 } }, { ...ipv4, name: target }], 'eth0');
    assert.deepEqual(records.devices(), []);
  });

  it('has no use for a link-local address on an unknown interface', () => {
    const records = new DeviceRecords();
    records.add([pointer, service, ipv6], undefined);
    assert.deepEqual(records.devices(), []);
  });
});
