import { build, extraHosts, grants, ulimits } from './build-form.js';
import type { DeviceMapping, Hook, WatchRule } from './composition.js';
import { deployment } from './deployment-form.js';
import { also, anything, type Form, listOf, mapOf, object, orEmpty, replaced, where } from './form.js';
import {
  choice,
  command,
  duration,
  microseconds,
  namesAsMapping,
  number,
  oneOrMore,
  pairs,
  plainText,
  size,
  sizeOrUnlimited,
  text,
  texts,
  truth,
  variables,
  wholeNumber,
} from './form-values.js';
import { localPath } from './local-path.js';
import { mounts } from './mount-form.js';
import { attachments } from './network-form.js';
import { expose, ports } from './port-form.js';
import { entryOf, mapping, scalar, sequence, textOf, type Tree } from './tree.js';

const test = replaced(
  where(
    also(listOf(text(), { mustBe: 'text, or a list that begins with CMD, CMD-SHELL or NONE' }), (tree) =>
      textOf(tree) === undefined
        ? tree
        : { ...sequence([scalar('CMD-SHELL', tree.place), tree], tree.place), tag: tree.tag },
    ),
    (tree) => {
      const first = tree.kind === 'sequence' ? tree.items[0] : undefined;
      const isGood = first === undefined || ['CMD', 'CMD-SHELL', 'NONE'].includes(textOf(first) ?? '');
      return isGood ? undefined : 'must begin with CMD, CMD-SHELL or NONE';
    },
  ),
);

const healthcheck = object(
  {},
  {
    test,
    interval: duration,
    timeout: duration,
    retries: wholeNumber('a whole number'),
    start_period: duration,
    start_interval: duration,
    disable: truth,
  },
);

const dependency = also(
  object(
    {
      condition: choice('service_started', 'service_healthy', 'service_completed_successfully'),
      restart: truth,
      required: truth,
    },
    {},
  ),
  (tree) =>
    tree.kind === 'mapping'
      ? {
          ...tree,
          entries: new Map<string, Tree>([
            ['restart', scalar(false, tree.place)],
            ['required', scalar(true, tree.place)],
            ...tree.entries,
          ]),
        }
      : tree,
);

const dependencies = also(mapOf(dependency, 'a list of services or a mapping'), (tree) =>
  namesAsMapping(tree, (item) => mapping([['condition', scalar('service_started', item.place)]], item.place)),
);

const devices: Form<readonly DeviceMapping[]> = listOf(
  also(
    object(
      { source: text(), target: text(), permissions: text('of the letters r, w and m', /^[rwm]{0,3}$/) },
      {},
      'a device like /dev/ttyUSB0:/dev/ttyUSB0:rw, or a mapping with source',
    ),
    (tree) => {
      const [source, target, permissions, more] = textOf(tree)?.split(':') ?? [];
      const words =
        source === undefined || more !== undefined
          ? {}
          : { source, target: target ?? source, permissions: permissions ?? 'rwm' };
      if (textOf(tree) !== undefined) {
        return mapping(
          Object.entries(words).map(([name, value]) => [name, scalar(value, tree.place)]),
          tree.place,
        );
      }
      const own = entryOf(tree, 'source');
      if (tree.kind !== 'mapping' || own === undefined) return tree;
      const defaults: readonly (readonly [string, Tree])[] = [
        ['target', own],
        ['permissions', scalar('rwm', tree.place)],
      ];
      return { ...tree, entries: new Map([...defaults, ...tree.entries]) };
    },
  ),
  { mustBe: 'a list of devices', identity: (tree) => textOf(entryOf(tree, 'target')) ?? JSON.stringify(tree) },
);

const hook: Form<Hook> = object(
  { command },
  { user: text(), privileged: truth, working_dir: text(), environment: pairs },
);

/** What happens when files change while somebody works on them. */
export const watchRule: Form<WatchRule> = where(
  object(
    { action: choice('rebuild', 'restart', 'sync', 'sync+restart', 'sync+exec'), path: localPath },
    { target: text(), ignore: oneOrMore(), include: oneOrMore(), initial_sync: truth, exec: hook },
  ),
  (tree) => {
    const action = textOf(entryOf(tree, 'action')) ?? '';
    if (action.startsWith('sync') && entryOf(tree, 'target') === undefined)
      return `must have target, as its action is ${action}`;
    return action === 'sync+exec' && entryOf(tree, 'exec') === undefined
      ? 'must have exec, as its action is sync+exec'
      : undefined;
  },
);

const envFiles = also(
  listOf(
    also(
      object(
        { path: localPath, required: truth },
        { format: choice('raw', 'compose') },
        'a path, or a mapping with path',
      ),
      (tree) => {
        const long = textOf(tree) === undefined ? tree : mapping([['path', tree]], tree.place);
        return long.kind === 'mapping'
          ? { ...long, entries: new Map<string, Tree>([['required', scalar(true, tree.place)], ...long.entries]) }
          : long;
      },
    ),
    { mustBe: 'a path, or a list of paths', identity: (tree) => textOf(entryOf(tree, 'path')) ?? JSON.stringify(tree) },
  ),
  (tree) => (textOf(tree) === undefined ? tree : { ...sequence([tree], tree.place), tag: tree.tag }),
);

