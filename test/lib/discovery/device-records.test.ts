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

  it('merges what one device says on several interfaces of one network', () => {
    const records = new DeviceRecords();
    records.add([pointer, service, ipv4], 'eth0');
    records.add([pointer, service, ipv4, { ...ipv4, data: '10.0.0.2' }, ipv6], 'wlan0');
    assert.deepEqual(records.devices(), [
      { ...device, addresses: ['10.0.0.2', '192.168.1.20', 'fe80::1%wlan0'], interfaces: ['eth0', 'wlan0'] },
    ]);
  });

  it('keeps apart what may be two devices of one name in different networks', () => {
    const records = new DeviceRecords();
    records.add([pointer, service, ipv4, ipv6], 'eth0');
    records.add([pointer, service, { ...ipv4, data: '10.0.0.2' }, ipv6], 'wlan0');
    assert.deepEqual(records.devicesOf(host), [
      device,
      { ...device, addresses: ['10.0.0.2', 'fe80::1%wlan0'], interfaces: ['wlan0'] },
    ]);
  });

  it('takes plain SSH on the port of devices for one, whatever comes first, and asks nothing about others', () => {
    const plain: MulticastRecord = { ...pointer, name: '_ssh._tcp.local' };
    const other: MulticastRecord = {
      name: 'desk._ssh._tcp.local',
      type: 'SRV',
      ttl: 120,
      data: { target: 'desk.local', port: 22 },
    };
    for (const order of [
      [plain, service, ipv4],
      [ipv4, service, plain],
    ]) {
      const records = new DeviceRecords();
      for (const record of order) records.add([record], 'eth0');
      assert.deepEqual(records.devices(), [{ ...device, addresses: ['192.168.1.20'] }]);
      records.add([{ ...plain, data: 'desk._ssh._tcp.local' }, other], 'eth0');
      assert.deepEqual([records.devices().length, records.missing()], [1, []]);
    }
  });

  it('does not believe in addresses that no device can have', () => {
    const records = new DeviceRecords();
    const bad4 = ['127.0.0.1', '0.0.0.0', '224.0.0.251', '255.255.255.255', 'x'];
    const bad6 = ['::', '::1', 'ff02::fb', '::ffff:127.0.0.1'];
    records.add(
      [pointer, service, ...bad4.map((data) => ({ ...ipv4, data })), ...bad6.map((data) => ({ ...ipv6, data }))],
      'eth0',
    );
    assert.deepEqual(records.devices(), []);
  });

  it('keeps no more names and addresses than a network can have, and no device is pushed out by others', () => {
    const records = new DeviceRecords();
    records.add([pointer, service, ipv4], 'eth0');
    for (let index = 0; index < 20_000; index++) {
      const name = `x${index}._ssh._tcp.local`;
      const target = `x${index}.local`;
      records.add([{ ...pointer, data: name }], 'eth0');
      records.add(
        [
          { ...service, name, data: { target, port: 22222 } },
          { ...ipv4, name: target },
        ],
        'eth0',
      );
      records.add([{ ...ipv4, name: host, data: `10.1.${index >> 8}.${index & 255}` }], 'eth0');
    }
    assert.ok(records.devices().length <= 4000);
    assert.ok(records.addressesOf(host).length <= 16 && records.addressesOf(host).includes('192.168.1.20'));
    assert.ok(records.missing().length <= 202);
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
    const desk: MulticastRecord = { ...service, data: { target: host, port: 22 } };
    records.add([{ ...pointer, name: '_ssh._tcp.local' }, desk, ipv4], 'eth0');
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
