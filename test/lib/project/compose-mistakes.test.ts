import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { readProject } from '../../../src/lib/project/project.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Files beside each wrong one. */
const others = {
  'base.yml':
    'services:\n  good: {image: i}\n  bad:\n    image: i\n    nonsense: 1\n  loop: {extends: {file: base.yml, service: loop}}\n',
  'includes-back.yml': 'include: [compose.yaml]\nservices: {x: {image: i}}\n',
  'broken.env': 'A=1\nB="open\n',
  'words.env': 'A=1\nnot a variable = 2\n',
};

/** A service with one more key, at line 4. */
const service = (key: string) => `services:\n  a:\n    image: i\n    ${key}\n`;

/** What is written in compose.yaml, where it is wrong (`line` or `file:line`), and what is said of it. */
const mistakes: readonly (readonly [text: string, place: string, says: RegExp])[] = [
  // The text itself
  ['services:\n  a:\n\timage: i\n', '3', /tab|indentation|valid YAML/],
  ['services:\n  a: {image: i\n', '3', /bracket|valid|indentation/],
  ['services:\n  a: {image: i}\n  a: {image: j}\n', '3', /this name twice/],
  ['services:\n  a: {image: "i}\n', '3', /quotation mark|valid/],
  ['services: {a: {image: i}}\n---\nservices: {}\n', '2', /second document/],
  ['services:\n  a: {image: *none}\n', '2', /\*none, which leads nowhere/],
  ['services:\n  a: &x {image: i, labels: {y: *x}}\n', '2', /stands in/],
  ['services:\n  a:\n    <<: text\n    image: i\n', '3', /<< must be a mapping/],
  [service('labels: !new {}'), '4', /tag that is not known/],
  ['', '1', /must have services/],
  ['- a\n', '1', /must be a mapping with services/],
  ['web:\n  image: i\n', '1', /\/web is not a known key/],
  ['services: {}\n', '1', /must have services/],
  ['services:\n  a:\n', '2', /must be a mapping: nothing stands here/],
  ['services:\n  "a b": {image: i}\n', '2', /name that it cannot have/],
  ['name: My Project\nservices: {a: {image: i}}\n', '1', /\/name must be/],
  // Keys and values
  [service('comand: x'), '4', /\/services\/a\/comand is not a known key: did you mean command\?/],
  [service('image: 5').replace('    image: i\n', ''), '3', /must be the name of an image, in quotes/],
  [service('restart: sometimes'), '4', /restart must be no, always/],
  [service('restart: false'), '4', /restart must be .*in quotes/],
  [service('privileged: maybe'), '4', /must be true or false/],
  [service('mem_limit: lots'), '4', /must be a size/],
  [service('mem_limit: -5'), '4', /must be a size/],
  [service('shm_size: 0.5'), '4', /must be a size/],
  [service('stop_grace_period: 10'), '4', /must be a duration with units/],
  [service('stop_grace_period: 10 minutes'), '4', /must be a duration/],
  [service('cpus: many'), '4', /number of processors/],
  [service('oom_score_adj: 5000'), '4', /from -1000 to 1000/],
  [service('ports: 80'), '4', /must be a list of ports/],
  [service('ports: ["http"]'), '4', /must be a port like/],
  [service('ports: ["70000:80"]'), '4', /must be a port like/],
  [service('ports: ["8000-8001:80-85"]'), '4', /must be a port like/],
  [service('ports: [{published: 80}]'), '4', /must have target/],
  [service('ports: [{target: 80, protocol: http}]'), '4', /must be tcp, udp or sctp/],
  [service('environment: text'), '4', /list of NAME=value/],
  [service('environment: [A=1, {B: 2}]'), '4', /list of NAME=value/],
  [service('environment: {A: {b: c}}'), '4', /\/environment\/A must be text or a number/],
  [service('environment: ["A B=1"]'), '4', /name that it cannot have/],
  [service('labels: [[a]]'), '4', /list of NAME=value/],
  [service('command: {run: x}'), '4', /must be a command/],
  [service('command: echo "x'), '4', /quotation mark that does not close/],
  [service('volumes: [a:b:c:d]'), '4', /too many colons/],
  [service('volumes: [":/x"]'), '4', /both sides of each colon/],
  [service('volumes: [/a:/b:rx]'), '4', /option rx, which is not known/],
  [service('volumes: [{type: bind, target: /x}]'), '4', /must have source/],
  [service('volumes: [{type: disk, target: /x}]'), '4', /must be volume, bind/],
  [service('volumes: [{target: /x}]'), '4', /must have type/],
  [service('healthcheck: {test: [curl, x]}'), '4', /must begin with CMD/],
  [service('healthcheck: {interval: 5}'), '4', /must be a duration/],
  [service('healthcheck: {intervall: 5s}'), '4', /did you mean interval/],
  [service('depends_on: {b: {condition: ready}}'), '4', /service_started, service_healthy/],
  [service('devices: ["/a:/b:rw:x"]'), '4', /must have source/],
  [service('devices: ["/a:/b:xyz"]'), '4', /letters r, w and m/],
  [service('ulimits: {nofile: {soft: 1}}'), '4', /must have hard/],
  [service('secrets: [{target: x}]'), '4', /must have source/],
  [service('develop: {watch: [{path: ., action: copy}]}'), '4', /must be rebuild, restart, sync/],
  [service('develop: {watch: [{path: ., action: sync}]}'), '4', /must have target/],
  [service('build: {contxt: .}'), '4', /did you mean context/],
  [service('build: {dockerfile: x, dockerfile_inline: FROM x}'), '4', /cannot stand beside dockerfile/],
  [service('build: [.]'), '4', /path of a folder, or a mapping/],
  [service('pull_policy: perhaps'), '4', /must be always, never/],
  [service('deploy: {replicas: few}'), '4', /whole number/],
  [service('logging: {options: [a]}'), '4', /\/logging\/options must be a mapping/],
  // What belongs together
  ['services:\n  a:\n    command: x\n', '2', /must have image or build/],
  [service('networks: [back]'), '4', /names the network back, which is not there/],
  [service('volumes: [data:/data]'), '4', /names the volume data, which is not there: declare it below volumes/],
  [service('secrets: [key]'), '4', /names the secret key/],
  [service('configs: [key]'), '4', /names the config key/],
  [service('depends_on: [b]'), '4', /names the service b, which is not there/],
  [service('depends_on: [b]\n  b: {image: i, profiles: [p]}'), '4', /left out: turn on its profile p/],
  [service('depends_on: [b]\n  b: {image: i, depends_on: [a]}'), '5', /leads in a circle: a -> b -> a/],
  [service('depends_on: [a]'), '4', /leads in a circle: a -> a/],
  [service('network_mode: "service:b"'), '4', /names the service b/],
  [service('network_mode: host\n    networks: [default]'), '4', /cannot stand beside networks/],
  [service('tmpfs: /x\n    volumes: [/x]'), '4', /mounts \/x, where a volume is mounted too/],
  [service('container_name: one\n    scale: 2'), '5', /must be 1 beside container_name/],
  ['services: {a: {image: i}}\nsecrets:\n  key: {}\n', '3', /must have file or environment/],
  ['services: {a: {image: i}}\nsecrets:\n  key: {file: x, environment: Y}\n', '3', /only one of file and environment/],
  ['services: {a: {image: i}}\nnetworks:\n  back: {driver: 5}\n', '3', /must be text, in quotes/],
  ['services:\n  a: {image: i, profiles: [p]}\n', '1', /only in profiles: turn on p/],
  // Variables
  [service('labels: {x: "${A"}'), '4', /\$\{ without \}/],
  [service('labels: {x: "${1}"}'), '4', /which is no variable/],
  [service('labels: {x: "${}"}'), '4', /which is no variable/],
  [service('labels: {x: "${A/b/c}"}'), '4', /which is no variable/],
  [
    service('labels: {x: "${MISSING:?ask the boss}"}'),
    '4',
    /needs the variable MISSING, which has no value: ask the boss/,
  ],
  [service('labels: {x: "${EMPTY:?}"}'), '4', /needs the variable EMPTY/],
  [service('labels: {x: "${MISSING?}"}'), '4', /needs the variable MISSING/],
  // Other files
  [service('env_file: none.env'), '4', /names .*none\.env, which is not there/],
  [service('label_file: none.txt'), '4', /names .*none\.txt/],
  [service('env_file: broken.env'), 'broken.env:2', /quotation mark here that does not close/],
  [service('env_file: words.env'), 'words.env:2', /not NAME=value/],
  ['services:\n  a: {extends: {file: none.yml, service: x}}\n', '2', /names .*none\.yml/],
  [
    'services:\n  a: {extends: {file: base.yml, service: x}}\n',
    '2',
    /names the service x of .*base\.yml, which is not there/,
  ],
  ['services:\n  a: {extends: {file: base.yml, service: bad}}\n', 'base.yml:5', /nonsense is not a known key/],
  ['services:\n  a: {extends: {file: base.yml, service: loop}}\n', 'base.yml:6', /leads back to the service loop/],
  ['services:\n  a: {extends: b}\n  b: {extends: a}\n', '2|3', /leads back/],
  ['services:\n  a: {extends: {file: base.yml}}\n', '2', /must have service/],
  ['include: [none.yml]\nservices: {a: {image: i}}\n', '1', /names .*none\.yml/],
  ['include: [includes-back.yml]\nservices: {a: {image: i}}\n', 'includes-back.yml:1', /leads back to/],
  ['include: [{path: base.yml, env_file: none.env}]\nservices: {a: {image: i}}\n', '1', /names .*none\.env/],
  ['include: base.yml\nservices: {a: {image: i}}\n', '1', /must be a list/],
];

