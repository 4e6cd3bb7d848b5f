import { fatNameProblem } from '../image/fat-name.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { checkConfig } from './config-check.js';
import { configSchema } from './config-schema.js';
import { countryShape, isDnsServer, isHost, isHostname, ruleName } from './config-values.js';
import { configTxtLineShape } from './config-txt.js';
import { enterpriseShape } from './network-enterprise.js';
import { ipv4Shape, ipv6Shape } from './network-ip.js';
import { networkDataShape, networkNameShape } from './network.js';
import { proxyShape } from './proxy.js';
import { about, choice, either, list, mapOf, object, type Shape, text, truth, type ValueOf, where } from './shape.js';
import { withUnitFields } from './unit-fields.js';

const path = text('the path of a file', (value) => value !== '' && !value.includes('\0'));
// CONFIG~1.JSO is config.json too.
const bootPath = text('a path inside of the boot partition, of names that FAT can have, without ~1', (value) =>
  value.split('/').every((part) => fatNameProblem(part) === undefined && !/~\d/.test(part)),
);

const configShape: Shape<JsonObject> = {
  schema: withNulls(configSchema()),
  problems: (value, at) =>
    isJsonObject(value)
      ? checkConfig(value).map((problem) => ({ ...problem, path: [...at, ...problem.path] }))
      : [{ path: at, message: 'must be an object' }],
};

/** What a profile may say about a boot partition. */
export const profileShape = where(
  object(
    {},
    {
      mode: about(
        'development opens the engine port and root login; production does not.',
        choice('development', 'production'),
      ),
      hostname: about(
        'Name of the device on the network; {serial}, {index} and other fields in braces stand for the values of a unit of a batch.',
        text('one host name label: letters, digits and inner hyphens, 63 at most', (value) =>
          isHostname(withUnitFields(value, () => 'x')),
        ),
      ),
      sshKeys: about(
        'Public keys that may log in as root: the keys themselves, files with them, or github:<user> or gitlab:<user>.',
        list(text('a public key or the path of a file')),
      ),
      persistentLogging: about('Keep logs over restarts.', truth),
      dns: about(
        'DNS servers in addition to those of the network; none leaves out 8.8.8.8 too.',
        either(
          'a list of addresses, or none',
          choice('none'),
          list(text('an address', isDnsServer), 'a list of addresses', 1),
        ),
      ),
      ntp: about('Time servers.', list(text('a host name or an address', isHost), 'a list of host names', 1)),
      country: about('Country whose Wi-Fi rules hold.', countryShape),
      networks: about(
        'Networks by name, which is also the name of their file.',
        mapOf(networkDataShape, networkNameShape),
      ),
      connectionFiles: about('Ready NetworkManager key files, taken as they are.', list(path)),
      proxy: about('Proxy that the device reaches the internet through.', proxyShape),
      splash: about('PNG image to show while the device starts.', path),
      dispatcherScripts: about(
        'Scripts that NetworkManager runs when networks come and go. Since balenaOS 3.1.3.',
        list(path),
      ),
      udevRules: about('Texts of udev rules by name.', mapOf(text('the text of a rules file'), ruleName)),
      configTxt: about("Lines to set in a Raspberry Pi's config.txt.", list(configTxtLineShape)),
      bootFiles: about(
        'More files of the boot partition: where they go, and which file goes there.',
        mapOf(path, bootPath),
      ),
      config: about('Keys of config.json; null removes one.', configShape),
    },
  ),
  (profile, at) => [
    ...Object.entries(configTwins).flatMap(([key, twin]) =>
      Object.hasOwn(profile, key) && Object.hasOwn(profile.config ?? {}, twin)
        ? [{ path: [...at, 'config', twin], message: `is said twice: here and as ${key}` }]
        : [],
    ),
    ...Object.keys(profile.bootFiles ?? {}).flatMap((target) => {
      const better = betterPlace(target);
      return better === undefined
        ? []
        : [{ path: [...at, 'bootFiles', target], message: `must not be there: use ${better}` }];
    }),
  ],
);

