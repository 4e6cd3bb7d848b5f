import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { bytesAt, partitionContent } from '../support/disk-content.js';
import { attachLoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

describe('config on a drive', { skip: loopDevicesMissing }, () => {
  it('is read, checked, compared and changed as in an image, and nothing else on the drive changes', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'card'), { table: 'mbr', fat: 32 });
    const card = await attachLoopDevice(t, image.path);
    const { start, size } = image.boot;
    const rest = async () => [
      await bytesAt(card.path, 0, start),
      await bytesAt(card.path, start + size, image.size - start - size),
    ];
    const [before, { files }] = [await rest(), await partitionContent(card.path, image.boot)];
    const words = ['config', 'write', card.path, 'hostname', 'kiosk', '--delete', 'persistentLogging'];
    const asked = await davitJson(words);
    assert.equal(asked.exitCode, 2, 'a drive is changed only after a yes');
    const { exitCode, document, stderr } = await davitJson([...words, '--yes']);
    assert.equal(exitCode, 0, stderr);
    assert.ok(isRecord(document) && document.isWritten === true);
    const read = await davit(['config', 'read', card.path, 'hostname']);
    assert.equal(read.stdout, 'kiosk\n', read.stderr);
    const validated = await davit(['config', 'validate', card.path]);
    assert.equal(validated.exitCode, 0, validated.stderr);
    const input = '{"deviceType": "raspberrypi4-64", "hostname": "kiosk"}';
    const compared = await davit(['config', 'diff', card.path, '-', '--check'], { input });
    assert.equal(compared.exitCode, 0, compared.stdout);
    const after = await partitionContent(card.path, image.boot);
    assert.equal(after.problems, 0);
    assert.deepEqual({ ...after.files, 'config.json': files['config.json'] }, files);
    assert.deepEqual(await rest(), before);
  });
});