describe('what is wrong with a compose project', () => {
  for (const [text, place, says] of mistakes) {
    it(`is told with its file and line: ${JSON.stringify(text).slice(1, -1)}`, async (t) => {
      const folder = await temporaryFolder(t);
      await writeTree(folder, { ...others, 'compose.yaml': text });
      const variables: Readonly<Record<string, string>> = { EMPTY: '' };
      const failure = await readProject({ folder, environment: (name) => variables[name] }).then(
        () => assert.fail('it is read'),
        (error: unknown) => error,
      );
      assert.ok(failure instanceof Failure, String(failure));
      assert.deepEqual([failure.kind, failure.code], ['usage', 'invalid-project']);
      const lines = failure.problems.filter(({ message, pointer }) => says.test(`${pointer} ${message}`));
      assert.notEqual(lines.length, 0, failure.message);
      const places = lines.map(({ file = '', line }) =>
        path.basename(file) === 'compose.yaml' ? String(line) : `${path.basename(file)}:${line ?? ''}`,
      );
      assert.ok(
        place.split('|').some((one) => places.includes(one)),
        `${places.join()}: ${failure.message}`,
      );
    });
  }

  it('is told all at once, without values, which may be secrets', async (t) => {
    const folder = await temporaryFolder(t);
    const text =
      'services:\n  a:\n    image: i\n    environment: {TOKEN: [s3cret]}\n    restart: s3cret\n    nonsense: s3cret\n';
    await writeTree(folder, { 'compose.yaml': text });
    await assert.rejects(readProject({ folder }), (error: unknown) => {
      assert.ok(error instanceof Failure);
      assert.deepEqual(
        error.problems.map(({ line }) => line),
        [4, 5, 6],
      );
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    });
  });

  it('is told apart from files that are not there', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'compose.yaml': service(''), Dockerfile: '' });
    const reading = (...files: string[]) => readProject({ folder, files });
    await assert.rejects(reading('other.yml'), { kind: 'not-found', code: 'compose-file-not-found' });
    await assert.rejects(reading('compose.yaml', 'Dockerfile'), { kind: 'usage', code: 'files-of-two-kinds' });
    await assert.rejects(reading('Dockerfile', 'compose.yaml'), { kind: 'usage', code: 'files-of-two-kinds' });
  });
});
