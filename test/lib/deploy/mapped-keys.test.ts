import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { planContainer } from '../../../src/lib/deploy/container-spec.js';
import { definitionLabel } from '../../../src/lib/deploy/definition.js';
import { objectNames } from '../../../src/lib/deploy/object-names.js';
import { waitsOf } from '../../../src/lib/deploy/service-order.js';
import { supervisedApps } from '../../../src/lib/deploy/supervised-apps.js';
import { checkKeys } from '../../../src/lib/project/check-keys.js';
import type { Service } from '../../../src/lib/project/composition.js';
import { type Project, readProject } from '../../../src/lib/project/project.js';
import { writeTree } from '../../support/file-tree.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Each key of a service that runs, with a value that is not the usual one. */
const samples = {
  annotations: '{a: b}',
  attach: 'false',
  blkio_config: '{weight: 300}',
  cap_add: '[NET_ADMIN]',
  cap_drop: '[MKNOD]',
  cgroup: 'host',
  cgroup_parent: '/x',
  command: '[x]',
  configs: '[c]',
  container_name: 'x1',
  cpu_count: '2',
  cpu_percent: '50',
  cpu_period: '50000',
  cpu_quota: '20000',
  cpu_rt_period: '1000',
  cpu_rt_runtime: '500',
  cpu_shares: '5',
  cpus: '0.5',
  cpuset: '"0"',
  credential_spec: '{file: x}',
  depends_on: '[b]',
  deploy: '{replicas: 2}',
  device_cgroup_rules: '["c 1:3 mr"]',
  devices: '[/dev/x]',
  dns: '[1.1.1.1]',
  dns_opt: '[debug]',
  dns_search: '[x.org]',
  domainname: 'x.org',
  entrypoint: '[x]',
  environment: '{A: b}',
  expose: '[80]',
  external_links: '[x]',
  extra_hosts: '["x:1.1.1.1"]',
  gpus: 'all',
  group_add: '[x]',
  healthcheck: '{test: [CMD, x]}',
  hostname: 'x',
  init: 'true',
  ipc: 'host',
  isolation: 'default',
  labels: '{a: b}',
  links: '[b]',
  logging: '{driver: none}',
  mac_address: '02:42:ac:11:65:43',
  mem_limit: '64m',
  mem_reservation: '32m',
  mem_swappiness: '10',
  memswap_limit: '128m',
  models: '[m]',
  network_mode: 'host',
  networks: '[n]',
  oom_kill_disable: 'true',
  oom_score_adj: '10',
  pid: 'host',
  pids_limit: '10',
  platform: 'linux/arm64',
  ports: '["80:80"]',
  post_start: '[{command: [x]}]',
  pre_stop: '[{command: [x]}]',
  privileged: 'true',
  pull_policy: 'always',
  pull_refresh_after: '1d',
  read_only: 'true',
  restart: 'on-failure',
  runtime: 'x',
  scale: '2',
  secrets: '[s]',
  security_opt: '[no-new-privileges]',
  shm_size: '64m',
  stdin_open: 'true',
  stop_grace_period: '20s',
  stop_signal: 'SIGINT',
  storage_opt: '{size: 1G}',
  sysctls: '{net.core.somaxconn: 1024}',
  tmpfs: '[/run]',
  tty: 'false',
  ulimits: '{nproc: 5}',
  use_api_socket: 'true',
  user: 'x',
  userns_mode: 'host',
  uts: 'host',
  volumes: '[v:/v]',
  volumes_from: '[b]',
  working_dir: '/x',
} satisfies Record<Exclude<keyof Service, 'image' | 'build' | 'develop' | 'profiles' | 'provider'>, string>;

async function projectWith(t: TestContext, keys: string): Promise<Project> {
  const folder = await temporaryFolder(t);
  const rest =
    'volumes: {v: {}}\nnetworks: {n: {}}\nsecrets: {s: {file: x}}\nconfigs: {c: {content: x}}\nmodels: {m: {model: x}}\n';
  await writeTree(folder, { 'compose.yaml': `services:\n  a:\n    image: i\n${keys}  b: {image: i}\n${rest}`, x: '' });
  return readProject({ folder, environment: () => undefined });
}

/** So that what else `links` and the like say counts alone. */
const waits = '    depends_on: [b]\n';

/** What is made of the service `a`, but for its digests. */
const made = {
  'a Supervisor': ({ composition }: Project) => supervisedApps(composition, new Set(['a'])).apps,
  'an engine': ({ composition }: Project) => {
    const { a } = composition.services;
    assert.ok(a !== undefined);
    const surroundings = { number: 1, host: {}, objectNames: objectNames(composition), isAwaited: false };
    const { spec, shares, furtherNetworks, features } = planContainer('a', a, surroundings);
    return { spec, shares, furtherNetworks, features, waits: waitsOf(a) };
  },
};

function withoutDefinition(value: unknown): string {
  return JSON.stringify(value, (key, one: unknown) => (key === definitionLabel ? undefined : one));
}

for (const [whose, make] of Object.entries(made)) {
  describe(`what becomes of a service's keys with ${whose}`, () => {
    for (const [key, value] of Object.entries(samples)) {
      it(`is ${key} as it is written, or that it is dropped`, async (t) => {
        const [bare, project] = [
          await projectWith(t, key === 'depends_on' ? '' : waits),
          await projectWith(t, `${key === 'depends_on' ? '' : waits}    ${key}: ${value}\n`),
        ];
        const isMapped = withoutDefinition(make(project)) !== withoutDefinition(make(bare));
        const isTold = checkKeys(project, { isSupervised: whose === 'a Supervisor' }).some(({ message }) =>
          message.startsWith(`services.a.${key} `),
        );
        assert.deepEqual({ isMapped, isTold }, { isMapped, isTold: !isMapped });
      });
    }
  });
}
