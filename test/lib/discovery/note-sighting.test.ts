import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KnownDevice } from '../../../src/lib/discovery/known-device.js';
import { noteFlashed, noteSighting, type Sighting } from '../../../src/lib/discovery/note-sighting.js';

const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
const otherUuid = 'aaaaaaa14d6bb1ee1ed1eb7a8e05ce0d';
const key = `SHA256:${'A'.repeat(43)}`;
const otherKey = `SHA256:${'B'.repeat(43)}`;

/** The inventory after these sightings, a minute apart. */
function after(...sightings: Sighting[]): readonly KnownDevice[] {
  let devices: readonly KnownDevice[] = [];
  for (const [minute, sighting] of sightings.entries()) devices = noteSighting(devices, sighting, { at: time(minute) });
  return devices;
}

const time = (minute: number) => `2026-01-01T00:${String(minute).padStart(2, '0')}:00.000Z`;

const summary = (devices: readonly KnownDevice[]) =>
  devices.map(({ uuid: id, hostname, addresses }) => [id?.slice(0, 7), hostname, ...addresses]);

describe('noteSighting', () => {
  it('keeps what was learned before and takes over what is new', () => {
    const [device] = after(
      { hostname: 'Kiosk.local', addresses: ['10.0.0.2'], hostKey: key, deviceType: 'raspberrypi4-64' },
      { hostname: 'kiosk', addresses: ['10.0.0.3', 'fe80::1%eth0'] },
    );
    assert.deepEqual(
      [device?.hostname, device?.addresses, device?.hostKey, device?.deviceType, device?.seenAt],
      ['kiosk', ['10.0.0.3', 'fe80::1%eth0'], key, 'raspberrypi4-64', time(1)],
    );
  });

  it('believes no more that a system has the engine it had when it has another host key', () => {
    const [device] = after({ uuid, hostKey: key, engineId: 'A' }, { uuid, hostKey: otherKey });
    assert.deepEqual([device?.hostKey, device?.engineId], [otherKey, null]);
    const [same] = after({ uuid, hostKey: key, engineId: 'A' }, { uuid, hostKey: key });
    assert.equal(same?.engineId, 'A');
  });

  it('knows a device by its UUID whatever it calls itself', () => {
    const devices = after({ uuid, hostname: 'kiosk', addresses: ['10.0.0.2'] }, { uuid, hostname: 'lobby' });
    assert.deepEqual(summary(devices), [['63ec46c', 'lobby', '10.0.0.2']]);
  });

  it('knows a device by its own host name, which is its short UUID, also once it was given another one', () => {
    assert.equal(after({ hostname: '63ec46c.local' }, { uuid, hostname: 'kiosk' }).length, 1);
    assert.equal(after({ uuid, hostname: 'kiosk' }, { hostname: '63ec46c.local' }).length, 1);
  });

  it('knows a device by its host key or engine when it has a new name', () => {
    assert.deepEqual(summary(after({ hostname: 'a', hostKey: key }, { hostname: 'b', hostKey: key })), [
      [undefined, 'b'],
    ]);
    assert.deepEqual(summary(after({ hostname: 'a', engineId: 'X' }, { hostname: 'b', engineId: 'X' })), [
      [undefined, 'b'],
    ]);
  });

  it('keeps devices of the same name apart by host key', () => {
    const devices = after(
      { hostname: 'balena', addresses: ['10.0.0.2'], hostKey: key },
      { hostname: 'balena', addresses: ['10.1.0.2'], hostKey: otherKey },
      { hostname: 'balena', addresses: ['10.0.0.9'], hostKey: key },
    );
    assert.deepEqual(summary(devices), [
      [undefined, 'balena', '10.0.0.9'],
      [undefined, 'balena', '10.1.0.2'],
    ]);
  });

  it('leaves devices of the same name alone when nothing tells which of them was seen', () => {
    const both = after(
      { hostname: 'balena', addresses: ['10.0.0.2'], hostKey: key },
      { hostname: 'balena', addresses: ['10.1.0.2'], hostKey: otherKey },
    );
    assert.equal(noteSighting(both, { hostname: 'balena', addresses: ['10.2.0.2'] }, { at: time(9) }), both);
    const seen = noteSighting(both, { hostname: 'balena', addresses: ['10.0.0.2'] }, { at: time(9) });
    assert.deepEqual([seen[0]?.hostKey, seen[0]?.seenAt, seen.length], [key, time(9), 2]);
  });

  it('makes one of what was known under a UUID and under a name, with all aliases', () => {
    const devices = after({ hostname: 'kiosk', hostKey: key }, { uuid, addresses: ['10.0.0.2'] }).map(
      (device, index) => ({
        ...device,
        aliases: [`alias-${index}`],
      }),
    );
    const [device, ...others] = noteSighting(devices, { uuid, hostname: 'kiosk', hostKey: key }, { at: time(5) });
    assert.deepEqual([device?.uuid, device?.hostname, device?.aliases], [uuid, 'kiosk', ['alias-0', 'alias-1']]);
    assert.deepEqual(others, []);
  });

  it('takes another device of the same name at the same address for replaced', () => {
    const devices = after(
      { uuid, hostname: 'kiosk', addresses: ['10.0.0.2'] },
      { uuid: otherUuid, hostname: 'kiosk', addresses: ['10.0.0.2'] },
    );
    assert.deepEqual(summary(devices), [
      ['aaaaaaa', 'kiosk', '10.0.0.2'],
      ['63ec46c', null],
    ]);
  });
});

describe('noteFlashed', () => {
  it('expects a new host key of a card with a UUID, and keeps its aliases', () => {
    const known = after({ uuid, hostname: 'kiosk', hostKey: key }).map((device) => ({ ...device, aliases: ['bench'] }));
    const [device, ...others] = noteFlashed(known, { uuid, hostname: 'lobby' }, { at: time(3) });
    assert.deepEqual(
      [device?.uuid, device?.hostname, device?.hostKey, device?.aliases, device?.flashedAt, others.length],
      [uuid, 'lobby', null, ['bench'], time(3), 0],
    );
  });

  it('takes a host name from who had it, whose card may have been the one', () => {
    const devices = noteFlashed(after({ uuid, hostname: 'kiosk' }), { hostname: 'kiosk' }, { at: time(3) });
    assert.deepEqual(summary(devices), [
      [undefined, 'kiosk'],
      ['63ec46c', null],
    ]);
    assert.equal(noteFlashed(after({ hostname: 'kiosk' }), { hostname: 'kiosk' }, { at: time(3) }).length, 1);
  });
});
