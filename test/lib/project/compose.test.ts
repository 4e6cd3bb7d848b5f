import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Composition, Service } from '../../../src/lib/project/composition.js';
import { type Project, readProject, type ProjectRequest } from '../../../src/lib/project/project.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

type Files = Readonly<Record<string, string>>;
type Variables = Readonly<Record<string, string>>;

/** Reads a project of these files, with nothing in the environment but what is given. */
async function read(
  t: TestContext,
  files: Files,
  { variables = {}, ...request }: Partial<ProjectRequest> & { variables?: Variables } = {},
): Promise<Project> {
  const folder = path.join(await temporaryFolder(t), 'shop');
  await writeTree(folder, files);
  return readProject({ folder, environment: (name) => variables[name], ...request });
}

async function services(t: TestContext, files: Files, options = {}): Promise<Composition['services']> {
  return (await read(t, files, options)).composition.services;
}

/** The only service of a compose file, without what every service has. */
async function service(t: TestContext, text: string, variables: Variables = {}): Promise<Partial<Service>> {
  const indented = text.replaceAll(/^/gm, '    ');
  const sections = 'volumes: {data: , d: }\nsecrets: {key: {file: key}}\nnetworks: {back: }\n';
  const found = await services(
    t,
    { 'compose.yaml': `${sections}services:\n  web:\n    image: a\n${indented}`, 'common.env': 'A=file\nB=file\n' },
    { variables },
  );
  return withoutUsual(found.web);
}

/** What of a service is not as it is in every one of these tests. */
function withoutUsual(one: Service | undefined): Partial<Service> {
  const usual = ['{}', '{"default":{}}', '"a"'];
  return Object.fromEntries(Object.entries(one ?? {}).filter(([, value]) => !usual.includes(JSON.stringify(value))));
}

