import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { rounds } from '../support/campaign.js';
import { davitJson } from '../support/davit.js';
import { partitionContent } from '../support/disk-content.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

describe('several davits that change one image in place at once', () => {
  it('each change it as a whole or refuse, and none takes back what another has done', async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'device.img'), { dataSize: 12 });
    for (let round = 0; round < rounds(3, 40); round += 1) {
      const names = Array.from({ length: 6 }, (_, index) => `round-${round}-${index}`);
      const results = await Promise.all(
        names.map(async (name) => {
          const words = [
            'os',
            'configure',
            image.path,
            '--in-place',
            '--hostname',
            name,
            '--wifi-ssid',
            name,
            '--wifi-open',
          ];
          const { exitCode, document } = await davitJson(words);
          const code = isRecord(document) && isRecord(document.error) ? document.error.code : undefined;
          assert.ok(exitCode === 0 || code === 'image-in-use' || code === 'image-changed', JSON.stringify(document));
          return { name, isDone: exitCode === 0 };
        }),
      );
      const done = results.filter(({ isDone }) => isDone).map(({ name }) => name);
      assert.ok(done.length > 0, 'one of them gets through');
      assert.equal((await partitionContent(image.path, image.boot)).problems, 0);
      const copy = path.join(folder, 'copy');
      const config: unknown = JSON.parse(String(await readBootFile(image, 'config.json', copy)));
      const network = String(await readBootFile(image, 'system-connections/resin-wifi', copy));
      assert.ok(isRecord(config) && typeof config.hostname === 'string');
      assert.ok(done.includes(config.hostname), `${config.hostname} is in the image`);
      assert.ok(network.includes(`ssid=${config.hostname}\n`), 'its network is that of the same command');
      assert.deepEqual(await readdir(folder), ['device.img'], 'nothing is left beside it');
    }
  });
});
