import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Device } from '../../../src/lib/device/device.js';
import { EngineLink } from '../../../src/lib/device/engine-link.js';

function devices() {
  const opened: Device[] = [];
  const closed: Device[] = [];
  const open = async () => {
    await Promise.resolve();
    const unused = () => Promise.reject(new Error('nobody asks for it'));
    const device: Device = {
      name: 'crane',
      address: '127.0.0.1',
      via: 'local',
      engine: unused,
      supervisor: () => Promise.resolve(undefined),
      sshStream: unused,
      rememberHostname: () => Promise.resolve(),
      isThere: () => Promise.resolve(true),
      ssh: unused,
      close: () => {
        closed.push(device);
        return Promise.resolve();
      },
    };
    opened.push(device);
    return device;
  };
  return { opened, closed, link: new EngineLink(open) };
}

it('opens a device once for all who ask at a time', async () => {
  const { opened, closed, link } = devices();
  const [one, other] = await Promise.all([link.device(), link.device()]);
  assert.equal(one, other);
  await link.drop();
  assert.deepEqual(closed, opened);
});

it('leaves open what was opened anew after the loss that is told of', async () => {
  const { opened, closed, link } = devices();
  const lost = await link.device();
  await Promise.all([link.drop(lost), link.drop(lost)]);
  const again = await link.device();
  await link.drop(lost);
  assert.equal(await link.device(), again);
  assert.deepEqual(closed, [lost]);
  assert.equal(opened.length, 2);
});