describe('short and long forms', () => {
  /** What is written, and what it comes to. */
  const cases: readonly (readonly [written: string, is: Partial<Service>])[] = [
    ['command: bundle exec "a b" \'c d\' e\\ f', { command: ['bundle', 'exec', 'a b', 'c d', 'e f'] }],
    ['command: [a, 1]', { command: ['a', '1'] }],
    ['command:', {}],
    ['command: []', { command: [] }],
    ['entrypoint: /run.sh -v', { entrypoint: ['/run.sh', '-v'] }],
    ['environment: {A: 1.10, B: true, C: "", D: }', { environment: { A: '1.10', B: 'true', C: '', D: '' } }],
    ['environment: [A=b=c, D]', { environment: { A: 'b=c', D: '' } }],
    ['env_file: common.env\nenvironment: [B=own]', { environment: { A: 'file', B: 'own' } }],
    ['env_file: [{path: common.env}, {path: none, required: false}]', { environment: { A: 'file', B: 'file' } }],
    ['labels: [a, b=c]', { labels: { a: '', b: 'c' } }],
    ['ports: [80]', { ports: [{ target: 80, protocol: 'tcp', mode: 'ingress' }] }],
    ['ports: ["8080:80/udp"]', { ports: [{ target: 80, published: '8080', protocol: 'udp', mode: 'ingress' }] }],
    [
      'ports: ["127.0.0.1:8080:80", "[::1]::80"]',
      {
        ports: [
          { target: 80, published: '8080', host_ip: '127.0.0.1', protocol: 'tcp', mode: 'ingress' },
          { target: 80, host_ip: '::1', protocol: 'tcp', mode: 'ingress' },
        ],
      },
    ],
    [
      'ports: ["9000-9001:80-81"]',
      {
        ports: [
          { target: 80, published: '9000', protocol: 'tcp', mode: 'ingress' },
          { target: 81, published: '9001', protocol: 'tcp', mode: 'ingress' },
        ],
      },
    ],
    ['ports: ["9000-9009:80"]', { ports: [{ target: 80, published: '9000-9009', protocol: 'tcp', mode: 'ingress' }] }],
    [
      'ports: [{target: 80, published: 8080}]',
      { ports: [{ target: 80, published: '8080', protocol: 'tcp', mode: 'ingress' }] },
    ],
    ['volumes: [data:/data/]', { volumes: [{ type: 'volume', source: 'data', target: '/data' }] }],
    ['volumes: ["d:/data:ro"]', { volumes: [{ type: 'volume', source: 'd', target: '/data', read_only: true }] }],
    [
      'volumes: ["C:/Users/x:/data"]',
      { volumes: [{ type: 'bind', source: 'C:/Users/x', target: '/data', bind: { create_host_path: true } }] },
    ],
    ['volumes: [/cache]', { volumes: [{ type: 'volume', target: '/cache' }] }],
    [
      'volumes: [/run/dbus:/host/dbus:ro]',
      {
        volumes: [
          {
            type: 'bind',
            source: '/run/dbus',
            target: '/host/dbus',
            read_only: true,
            bind: { create_host_path: true },
          },
        ],
      },
    ],
    [
      'volumes: [{type: tmpfs, target: /run, tmpfs: {size: 64m, mode: 01777}}]',
      { volumes: [{ type: 'tmpfs', target: '/run', tmpfs: { size: 67_108_864, mode: 0o1777 } }] },
    ],
    ['tmpfs: /run', { tmpfs: ['/run'] }],
    ['networks: [back]', { networks: { back: {} } }],
    ['networks: {back: {aliases: [db]}, default: }', { networks: { back: { aliases: ['db'] }, default: {} } }],
    [
      'healthcheck: {test: curl -f x, interval: 1m30s, timeout: 500ms, retries: "3"}',
      { healthcheck: { test: ['CMD-SHELL', 'curl -f x'], interval: 90, timeout: 0.5, retries: 3 } },
    ],
    ['devices: [/dev/ttyUSB0]', { devices: [{ source: '/dev/ttyUSB0', target: '/dev/ttyUSB0', permissions: 'rwm' }] }],
    ['devices: ["/dev/a:/dev/b:r"]', { devices: [{ source: '/dev/a', target: '/dev/b', permissions: 'r' }] }],
    [
      'devices: [{source: vendor.com/class=gpu}]',
      { devices: [{ source: 'vendor.com/class=gpu', target: 'vendor.com/class=gpu', permissions: 'rwm' }] },
    ],
    [
      'ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}',
      { ulimits: { nofile: { soft: 1, hard: 2 }, nproc: { soft: 3, hard: 3 } } },
    ],
    ['sysctls: [net.core.somaxconn=1024]', { sysctls: { 'net.core.somaxconn': '1024' } }],
    ['extra_hosts: ["a:1.2.3.4", "b=[::1]", "a=5.6.7.8"]', { extra_hosts: { a: ['1.2.3.4', '5.6.7.8'], b: ['::1'] } }],
    [
      'mem_limit: 1.5gb\nshm_size: 64K\nmemswap_limit: -1',
      { mem_limit: 1_610_612_736, shm_size: 65_536, memswap_limit: -1 },
    ],
    ['stop_grace_period: 1m30s', { stop_grace_period: 90 }],
    ['privileged: "true"\ntty: yes\ncpus: "0.5"', { privileged: true, tty: true, cpus: 0.5 }],
    ['restart: on-failure:3', { restart: 'on-failure:3' }],
    [
      'secrets: [key, {source: key, target: other, mode: 0440}]',
      { secrets: [{ source: 'key' }, { source: 'key', target: 'other', mode: 0o440 }] },
    ],
    ['dns: 8.8.8.8', { dns: ['8.8.8.8'] }],
    ['group_add: [100, mail]\nuser: 1000', { group_add: ['100', 'mail'], user: '1000' }],
    [
      'logging: {driver: json-file, options: {max-file: 3}}',
      { logging: { driver: 'json-file', options: { 'max-file': '3' } } },
    ],
    ['develop: {watch: [{action: rebuild, path: /a}]}', { develop: { watch: [{ action: 'rebuild', path: '/a' }] } }],
    ['x-note: "${"', {}],
  ];
  for (const [written, is] of cases) {
    it(`come to the same: ${written}`, async (t) => {
      assert.deepEqual(await service(t, written), is);
    });
  }

  it('of a build are completed', async (t) => {
    const project = await read(
      t,
      { 'compose.yaml': 'services: {a: {build: app}, b: {build: {args: [X=1, HERE, NOT_HERE], cache_from: [i]}}}' },
      { variables: { HERE: 'yes' } },
    );
    const { folder, services: found } = project.composition;
    assert.deepEqual(found.a?.build, { context: path.join(folder, 'app'), args: {}, labels: {} });
    assert.deepEqual(found.b?.build, { context: folder, args: { X: '1', HERE: 'yes' }, labels: {}, cache_from: ['i'] });
  });
});

