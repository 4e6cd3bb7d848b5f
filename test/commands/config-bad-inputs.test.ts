import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davitJson } from '../support/davit.js';
import { makeOsImage } from '../support/os-image.js';

const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S me';

/** The config.json of the image: good, with a list and a key of another cloud. */
const config = JSON.stringify({
  ...{ deviceType: 'raspberrypi4-64', developmentMode: true, mine: 5 },
  os: { sshKeys: [sshKey], udevRules: { a: 'x' } },
});

interface BadInput {
  readonly words: readonly string[];
  readonly exitCode: number;
  readonly code: string;
  /** Where the mistakes are; none for one that is not about a place. */
  readonly pointers?: readonly string[];
  readonly input?: string;
}

const invalid = { exitCode: 2, code: 'invalid-config' } as const;
const noPath = { exitCode: 2, code: 'invalid-path' } as const;
const secret = { exitCode: 2, code: 'secret-on-command-line' } as const;

/** What must be refused; IMAGE is a good image, BAD an image whose config.json is no JSON, and X.json is a file with that name. */
const badInputs: readonly BadInput[] = [
  { words: ['IMAGE', 'developmentMode', 'yes'], ...invalid, pointers: ['/developmentMode'] },
  { words: ['IMAGE', 'developmentMode', '1'], ...invalid, pointers: ['/developmentMode'] },
  { words: ['IMAGE', 'developmentMode', 'null'], ...invalid },
  { words: ['IMAGE', 'persistentLogging', 'on'], ...invalid, pointers: ['/persistentLogging'] },
  { words: ['IMAGE', 'hostname', 'two.labels'], ...invalid, pointers: ['/hostname'] },
  { words: ['IMAGE', 'hostname', ''], ...invalid, pointers: ['/hostname'] },
  { words: ['IMAGE', 'hostname', 'x'.repeat(64)], ...invalid, pointers: ['/hostname'] },
  { words: ['IMAGE', 'country', 'Germany'], ...invalid, pointers: ['/country'] },
  { words: ['IMAGE', 'listenPort', '65536'], ...invalid, pointers: ['/listenPort'] },
  { words: ['IMAGE', 'listenPort', 'http'], ...invalid, pointers: ['/listenPort'] },
  { words: ['IMAGE', 'listenPort', '"48484"'], ...invalid, pointers: ['/listenPort'] },
  { words: ['IMAGE', 'applicationId', '12345678901234567890'], ...invalid },
  { words: ['IMAGE', 'uuid', 'ABC'], ...invalid, pointers: ['/uuid'] },
  { words: ['IMAGE', 'apiEndpoint', 'api.balena-cloud.com'], ...invalid, pointers: ['/apiEndpoint'] },
  { words: ['IMAGE', 'appUpdatePollInterval', '10'], ...invalid, pointers: ['/appUpdatePollInterval'] },
  { words: ['IMAGE', 'dnsServers', 'dns.example.com'], ...invalid, pointers: ['/dnsServers'] },
  { words: ['IMAGE', 'os.power.mode', 'full'], ...invalid, pointers: ['/os/power/mode'] },
  { words: ['IMAGE', 'os.sshKeys.0', 'ssh-ed25519 AAAA'], ...invalid, pointers: ['/os/sshKeys/0'] },
  { words: ['IMAGE', 'os.sshKeys', sshKey], ...invalid, pointers: ['/os/sshKeys'] },
  { words: ['IMAGE', 'os.sshKeys', '[]'], ...invalid, pointers: ['/os/sshKeys'] },
  { words: ['IMAGE', '--delete', 'os.sshKeys.0'], ...invalid, pointers: ['/os/sshKeys'] },
  { words: ['IMAGE', 'os.udevRules', '[]'], ...invalid, pointers: ['/os/udevRules'] },
  { words: ['IMAGE', '/os/udevRules/a~1b', 'x'], ...invalid, pointers: ['/os/udevRules/a~1b'] },
  { words: ['IMAGE', 'os.network', 'true'], ...invalid, pointers: ['/os/network'] },
  { words: ['IMAGE', 'os', 'text'], ...invalid, pointers: ['/os'] },
  {
    words: ['IMAGE', 'hostname', 'a b', 'country', 'de', 'os.fan.profile', 'loud'],
    ...invalid,
    pointers: ['/hostname', '/country', '/os/fan/profile'],
  },
  { words: ['IMAGE', 'os.sshKeys.5', sshKey], ...noPath },
  { words: ['IMAGE', 'os.sshKeys.x', sshKey], ...noPath },
  { words: ['IMAGE', 'mine.deeper', '1'], ...noPath },
  { words: ['IMAGE', '/os/+', '1'], ...noPath },
  { words: ['IMAGE', 'os..sshKeys', '1'], ...noPath },
  { words: ['IMAGE', '', '1'], ...noPath },
  { words: ['IMAGE', '--delete', '.'], ...noPath },
  { words: ['IMAGE', 'apiKey', 's3cret'], ...secret },
  { words: ['IMAGE', 'deviceApiKeys.api.example.com', 's3cret'], ...secret },
  { words: ['IMAGE', 'deviceApiKeys', '{"a": "s3cret"}'], ...secret },
  { words: ['IMAGE', 'proxy', '{"password": "s3cret"}'], ...secret },
  { words: ['IMAGE', 'wifiKey', 's3cret'], ...secret },
  { words: ['IMAGE', 'apiKey'], exitCode: 2, code: 'answer-needed' },
  { words: ['IMAGE', 'hostname'], exitCode: 2, code: 'usage' },
  { words: ['IMAGE', 'hostname', 'x', 'country'], exitCode: 2, code: 'usage' },
  { words: ['IMAGE', 'hostname', 'x', '--value-file', 'good.json'], exitCode: 2, code: 'usage' },
  { words: ['IMAGE', 'hostname', 'x', '--hostnam', 'y'], exitCode: 2, code: 'usage' },
  { words: ['IMAGE', 'hostname', 'x', 'hostname', 'y'], exitCode: 2, code: 'same-path-twice' },
  { words: ['IMAGE', 'hostname', 'x', '--delete', '/hostname'], exitCode: 2, code: 'same-path-twice' },
  { words: ['IMAGE', 'apiKey', '-', '--from', '-'], exitCode: 2, code: 'standard-input-twice' },
  { words: ['IMAGE'], exitCode: 2, code: 'nothing-to-configure' },
  { words: ['IMAGE', 'apiKey', '--value-file', 'missing.json'], exitCode: 3, code: 'enoent' },
  { words: ['IMAGE', 'balenaRootCA', '--value-file', 'binary.json'], ...invalid },
  { words: ['IMAGE', '--from', 'missing.json'], exitCode: 3, code: 'enoent' },
  { words: ['IMAGE', '--from', 'broken.json'], exitCode: 2, code: 'invalid-config-file' },
  { words: ['IMAGE', '--from', 'list.json'], exitCode: 2, code: 'invalid-config-file' },
  { words: ['IMAGE', '--from', 'bad.json'], ...invalid, pointers: ['/hostname', '/listenPort'] },
  { words: ['IMAGE', '--from', 'twice.json'], ...invalid, pointers: ['/hostname'] },
  { words: ['IMAGE', '--from', 'large.json'], ...invalid, pointers: ['/mine'] },
  { words: ['IMAGE', '--from', '-'], input: '{"country": "de"}', ...invalid, pointers: ['/country'] },
  { words: ['IMAGE', 'hostname', '-'], input: 'two\nlines\n', ...invalid, pointers: ['/hostname'] },
  { words: ['BAD', 'hostname', 'x'], exitCode: 5, code: 'invalid-json' },
  { words: ['BAD', '--delete', 'hostname'], exitCode: 5, code: 'invalid-json' },
  { words: ['broken.json', 'hostname', 'x'], exitCode: 5, code: 'invalid-json' },
  { words: ['good.json', 'hostname', 'a b'], ...invalid, pointers: ['/hostname'] },
  { words: ['missing.img', 'hostname', 'x'], exitCode: 3, code: 'enoent' },
  { words: ['IMAGE', 'hostname', 'x', '--output', 'good.json'], exitCode: 4, code: 'output-exists' },
];

