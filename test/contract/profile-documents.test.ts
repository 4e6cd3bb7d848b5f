import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { configSchemaDocument } from '../../src/lib/boot-config/config-schema.js';
import { networkDataShape } from '../../src/lib/boot-config/network.js';
import { readProfile } from '../../src/lib/boot-config/profile.js';
import { profileSchema } from '../../src/lib/boot-config/profile-shape.js';
import { proxyShape } from '../../src/lib/boot-config/proxy.js';
import { isJsonObject, type Json, type JsonObject } from '../../src/lib/platform/json.js';
import { projectRoot } from '../support/davit.js';
import { makePng } from '../support/png.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const documents: Readonly<Record<string, () => JsonObject>> = {
  'profile.schema.json': profileSchema,
  'config.schema.json': configSchemaDocument,
};

/** The examples of docs/profile.md that are profiles. */
async function examples(): Promise<string[]> {
  const text = await readFile(path.join(projectRoot, 'docs', 'profile.md'), 'utf8');
  return [...text.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, example = '']) => example);
}

describe('the JSON Schemas in docs', () => {
  for (const [name, make] of Object.entries(documents)) {
    it(`hold what the code checks: ${name}`, async () => {
      const file = path.join(projectRoot, 'docs', name);
      // DAVIT_WRITE_SCHEMAS=1 writes them anew.
      if (process.env.DAVIT_WRITE_SCHEMAS === '1') await writeFile(file, JSON.stringify(make(), null, 2));
      assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), JSON.parse(JSON.stringify(make())));
    });
  }

  it('approve of all examples', async () => {
    for (const example of await examples()) {
      assert.ok(allows(profileSchema(), parse(example, { merge: true }) as Json), example);
    }
  });

  it('approve of null for keys that are removed, and for nothing else', () => {
    const config = { hostname: null, developmentMode: null, os: { udevRules: { old: null }, network: null } };
    assert.ok(allows(profileSchema(), { config }));
    assert.ok(!allows(profileSchema(), { hostname: null }));
    assert.ok(!allows(profileSchema(), { udevRules: { old: null } }));
  });

  it('do not approve of mistakes', () => {
    const bad: readonly Json[] = [
      { mod: 'production' },
      { mode: 'develop' },
      { hostname: 5 },
      { networks: { a: { type: 'wify' } } },
      { networks: { a: { type: 'wifi', sid: 'x' } } },
      { networks: { 'a/b': { type: 'ethernet' } } },
      { config: { listenPort: 'x' } },
      { splash: { url: 'x' } },
      [],
    ];
    for (const value of bad) assert.ok(!allows(profileSchema(), value), JSON.stringify(value));
  });
});

describe('docs/profile.md', () => {
  it('has examples that work', async (t) => {
    const folder = await temporaryFolder(t);
    const run = (program: string, ...words: string[]) => {
      const { status, stderr } = spawnSync(program, words, { cwd: folder, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    };
    run('ssh-keygen', '-q', '-N', '', '-t', 'ed25519', '-f', 'id');
    const certificate = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=a',
    ];
    run('openssl', ...certificate, '-keyout', 'client.key', '-out', 'client.pem');
    run('cp', 'client.pem', 'ca.pem');
    const wireguardKey = Buffer.alloc(32, 5).toString('base64');
    await writeFile(path.join(folder, 'office.key'), 'correct horse\n', { mode: 0o600 });
    await writeFile(path.join(folder, 'wg.key'), `${wireguardKey}\n`, { mode: 0o600 });
    await writeFile(path.join(folder, 'logo.png'), makePng());
    Object.assign(process.env, {
      ...{ OFFICE_KEY: 'correct horse', EDUROAM_USER: 'x', EDUROAM_PASSWORD: 'x', HOME_KEY: wireguardKey },
      ...{ PROXY_PASSWORD: 'x', PROVISIONING_KEY: 'x' },
    });
    const all = await examples();
    assert.ok(all.length > 10);
    for (const [index, example] of all.entries()) {
      const file = path.join(folder, `${index}.yaml`);
      await writeFile(file, example, { mode: 0o600 });
      const profile = await readProfile(file);
      const request = (await profile.ask?.(() => Promise.resolve('an answer'))) ?? profile.request;
      assert.deepEqual(request.warnings ?? [], [], example);
    }
  });

  it('names every key of profiles and of networks', async () => {
    const text = await readFile(path.join(projectRoot, 'docs', 'profile.md'), 'utf8');
    const keysIn = (schema: Json | undefined): string[] => {
      if (!isJsonObject(schema)) return [];
      const own = isJsonObject(schema.properties) ? schema.properties : {};
      const parts = [...Object.values(own), ...listOf(schema.oneOf), ...listOf(schema.anyOf), schema.items];
      return [...Object.keys(own), ...parts.flatMap(keysIn)];
    };
    const { properties } = profileSchema();
    const profileKeys = isJsonObject(properties) ? Object.keys(properties) : [];
    const keys = [...profileKeys, ...keysIn(networkDataShape.schema), ...keysIn(proxyShape.schema)];
    assert.deepEqual(
      keys.filter((key) => !text.includes(`\`${key}\``)),
      [],
    );
  });
});

/** Whether a schema allows a value: as much of JSON Schema as davit's schemas use. */
function allows(schema: Json | undefined, value: Json, root: Json | undefined = schema): boolean {
  if (!isJsonObject(schema)) return true;
  const is = (one: Json | undefined, other: Json) => allows(one, other, root);
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.replace('#/$defs/', '');
    return isJsonObject(root) && isJsonObject(root.$defs) && is(root.$defs[name], value);
  }
  const list = (key: string) => (key in schema ? listOf(schema[key]) : undefined);
  const types: Readonly<Record<string, boolean>> = {
    string: typeof value === 'string',
    boolean: typeof value === 'boolean',
    integer: Number.isInteger(value),
    array: Array.isArray(value),
    null: value === null,
    object: isJsonObject(value) && !Array.isArray(value),
  };
  if (typeof schema.type === 'string' && types[schema.type] !== true) return false;
  if ('const' in schema && schema.const !== value) return false;
  if (list('enum')?.includes(value) === false) return false;
  if (typeof schema.pattern === 'string' && typeof value === 'string' && !new RegExp(schema.pattern, 'u').test(value))
    return false;
  if (typeof schema.minimum === 'number' && typeof value === 'number' && value < schema.minimum) return false;
  if (list('anyOf')?.some((one) => is(one, value)) === false) return false;
  if (list('oneOf') !== undefined && list('oneOf')?.filter((one) => is(one, value)).length !== 1) return false;
  if (Array.isArray(value)) return value.every((one: Json) => is(schema.items, one));
  if (!isJsonObject(value)) return true;
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  if (list('required')?.every((key) => typeof key === 'string' && Object.hasOwn(value, key)) === false) return false;
  return Object.entries(value).every(
    ([key, one]) =>
      is(schema.propertyNames, key) &&
      (Object.hasOwn(properties, key)
        ? is(properties[key], one)
        : schema.additionalProperties !== false && is(schema.additionalProperties, one)),
  );
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}