describe('a compose project', () => {
  it('is named after its name, its folder or COMPOSE_PROJECT_NAME, which variables can refer to', async (t) => {
    const text = 'services: {a: {image: "${COMPOSE_PROJECT_NAME}"}}';
    const named = await read(t, { 'compose.yaml': `name: other\n${text}` });
    assert.equal(named.composition.name, 'other');
    const ofFolder = await read(t, { 'compose.yaml': text });
    assert.equal(ofFolder.composition.name, 'shop');
    assert.equal(ofFolder.composition.services.a?.image, 'shop');
    const variables = { COMPOSE_PROJECT_NAME: 'third' };
    assert.equal((await read(t, { 'compose.yaml': `name: other\n${text}` }, { variables })).composition.name, 'third');
  });

  it('knows where everything was written', async (t) => {
    const project = await read(t, {
      'docker-compose.yml':
        'services:\n  a:\n    image: i\n    ports:\n      - "80:80"\n    environment:\n      - A=1\n',
      'docker-compose.dev.yml': 'services:\n  a:\n    ports: ["81:81"]\n    environment: {A: 2}\n',
    });
    const lines = (...at: (string | number)[]) => {
      const place = project.placeOf(['services', 'a', ...at]);
      return `${path.basename(place?.file ?? '')}:${place?.line ?? ''}`;
    };
    assert.equal(lines('image'), 'docker-compose.yml:3');
    assert.equal(lines('ports', 0), 'docker-compose.yml:5');
    assert.equal(lines('ports', 1, 'target'), 'docker-compose.dev.yml:3');
    assert.equal(lines('environment', 'A'), 'docker-compose.dev.yml:4');
    assert.equal(lines('nothing'), 'docker-compose.dev.yml:2');
  });

  it('takes variables from its .env, below those of the environment, and tells which are not set', async (t) => {
    const files = {
      '.env': 'A=file\nB=file\nC="${B} and $A"\n',
      'compose.yaml': 'services:\n  a:\n    image: i\n    labels: {x: "$A $B $C", y: "<$D>"}\n',
    };
    const project = await read(t, files, { variables: { A: 'here' } });
    assert.deepEqual(project.composition.services.a?.labels, { x: 'here file file and here', y: '<>' });
    assert.deepEqual(
      project.unset.map(({ name, place }) => [name, place.line]),
      [['D', 4]],
    );
    const other = await read(t, { ...files, 'other.env': 'D=other' }, { envFiles: ['other.env'] });
    assert.equal(other.composition.services.a?.labels.y, '<other>');
    await assert.rejects(read(t, files, { envFiles: ['none'] }), { kind: 'not-found', code: 'env-file-not-found' });
  });

  it('has docker-compose.dev.yml laid over it, not docker-compose.override.yml', async (t) => {
    const files = {
      'docker-compose.yml': 'services: {a: {image: i, environment: {A: 1}}}',
      'docker-compose.dev.yml': 'services: {a: {environment: {DEBUG: 1}}}',
      'docker-compose.override.yml': 'services: {a: {image: other}}',
    };
    const project = await read(t, files);
    assert.deepEqual(project.composition.services.a?.environment, { A: '1', DEBUG: '1' });
    assert.equal(project.composition.services.a.image, 'i');
    assert.deepEqual(project.unread, ['docker-compose.override.yml']);
    const alone = await read(t, files, { files: ['docker-compose.yml'] });
    assert.deepEqual(alone.composition.services.a?.environment, { A: '1' });
  });

  it('leaves out services of profiles that are not on', async (t) => {
    const files = {
      'compose.yaml':
        'services: {a: {image: i, depends_on: {c: {condition: service_started, required: false}}}, b: {image: i, profiles: [debug]}, c: {image: i, profiles: [debug, test]}}',
    };
    const project = await read(t, files);
    assert.deepEqual(Object.keys(project.composition.services), ['a']);
    assert.deepEqual(project.composition.services.a?.depends_on, {});
    assert.deepEqual(
      [...project.leftOut],
      [
        ['b', ['debug']],
        ['c', ['debug', 'test']],
      ],
    );
    const names = async (options: object) => Object.keys(await services(t, files, options));
    assert.deepEqual(await names({ profiles: ['test'] }), ['a', 'c']);
    assert.deepEqual(await names({ profiles: ['*'] }), ['a', 'b', 'c']);
    assert.deepEqual(await names({ variables: { COMPOSE_PROFILES: 'x,debug' } }), ['a', 'b', 'c']);
  });

  it('depends on what its services share', async (t) => {
    const found = await services(t, {
      'compose.yaml':
        'services: {a: {image: i, links: ["b:x"], network_mode: "service:c"}, b: {image: i}, c: {image: i}}',
    });
    const one = { condition: 'service_started', restart: true, required: true };
    assert.deepEqual(found.a?.depends_on, { b: one, c: one });
    assert.equal(found.a.networks, undefined);
  });

  it('may be JSON, in a folder that is a link, named by another path', async (t) => {
    const folder = await temporaryFolder(t);
    await writeTree(folder, { 'real/stack.json': '{"services": {"a": {"image": "i"}}}' });
    await symlink('real', path.join(folder, 'link'));
    const project = await readProject({ folder: path.join(folder, 'link'), files: ['stack.json'] });
    assert.deepEqual(Object.keys(project.composition.services), ['a']);
  });
});

