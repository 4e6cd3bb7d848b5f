import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { davit } from '../support/davit.js';
import { partitionContent } from '../support/disk-content.js';
import { checked, fillFile } from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const packers = {
  'xz of several blocks': 'xz -0 --block-size=8MiB',
  'xz of one block': 'xz -0',
  zstd: 'zstd -q -1',
} as const;

for (const [format, packer] of Object.entries(packers)) {
  for (const from of ['a file', 'standard input'] as const) {
    test(`flashes ${format} from ${from} where no program for it is installed`, async (t) => {
      const folder = await temporaryFolder(t);
      const image = await makeOsImage(path.join(folder, 'image.img'), { table: 'mbr' });
      const packed = `${image.path}.packed`;
      await checked(['sh', '-c', `${packer} -c ${image.path} >${packed}`]);
      const card = path.join(folder, 'card');
      await fillFile(card, image.size, 0xaa);
      const words = ['flash', from === 'a file' ? packed : '-', '--drive', card, '--yes'];
      const { exitCode, stderr } = await davit(words, {
        environment: { PATH: '/nonexistent' },
        wrapper: from === 'a file' ? [] : ['/bin/sh', '-c', `exec "$@" <${packed}`, 'sh'],
      });
      assert.equal(exitCode, 0, stderr);
      for (const partition of image.partitions.slice(0, 2)) {
        assert.deepEqual(await partitionContent(card, partition), await partitionContent(image.path, partition));
      }
    });
  }
}
