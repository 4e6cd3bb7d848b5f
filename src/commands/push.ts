import { Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { onEachDevice } from '../lib/cli/each-device.js';
import { engineFlags, type EngineFlagValues, engineLinkFrom, supervisorFlags } from '../lib/cli/engine-flags.js';
import { allFlag, anyDevicesArgs, chosenDevices, deliveryFlags } from '../lib/cli/push-flags.js';
import { projectFlags, type ProjectFlagValues, projectRequestFrom } from '../lib/cli/project-flags.js';
import { checkLines } from '../lib/output/check-text.js';
import { logLineText } from '../lib/output/log-text.js';
import { findAccount } from '../lib/fleet/account-store.js';
import { refuseErrors } from '../lib/project/finding.js';
import { outlineLines, pushedLines } from '../lib/output/push-text.js';
import { type CheckedPush, checkPush } from '../lib/push/check-push.js';
import type { Delivery } from '../lib/push/delivery.js';
import { openDeviceLogs } from '../lib/logs/device-logs.js';
import { deviceProgress } from '../lib/push/device-progress.js';
import type { EngineLink } from '../lib/device/engine-link.js';
import { readRegistrySecrets } from '../lib/project/registry-secrets.js';
import { parseVariables } from '../lib/push/environment-variables.js';
import { parseGivenImages } from '../lib/push/given-images.js';
import { type LivePush, pushLive, stayInStep, whileInStep } from '../lib/push/live-push.js';
import { openDelivery } from '../lib/push/open-delivery.js';
import {
  type PlanOptions,
  outlinePush,
  planPush,
  type Pushed,
  type PushOutline,
  type PushRequest,
  runPush,
} from '../lib/push/push.js';

/** What became of one device; with `--dry-run`, what would. */
export type DevicePush = (Pushed | PushOutline) & { readonly device: string; readonly address: string };

/** What `davit push --json` prints: for one device what became of it, for several a list of that; with `--check`, what was found. */
export type PushResult = { readonly version: 2 } & (
  DevicePush | { readonly devices: readonly DevicePush[] } | { readonly checks: readonly DeviceCheck[] }
);

/** What a check has found, for a device or for none in particular. */
type DeviceCheck = CheckedPush & { readonly device?: string };

type CheckFlags = EngineFlagValues &
  ProjectFlagValues & {
    readonly 'device-type'?: string | undefined;
    readonly 'registry-secrets'?: string | undefined;
    readonly build: string;
    readonly service?: readonly string[] | undefined;
    readonly timeout: number;
  };

interface OnePush {
  readonly name: string;
  /** Whether there is no other device. */
  readonly isOnly: boolean;
  readonly request: PushRequest;
  readonly delivery: Delivery;
  readonly flags: EngineFlagValues & { readonly 'dry-run': boolean; readonly detached: boolean };
}

interface ShownLogs {
  readonly device: string;
  readonly link: EngineLink;
  readonly signal: AbortSignal;
}

/** Deliveries to further devices wait. */
const devicesAtOnce = 16;

export default class Push extends BaseCommand {
  static override summary = 'Build a project on a device and run it there.';
  static override description =
    'Sends what each service is built from, without what .dockerignore names and without .git, to the engine of the device, ' +
    'builds it there, and replaces the containers of those services that have changed. Dockerfile.<device type>, ' +
    'Dockerfile.<architecture> and Dockerfile.template are preferred in this order.\n\n' +
    'Until all builds have succeeded, what runs on the device is not touched; if a new container cannot be started, what ran ' +
    'before runs again. Services that the project does not have any more are removed; volumes never are.\n\n' +
    'Several devices are pushed to at once; with --build host, what is the same for them is built once. One that fails does so ' +
    'alone.\n\n' +
    'Then shows the logs until Ctrl-C (exit code 130), and carries files that change into the running containers, unless --detached or --json or ' +
    'several devices are given. Ctrl-C during the build ends it on the device too.';
  static override examples = [
    '<%= config.bin %> push 63ec46c',
    '<%= config.bin %> push crane.local --source ./app --detached',
    '<%= config.bin %> push crane.local --service web',
    '<%= config.bin %> push crane.local --dry-run',
    '<%= config.bin %> push --check',
    '<%= config.bin %> push bench-1.local bench-2.local bench-3.local --build host',
    '<%= config.bin %> push crane.local --image registry.example.com/app:v7',
    '<%= config.bin %> push 192.168.1.20 --env LOG_LEVEL=debug --nocache',
  ];
  static override args = anyDevicesArgs;
  static override flags = {
    ...projectFlags,
    detached: Flags.boolean({ summary: 'Neither show the logs afterwards nor carry over what changes.' }),
    nolive: Flags.boolean({ summary: 'Do not carry files that change into the running containers.' }),
    'dry-run': Flags.boolean({ summary: 'Only say what would be built, created, replaced and removed, and why.' }),
    check: Flags.boolean({
      summary: 'Only check the project, for a device or for none: what is dropped or refused, missing or too large.',
    }),
    service: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<name>',
      summary: 'Push only this service and those that it depends on; the others stay as they are. Can be repeated.',
    }),
    'keep-orphans': Flags.boolean({ summary: 'Leave services running that the project does not have any more.' }),
    'local-mode': Flags.boolean({
      summary:
        'Switch local mode on where it is off, which stops the services of the fleet. Takes a login to its cloud.',
    }),
    nocache: Flags.boolean({ summary: 'Build every step anew.' }),
    pull: Flags.boolean({ summary: 'Pull base images even if the device has them.' }),
    'registry-secrets': Flags.string({
      helpValue: '<file>',
      summary: 'File with usernames and passwords for registries. [default: ~/.balena/secrets.yml]',
    }),
    env: Flags.string({
      multiple: true,
      // Otherwise a device named after it would be taken for another variable.
      multipleNonGreedy: true,
      helpValue: '[<service>:]<name>[=<value>]',
      summary: 'Set a variable in all services or in one, without a value to what it is here. Can be repeated.',
    }),
    'device-type': Flags.string({
      helpValue: '<slug>',
      summary: 'Device type for Dockerfile.<device type> and templates, where the device does not tell it.',
    }),
    ...deliveryFlags,
    ...allFlag,
    ...engineFlags,
    ...supervisorFlags,
  };

  async run(): Promise<PushResult> {
    const { args, flags } = await this.parse(Push);
    const { signal, progress } = this;
    if (flags.check) return this.#check(args.devices ?? [], flags);
    const names = await chosenDevices({ named: args.devices, all: flags.all }, { signal, progress });
    const given = parseGivenImages(flags.image ?? []);
    const request = {
      project: projectRequestFrom(flags),
      deviceType: flags['device-type'],
      environment: parseVariables(flags.env ?? []),
      image: given.only,
      services: flags.service ?? [],
      timeoutMs: flags.timeout * 1000,
      keepOrphans: flags['keep-orphans'],
      hasBuildKit: flags.build === 'host',
      isLive: !flags.nolive && !flags.detached && !this.jsonEnabled() && names.length === 1,
      // A dry run changes nothing.
      localMode: flags['local-mode'] && !flags['dry-run'] ? { account: await findAccount(flags.account) } : undefined,
    };
    const { build, nocache: noCache, pull } = flags;
    const logins = await readRegistrySecrets(flags['registry-secrets'], signal);
    const delivery = openDelivery({ build, given: given.images, noCache, pull, logins }, { signal, progress });
    try {
      const isOnly = new Set(names).size === 1;
      const devices = await onEachDevice({
        names,
        work: (name) => this.#push({ name, isOnly, request, delivery, flags }),
        onDone: () => undefined,
        progress,
        atOnce: devicesAtOnce,
      });
      const [only] = devices;
      return isOnly && only !== undefined ? { version: 2, ...only } : { version: 2, devices };
    } finally {
      await delivery.close();
    }
  }

  async #check(names: readonly string[], flags: CheckFlags): Promise<PushResult> {
    const { signal, progress, streams } = this;
    const request = {
      ...projectRequestFrom(flags),
      deviceType: flags['device-type'],
      services: flags.service ?? [],
      timeoutMs: flags.timeout * 1000,
      logins: await readRegistrySecrets(flags['registry-secrets'], signal),
      hasBuildKit: flags.build === 'host',
    };
    const checks: DeviceCheck[] = [];
    for (const name of names.length === 0 ? [undefined] : names) {
      const link = name === undefined ? undefined : engineLinkFrom(name, flags, { streams, signal, progress });
      try {
        checks.push({ ...(name === undefined ? {} : { device: name }), ...(await checkPush(link, request, signal)) });
      } finally {
        await link?.drop();
      }
    }
    refuseErrors(
      checks.flatMap((check) => check.findings),
      { checks },
    );
    for (const check of checks) for (const line of checkLines(check)) this.print(line);
    return { version: 2, checks };
  }

  async #push({ name, isOnly, request, delivery, flags }: OnePush): Promise<DevicePush> {
    const { signal, streams } = this;
    const progress = isOnly ? this.progress : deviceProgress(name, this.progress);
    const link = engineLinkFrom(name, flags, { streams, signal, progress });
    try {
      const plan = await planPush(link, request, { signal, progress, delivery });
      const { device } = plan.target;
      const shown = { device: device.name, address: device.address };
      if (flags['dry-run']) {
        const outline = await outlinePush(plan, signal);
        for (const line of outlineLines(outline)) this.print(isOnly ? line : `${name}  ${line}`);
        return { ...shown, ...outline };
      }
      const live = request.isLive ? await pushLive(link, plan, { signal, progress, delivery }) : undefined;
      const pushed = live?.pushed ?? (await runPush(plan, { signal, progress }));
      if (!isOnly) this.progress({ type: 'step', id: name, phase: 'push', state: 'done' });
      for (const line of pushedLines(pushed, device.name)) this.print(line);
      if (isOnly && !flags.detached && !this.jsonEnabled()) {
        const logs = (ended: AbortSignal) => this.#showLogs({ device: device.name, link, signal: ended });
        const stay = live && ((ended: AbortSignal) => this.#stay(link, request, live, { delivery, signal: ended }));
        await (stay === undefined ? logs(signal) : whileInStep(logs, stay, signal));
      }
      return { ...shown, ...pushed };
    } catch (error) {
      if (!isOnly) this.progress({ type: 'step', id: name, phase: 'push', state: 'failed' });
      throw error;
    } finally {
      await link.drop();
    }
  }

  #stay(link: EngineLink, request: PushRequest, live: LivePush, options: PlanOptions): Promise<void> {
    const { progress } = this;
    const { name } = live.plan.target.device;
    const onPushed = ({ pushed }: LivePush) => {
      for (const line of pushedLines(pushed, name)) this.print(line);
    };
    return stayInStep(link, request, live, { ...options, progress, onPushed });
  }

  async #showLogs({ device, link, signal }: ShownLogs): Promise<void> {
    const { progress, streams } = this;
    const request = { services: [], system: false, follow: true, signal, progress };
    const { sources, lines } = await openDeviceLogs([{ name: device, link }], request);
    const names = sources.map(({ source }) => source).join(', ');
    progress({ type: 'notice', level: 'info', text: `the log of ${names}; Ctrl-C leaves it running` });
    await this.printUntilLeft(lines, logLineText({ sources, timestamps: false, hasColor: streams.stdoutHasColor }));
  }
}