describe('files merged', () => {
  /** Both files and what the one service comes to. */
  const cases: readonly (readonly [base: string, over: string, is: Partial<Service>])[] = [
    ['command: [a, b]', 'command: c', { command: ['c'] }],
    ['command: [a, b]', 'command:', {}],
    ['environment: {A: 1, B: 2}', 'environment: [B=3, C=4]', { environment: { A: '1', B: '3', C: '4' } }],
    [
      'ports: ["80:80"]',
      'ports: ["80:80", "81:81"]',
      { ports: [80, 81].map((target) => ({ target, published: String(target), protocol: 'tcp', mode: 'ingress' })) },
    ],
    ['ports: ["80:80"]', 'ports: !reset []', {}],
    [
      'ports: ["80:80"]',
      'ports: !override ["81:81"]',
      { ports: [{ target: 81, published: '81', protocol: 'tcp', mode: 'ingress' }] },
    ],
    ['environment: {A: 1, B: 2}', 'environment: {A: !reset null}', { environment: { B: '2' } }],
    [
      'volumes: [/a:/x]',
      'volumes: [/b:/x]',
      { volumes: [{ type: 'bind', source: '/b', target: '/x', bind: { create_host_path: true } }] },
    ],
    ['cap_add: [A, B]', 'cap_add: [B, C]', { cap_add: ['A', 'B', 'C'] }],
    [
      'healthcheck: {test: a, retries: 3}',
      'healthcheck: {test: [CMD, b]}',
      { healthcheck: { test: ['CMD', 'b'], retries: 3 } },
    ],
    [
      'logging: {driver: a, options: {x: 1}}',
      'logging: {driver: b, options: {y: 1}}',
      { logging: { driver: 'b', options: { y: '1' } } },
    ],
    ['dns: 1.1.1.1', 'dns: [8.8.8.8]', { dns: ['1.1.1.1', '8.8.8.8'] }],
    ['privileged: true', 'privileged: false', { privileged: false }],
  ];
  for (const [base, over, is] of cases) {
    it(`follow the rules: ${base} <- ${over}`, async (t) => {
      const text = (own: string) => `services:\n  a:\n    image: a\n    ${own}\n`;
      const found = await services(t, { 'a.yml': text(base), 'b.yml': text(over) }, { files: ['a.yml', 'b.yml'] });
      assert.deepEqual(withoutUsual(found.a), is);
    });
  }

  it('have paths relative to the project folder, wherever they are', async (t) => {
    const project = await read(
      t,
      { 'compose.yaml': 'services: {a: {image: i}}', 'more/b.yml': 'services: {a: {build: ./app}}' },
      { files: ['compose.yaml', 'more/b.yml'] },
    );
    assert.equal(project.composition.services.a?.build?.context, path.join(project.composition.folder, 'app'));
  });
});

