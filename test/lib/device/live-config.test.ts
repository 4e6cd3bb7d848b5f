import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { describe, it, type TestContext } from 'node:test';
import { changeLiveConfig, readLiveConfig } from '../../../src/lib/device/live-config.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { rounds } from '../../support/campaign.js';
import { openCountedLink } from '../../support/counted-link.js';
import { type LiveDevice, startLiveDevice } from '../../support/live-device.js';
import { seededRandom } from '../../support/seeded-random.js';
import { sshServerSkipReason } from '../../support/ssh-server.js';

const old = '{\n  "deviceType": "intel-nuc",\n  "hostname": "crane",\n  "serial": 1.50\n}\n';
const configFile = '/mnt/boot/config.json';

/** A device as these functions see it, and its connection. */
async function deviceOf(t: TestContext, live: LiveDevice) {
  const connection = await live.connect();
  return { name: 'crane', ssh: () => Promise.resolve(connection) };
}

describe('changeLiveConfig', { skip: sshServerSkipReason() }, () => {
  it('changes one value and leaves the rest as it is written, with the Supervisor stopped meanwhile', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': old } });
    const device = await deviceOf(t, live);
    const changes = await changeLiveConfig(device, (config) => ({ ...config, hostname: 'heron' }));
    assert.deepEqual(changes, [{ key: 'hostname', before: 'crane', after: 'heron' }]);
    assert.equal(await live.read(configFile), old.replace('crane', 'heron'));
    assert.deepEqual(await live.unitCalls(), ['stop balena-supervisor', 'start balena-supervisor']);
  });

  it('leaves the Supervisor alone where it does not keep the key, and where nothing changes', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': old } });
    const device = await deviceOf(t, live);
    assert.deepEqual(await changeLiveConfig(device, (config) => ({ ...config })), []);
    await changeLiveConfig(device, (config) => ({ ...config, country: 'DE' }));
    assert.deepEqual(await live.unitCalls(), []);
  });

  it('does not write over what somebody else has changed meanwhile', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': old } });
    const device = await deviceOf(t, live);
    const connection = await device.ssh();
    let reads = 0;
    const ssh = async () => {
      // The first connection reads, the second one writes.
      if (++reads === 2) await writeFile(live.file(configFile), old.replace('1.50', '2.50'));
      return connection;
    };
    await changeLiveConfig({ name: 'crane', ssh }, (config) => ({ ...config, hostname: 'heron' }));
    assert.equal(await live.read(configFile), old.replace('1.50', '2.50').replace('crane', 'heron'));
  });

  it('leaves the old file or the new one wherever the link is cut, and tells which', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': old } });
    const link = await openCountedLink(live.server.port);
    t.after(() => link.close());
    const seed = seededRandom(3);
    const written = old.replace('crane', 'heron');
    for (let round = 0; round < rounds(6, 100); round++) {
      await live.write(configFile, old);
      link.cutAfter(Infinity);
      let connections = 0;
      const ssh = async () => {
        const connection = await live.connect(link.port);
        // The second one writes: its script and the new file are some 3000 bytes.
        if (++connections === 2) link.cutAfter(seed.below(3500));
        return connection;
      };
      const changing = changeLiveConfig({ name: 'crane', ssh }, (config) => ({ ...config, hostname: 'heron' }));
      const isDone = await changing.then(
        () => true,
        (error: unknown) => {
          assert.ok(error instanceof Failure && error.kind === 'unreachable', String(error));
          return false;
        },
      );
      const content = await live.read(configFile);
      assert.ok(content === written || (content === old && !isDone), content);
    }
    assert.ok(link.connections() > 2 * rounds(6, 100), 'it was cut and mended');
    const left = await readdir(live.file('/mnt/boot'));
    assert.deepEqual(
      left.filter((name) => name.includes('.davit-')),
      [],
    );
  });

  it('refuses values that the OS does not understand, devices that run something else, and installers', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': old } });
    const bad = changeLiveConfig(await deviceOf(t, live), (config) => ({ ...config, hostname: '-' }));
    await assert.rejects(bad, { code: 'invalid-config' });
    assert.equal(await live.read(configFile), old);
    const other = await startLiveDevice(t, { boot: { readme: 'x' } });
    await assert.rejects(readLiveConfig(await deviceOf(t, other)), { code: 'no-live-config' });
    const flasher = await startLiveDevice(t, { boot: { 'config.json': old, 'balena-image-flasher': '' } });
    await assert.rejects(readLiveConfig(await deviceOf(t, flasher)), { code: 'device-is-flasher' });
  });

  it('shows no secret', async (t) => {
    const live = await startLiveDevice(t, { boot: { 'config.json': old } });
    const device = await deviceOf(t, live);
    const changes = await changeLiveConfig(device, (config) => ({ ...config, apiKey: 'sesame' }));
    assert.doesNotMatch(JSON.stringify(changes), /sesame/);
    assert.match(await live.read(configFile), /sesame/);
  });
});