/** Lets null stand in place of each key, as it removes one. */
function withNulls(schema: JsonObject): JsonObject {
  const orNull = (value: Json): Json => {
    if (!isJsonObject(value)) return value;
    const { description, ...own } = withNulls(value);
    return { ...(description === undefined ? {} : { description }), anyOf: [own, { type: 'null' }] };
  };
  const { properties, additionalProperties } = schema;
  return {
    ...schema,
    ...(isJsonObject(properties)
      ? { properties: Object.fromEntries(Object.entries(properties).map(([key, one]) => [key, orNull(one)])) }
      : {}),
    ...(isJsonObject(additionalProperties) ? { additionalProperties: orNull(additionalProperties) } : {}),
  };
}

/** A profile whose references are resolved. */
export type Profile = ValueOf<typeof profileShape>;

/** Keys of a profile and the keys of config.json that they set. */
const configTwins: Readonly<Record<string, string>> = {
  mode: 'developmentMode',
  hostname: 'hostname',
  persistentLogging: 'persistentLogging',
  dns: 'dnsServers',
  ntp: 'ntpServers',
  country: 'country',
};

function betterPlace(target: string): string | undefined {
  const lower = target.toLowerCase();
  if (lower === 'config.json') return 'config';
  if (lower === 'config.txt') return 'configTxt';
  const [folder] = lower.split('/');
  const places: Readonly<Record<string, string>> = {
    'system-connections': 'networks or connectionFiles',
    'system-proxy': 'proxy',
    splash: 'splash',
    'dispatcher.d': 'dispatcherScripts',
  };
  return lower.includes('/') ? places[folder ?? ''] : undefined;
}

/** Parts of the schema that stand in many places. */
const sharedParts: Readonly<Record<string, JsonObject>> = {
  ipv4: ipv4Shape.schema,
  ipv6: ipv6Shape.schema,
  enterprise: enterpriseShape.schema,
};

/** JSON Schema of a profile file, in which references may stand for text. */
export function profileSchema(): JsonObject {
  const parts = Object.entries(sharedParts).map(([name, schema]) => [name, withReferences(schema, {})] as const);
  const { type, properties = {}, additionalProperties = false } = profileShape.schema;
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'davit profile',
    description: 'What goes into the boot partition of a balenaOS image.',
    ...(type === undefined ? {} : { type }),
    properties: withReferences(properties, sharedParts),
    additionalProperties,
    $defs: {
      reference: {
        description: 'Text from elsewhere.',
        oneOf: ['env', 'file', 'prompt'].map((kind) => ({
          type: 'object',
          properties: { [kind]: { type: 'string' } },
          required: [kind],
          additionalProperties: false,
        })),
      },
      variable: { description: 'Text with an environment variable in it.', type: 'string', pattern: '\\$\\{' },
      ...Object.fromEntries(parts),
    },
  };
}

/** Lets references stand where text may, and replaces shared parts by their names. */
function withReferences(schema: Json, shared: typeof sharedParts): Json {
  if (isList(schema)) return schema.map((one) => withReferences(one, shared));
  if (!isJsonObject(schema)) return schema;
  const { description, ...own } = schema;
  const described = description === undefined ? {} : { description };
  const text = JSON.stringify(own);
  const name = Object.keys(shared).find((one) => JSON.stringify(shared[one]) === text);
  if (name !== undefined) return { ...described, $ref: `#/$defs/${name}` };
  if (schema.type === 'string' || isList(schema.enum)) {
    return { ...described, anyOf: [own, { $ref: '#/$defs/variable' }, { $ref: '#/$defs/reference' }] };
  }
  // The names of keys are no values: no reference can stand for one.
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'propertyNames' ? value : withReferences(value, shared),
    ]),
  );
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