const logging = object({}, { driver: text(), options: mapOf(plainText()) });
/** Options are those of a driver: with another driver come other options. */
const loggingForm: typeof logging = {
  ...logging,
  merged: (base, over) => {
    const [before, after] = [textOf(entryOf(base, 'driver')), textOf(entryOf(over, 'driver'))];
    const isOther = before !== undefined && after !== undefined && before !== after;
    return isOther ? over : (logging.merged?.(base, over) ?? over);
  },
};

const throttle = listOf(object({ path: text(), rate: plainText() }, {}));

/** The keys of a service. */
export const serviceFields = {
  annotations: pairs,
  attach: truth,
  blkio_config: object(
    {},
    {
      weight: wholeNumber('a whole number'),
      weight_device: listOf(object({ path: text(), weight: wholeNumber('a whole number') }, {})),
      device_read_bps: throttle,
      device_read_iops: throttle,
      device_write_bps: throttle,
      device_write_iops: throttle,
    },
  ),
  build,
  cap_add: texts(),
  cap_drop: texts(),
  cgroup: choice('host', 'private'),
  cgroup_parent: text(),
  command,
  configs: grants(''),
  container_name: text('a name of letters, digits, _, . and -', /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/),
  cpu_count: wholeNumber('a whole number'),
  cpu_percent: number('a number from 0 to 100', (value) => value >= 0 && value <= 100),
  cpu_period: microseconds,
  cpu_quota: microseconds,
  cpu_rt_period: microseconds,
  cpu_rt_runtime: microseconds,
  cpu_shares: wholeNumber('a whole number'),
  cpus: number('a number of processors, like 1.5', (value) => value >= 0),
  cpuset: plainText('processors like 0,2 or 0-3'),
  credential_spec: object({}, { config: text(), file: text(), registry: text() }),
  depends_on: dependencies,
  deploy: deployment,
  develop: orEmpty(object({}, { watch: listOf(watchRule) })),
  device_cgroup_rules: texts(),
  devices,
  dns: oneOrMore(),
  dns_opt: texts(),
  dns_search: oneOrMore(),
  domainname: text(),
  entrypoint: command,
  env_file: envFiles,
  environment: variables,
  expose,
  extends: also(
    object({ service: text() }, { file: localPath }, 'the name of a service, or a mapping with service'),
    (tree) => (textOf(tree) === undefined ? tree : mapping([['service', tree]], tree.place)),
  ),
  external_links: texts(),
  extra_hosts: extraHosts,
  gpus: anything,
  group_add: texts(plainText()),
  healthcheck,
  hostname: text(),
  image: text('the name of an image', /^\S*$/),
  init: truth,
  ipc: text(),
  isolation: text(),
  label_file: oneOrMore(localPath),
  labels: pairs,
  links: texts(),
  logging: loggingForm,
  mac_address: text(),
  mem_limit: size,
  mem_reservation: size,
  mem_swappiness: wholeNumber('a whole number from 0 to 100', -1, 100),
  memswap_limit: sizeOrUnlimited,
  models: also(mapOf(orEmpty(object({}, { endpoint_var: text(), model_var: text() }))), (tree) =>
    namesAsMapping(tree, (item) => mapping([], item.place)),
  ),
  network_mode: text('host, bridge, none, service:<name> or container:<name>', /./),
  networks: attachments,
  oom_kill_disable: truth,
  oom_score_adj: wholeNumber('a whole number from -1000 to 1000', -1000, 1000),
  pid: text(),
  pids_limit: wholeNumber('a whole number, -1 for no limit', -1),
  platform: text(),
  ports,
  post_start: listOf(hook),
  pre_stop: listOf(hook),
  privileged: truth,
  profiles: texts(text('a name', /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/)),
  provider: object({ type: text() }, { options: anything }),
  pull_policy: text(
    'always, never, missing, build, daily, weekly or every_<duration>',
    /^(always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+)$/,
  ),
  pull_refresh_after: text(),
  read_only: truth,
  restart: text(
    'no, always, unless-stopped, on-failure or on-failure:<times>',
    /^(no|always|unless-stopped|on-failure(:\d+)?)$/,
  ),
  runtime: text(),
  scale: wholeNumber('a whole number'),
  secrets: grants('/run/secrets'),
  security_opt: texts(),
  shm_size: size,
  stdin_open: truth,
  stop_grace_period: duration,
  stop_signal: text(),
  storage_opt: mapOf(plainText()),
  sysctls: pairs,
  tmpfs: oneOrMore(),
  tty: truth,
  ulimits,
  use_api_socket: truth,
  user: plainText(),
  userns_mode: text(),
  uts: text(),
  volumes: mounts,
  volumes_from: texts(),
  working_dir: text(),
};

/** A service, as files have it; `finishComposition` makes of it what a composition has. */
export const service = object({}, serviceFields);