const files: Readonly<Record<string, string | Buffer>> = {
  'good.json': '{"deviceType": "raspberrypi4-64"}',
  'broken.json': '{"hostname": "x",}',
  'list.json': '["hostname"]',
  'bad.json': '{\n "hostname": "a.b",\n "listenPort": "5"\n}',
  'twice.json': '{"hostname": "a", "hostname": "b"}',
  'large.json': '{"mine": 9007199254740993}',
  'binary.json': Buffer.from([0x30, 0x82, 0xff, 0x00]),
};

describe('config write refuses', () => {
  let folder = '';
  const place = (name: string) => path.join(folder, name);
  const list = async () =>
    Promise.all(
      (await readdir(folder)).sort().map(async (name) => {
        const { ino, size, mtimeMs } = await stat(place(name));
        return [name, ino, size, mtimeMs];
      }),
    );
  const digest = async (name: string) =>
    createHash('sha256')
      .update(await readFile(place(name)))
      .digest('hex');
  let untouched: readonly string[] = [];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'davit-test-'));
    await makeOsImage(place('IMAGE'), { config });
    await makeOsImage(place('BAD'), { config: '{"hostname": "x",}' });
    for (const [name, content] of Object.entries(files)) await writeFile(place(name), content);
    untouched = [await digest('IMAGE'), await digest('BAD')];
  });

  after(() => rm(folder, { recursive: true, force: true }));

  for (const { words, exitCode, code, pointers, input } of badInputs) {
    it(`${words.join(' ').slice(0, 90)} with ${code}`, async () => {
      const before = await list();
      const options = { cwd: folder, ...(input === undefined ? {} : { input }) };
      const result = await davitJson(['config', 'write', ...words], options);
      assert.ok(isRecord(result.document) && isRecord(result.document.error), JSON.stringify(result));
      const { error } = result.document;
      assert.equal(error.code, code, JSON.stringify(error));
      assert.equal(result.exitCode, exitCode);
      assert.ok(typeof error.hint === 'string' && error.hint.length > 10, 'a failure says what to do');
      const problems = Array.isArray(error.problems) ? (error.problems as Record<string, unknown>[]) : [];
      assert.deepEqual(problems.map(({ pointer }) => pointer).sort(), [...(pointers ?? [])].sort());
      assert.doesNotMatch(JSON.stringify(result), /s3cret/);
      assert.deepEqual(await list(), before, 'nothing is written');
    });
  }

  it('all of that without changing a byte of an image', async () => {
    assert.deepEqual([await digest('IMAGE'), await digest('BAD')], untouched);
  });
});