describe('what a service extends', () => {
  it('stands below it, over several files, with paths of their own', async (t) => {
    const project = await read(t, {
      'compose.yaml':
        'services: {a: {extends: {file: common/base.yml, service: one}, environment: {B: own}, ports: !reset []}, b: {extends: a, image: other}}',
      'common/base.yml':
        'services: {one: {extends: two, build: app, environment: {A: 1, B: 1}}, two: {image: i, ports: [80], labels: {x: y}}, broken: {nonsense: 1}}',
    });
    const { folder, services: found } = project.composition;
    const { build, environment, labels, image, ports } = found.a ?? assert.fail();
    assert.deepEqual(
      { build: build?.context, environment, labels, image, ports },
      {
        build: path.join(folder, 'common/app'),
        environment: { A: '1', B: 'own' },
        labels: { x: 'y' },
        image: 'i',
        ports: undefined,
      },
    );
    assert.deepEqual([found.b?.image, found.b?.environment], ['other', { A: '1', B: 'own' }]);
  });
});

describe('what a project includes', () => {
  it('is read on its own, with its folder and its .env, and what includes it counts where both say something', async (t) => {
    const project = await read(
      t,
      {
        'compose.yaml':
          'include: [db/compose.yaml, {path: [x/one.yml, x/two.yml], project_directory: ., env_file: x.env}]\nservices: {a: {image: i, depends_on: [db]}, db: {environment: {OWN: 1}}}',
        'db/compose.yaml': 'services: {db: {image: "db:${TAG}", build: ., volumes: [data:/d]}}\nvolumes: {data: }',
        'db/.env': 'TAG=5\nWHO=file\n',
        'x/one.yml': 'services: {x: {image: "$X", build: .}}',
        'x/two.yml': 'services: {x: {labels: {who: "$WHO"}}}',
        'x.env': 'X=y\nWHO=x\n',
      },
      { variables: { WHO: 'here' } },
    );
    const { folder, services: found, volumes } = project.composition;
    assert.deepEqual([found.db?.image, found.db?.environment], ['db:5', { OWN: '1' }]);
    assert.equal(found.db?.build?.context, path.join(folder, 'db'));
    assert.deepEqual([found.x?.image, found.x?.build?.context, found.x?.labels], ['y', folder, { who: 'here' }]);
    assert.deepEqual(volumes, { data: {} });
  });
});

describe('anchors and merge keys', () => {
  it('share what they stand for, and what stands beside counts', async (t) => {
    const found = await services(t, {
      'compose.yaml': `
x-base: &base
  restart: always
  environment: &env {A: "1", B: "2"}
x-more: &more {restart: "no", tty: true}
services:
  a:
    <<: [*base, *more]
    image: i
    environment: {<<: *env, B: "3"}
  b: {<<: *more, image: i}
`,
    });
    const { restart, tty, environment } = found.a ?? assert.fail();
    assert.deepEqual({ restart, tty, environment }, { restart: 'always', tty: true, environment: { A: '1', B: '3' } });
    assert.equal(found.b?.restart, 'no');
  });

  it('that multiply are refused in no time', async (t) => {
    const lines = ['a: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 12; level += 1) {
      lines.push(`x-${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`);
    }
    const startedAt = performance.now();
    await assert.rejects(read(t, { 'compose.yaml': `x-${lines.join('\n')}\nservices: {a: {image: i}}` }), {
      code: 'invalid-project',
      message: /aliases multiply/,
    });
    assert.ok(performance.now() - startedAt < 5000);
  });
});
