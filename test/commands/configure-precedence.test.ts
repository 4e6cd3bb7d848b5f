import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { before, after, describe, it } from 'node:test';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { makeOsImage, readBootFile } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** A setting in all places where it can be said, and what config.json has then. */
interface Setting {
  readonly key: string;
  readonly flag: readonly [words: readonly string[], value: unknown];
  readonly environment: readonly [variable: string, text: string, value: unknown];
  readonly profile: readonly [yaml: string, value: unknown];
  readonly image: unknown;
}

const settings: readonly Setting[] = [
  {
    key: 'hostname',
    flag: [['--hostname', 'of-flag'], 'of-flag'],
    environment: ['DAVIT_HOSTNAME', 'of-environment', 'of-environment'],
    profile: ['hostname: of-profile', 'of-profile'],
    image: 'of-image',
  },
  {
    key: 'developmentMode',
    flag: [['--no-dev'], false],
    environment: ['DAVIT_DEV', 'true', true],
    profile: ['mode: production', false],
    image: true,
  },
  {
    key: 'developmentMode',
    flag: [['--dev'], true],
    environment: ['DAVIT_DEV', 'false', false],
    profile: ['mode: development', true],
    image: false,
  },
  {
    key: 'persistentLogging',
    flag: [['--no-persistent-logging'], false],
    environment: ['DAVIT_PERSISTENT_LOGGING', '1', true],
    profile: ['persistentLogging: false', false],
    image: true,
  },
  {
    key: 'persistentLogging',
    flag: [['--persistent-logging'], true],
    environment: ['DAVIT_PERSISTENT_LOGGING', 'no', false],
    profile: ['persistentLogging: true', true],
    image: false,
  },
  {
    key: 'dnsServers',
    flag: [['--dns', 'none'], 'null'],
    environment: ['DAVIT_DNS', '2.2.2.2,3.3.3.3', '2.2.2.2 3.3.3.3'],
    profile: ['dns: [4.4.4.4]', '4.4.4.4'],
    image: '5.5.5.5',
  },
  {
    key: 'ntpServers',
    flag: [['--ntp', 'flag.example'], 'flag.example'],
    environment: ['DAVIT_NTP', 'environment.example', 'environment.example'],
    profile: ['ntp: [profile.example]', 'profile.example'],
    image: 'image.example',
  },
  {
    key: 'country',
    flag: [['--country', 'DE'], 'DE'],
    environment: ['DAVIT_COUNTRY', 'FR', 'FR'],
    profile: ['country: NO', 'NO'],
    image: 'SE',
  },
];

describe('what is said in several places', () => {
  let folder: string;
  const cleanUp: (() => Promise<void>)[] = [];
  before(async () => {
    folder = await temporaryFolder({ after: (clean) => cleanUp.push(clean as () => Promise<void>) });
  });
  after(async () => {
    for (const clean of cleanUp) await clean();
  });

  for (const { key, flag, environment, profile, image } of settings) {
    it(`is taken from the flag, else the environment, else the profile, else the image: ${flag[0].join(' ')}`, async () => {
      const name = `${key}-${String(flag[1])}`;
      const made = await makeOsImage(path.join(folder, `${name}.img`), { config: JSON.stringify({ [key]: image }) });
      const file = path.join(folder, `${name}.yaml`);
      await writeFile(file, `${profile[0]}\n`);
      const output = path.join(folder, `${name}.out.img`);
      const valueAfter = async (words: readonly string[], variables: Readonly<Record<string, string>>) => {
        const { exitCode, stderr } = await davit(
          ['os', 'configure', made.path, '--config', empty, '--output', output, '--force', ...words],
          { environment: variables },
        );
        assert.equal(exitCode, 0, stderr);
        const bootAddress = `${output}@@${made.boot.start}`;
        const config: unknown = JSON.parse(
          String(await readBootFile({ bootAddress }, 'config.json', `${output}.read`)),
        );
        assert.ok(isRecord(config));
        return config[key];
      };
      const empty = path.join(folder, 'empty.json');
      await writeFile(empty, '{}');
      const fromEnvironment = { [environment[0]]: environment[1] };
      const fromProfile = ['--profile', file];
      const cases: readonly (readonly [readonly string[], Readonly<Record<string, string>>, unknown])[] = [
        [[...fromProfile, ...flag[0]], fromEnvironment, flag[1]],
        [fromProfile, fromEnvironment, environment[2]],
        [fromProfile, { [environment[0]]: '' }, profile[1]],
        [[], { DAVIT_PROFILE: file }, profile[1]],
        [[], {}, image],
      ];
      for (const [words, variables, expected] of cases) {
        assert.deepEqual(await valueAfter(words, variables), expected, JSON.stringify([words, variables]));
      }
    });
  }

  it('is taken from --config rather than from the environment, and from its own flag rather than from --config', async () => {
    const image = await makeOsImage(path.join(folder, 'config.img'));
    const file = path.join(folder, 'config.json');
    await writeFile(file, '{"hostname":"of-config","country":"SE"}');
    const { exitCode, document } = await davitJson(
      ['os', 'configure', image.path, '--config', file, '--country', 'DE', '--dry-run'],
      { environment: { DAVIT_HOSTNAME: 'of-environment', DAVIT_COUNTRY: 'FR' } },
    );
    assert.equal(exitCode, 0);
    assert.ok(isRecord(document) && Array.isArray(document.config));
    const values = document.config.map((one: unknown) => isRecord(one) && [one.key, one.after]);
    assert.deepEqual(values, [
      ['hostname', 'of-config'],
      ['country', 'DE'],
    ]);
  });

  for (const value of ['banana', 'on', ' ', '2']) {
    it(`is refused where a variable is to be true or false and is ${JSON.stringify(value)}`, async () => {
      const image = path.join(folder, 'absent.img');
      const environment = { DAVIT_DEV: value };
      const { exitCode, document } = await davitJson(['os', 'configure', image], { environment });
      assert.equal(exitCode, 2);
      assert.match(JSON.stringify(document), /invalid-switch.*DAVIT_DEV is neither true nor false/);
      const overridden = await davitJson(['os', 'configure', image, '--dev'], { environment });
      assert.equal(overridden.exitCode, 3);
    });
  }
});
