import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import type { ConfigEdit } from './config-edit.js';
import type { ConnectionFile } from './connection-file.js';
import { unitFieldsIn } from './unit-fields.js';

/** A file of the boot partition; the path has no slash in front. */
export interface BootFile {
  readonly path: string;
  readonly content: Buffer;
}

/** What is to be in the boot partition; everything left out stays as it is in the image. */
export interface BootConfigurationRequest {
  /** What holds where this request says nothing, as a profile does under the flags. */
  readonly under?: BootConfigurationRequest;
  /** Where it was said; without it, on the command line. */
  readonly origin?: 'profile' | 'environment';
  /** The whole of this with what has to be asked for, in place of what stands in for it here; asked once everything else is known to be good. */
  readonly later?: () => Promise<BootConfigurationRequest>;
  /** Whether something in it only stands in for an answer: then it can be looked at, and its plan changes nothing. */
  readonly hasStandIns?: boolean;
  /** Whether everything returns to what the image came with before the rest of this is done. */
  readonly reset?: boolean;
  /** Laid over config.json as JSON Merge Patch does: objects are merged and null removes. The fields below come after it. */
  readonly config?: JsonObject;
  readonly developmentMode?: boolean;
  readonly hostname?: string;
  /** Added to the keys that are there. */
  readonly sshKeys?: readonly string[];
  readonly persistentLogging?: boolean;
  readonly dnsServers?: string;
  readonly ntpServers?: string;
  readonly country?: string;
  /** Texts of udev rules by name, added to those that are there. */
  readonly udevRules?: Readonly<Record<string, string>>;
  /** Changes of config.json by path, made after all of the above. */
  readonly edits?: readonly ConfigEdit[];
  /** Whether a config.json that is not JSON is made anew, instead of being left alone. */
  readonly replacesBrokenConfig?: boolean;
  readonly connections?: readonly ConnectionFile[];
  /** Whether a connection that takes the place of one in the image is refused. */
  readonly onlyNewConnections?: boolean;
  /** Names of connections to take out, each with its ports and with certificates that no other one uses. */
  readonly removedConnections?: readonly string[];
  readonly files?: readonly BootFile[];
  /** A PNG image to show when the device starts. */
  readonly splash?: Buffer;
  /** Lines of a Raspberry Pi's config.txt. */
  readonly configTxt?: readonly string[];
  /** What was doubtful about the files that this was read from; told again with the plan. */
  readonly warnings?: readonly string[];
}

/** Whether a request, or what lies under it, asks something. */
export function hasQuestions({ later, under }: BootConfigurationRequest): boolean {
  return later !== undefined || (under !== undefined && hasQuestions(under));
}

/** A request with what stands in for answers, to be looked at and never to be written. */
export function withStandIns({ later, under, ...own }: BootConfigurationRequest): BootConfigurationRequest {
  return {
    ...own,
    ...(under === undefined ? {} : { under: withStandIns(under) }),
    ...(later === undefined ? {} : { hasStandIns: true }),
  };
}

/** A request with the answers to all that it, and what lies under it, asks. */
export async function answered(request: BootConfigurationRequest): Promise<BootConfigurationRequest> {
  const { later, under } = request;
  if (later !== undefined) return answered(await later());
  return under === undefined ? request : { ...request, under: await answered(under) };
}

/** Plans with what stands in for answers, so that nobody answers in vain, then asks and plans with the answers. */
export async function planAnswered<P>(
  request: BootConfigurationRequest,
  plan: (known: BootConfigurationRequest) => P | Promise<P>,
): Promise<P> {
  const seen = await plan(withStandIns(request));
  return hasQuestions(request) ? plan(await answered(request)) : seen;
}

/** A request and what lies under it, the lowest first. It may not ask anything any more. */
export function layersOf({ under, later, ...own }: BootConfigurationRequest): BootConfigurationRequest[] {
  if (later !== undefined)
    throw new Error('a request is to be answered, or looked at with stand-ins, before it is used');
  return [...(under === undefined ? [] : layersOf(under)), own];
}

/** A hostname in a profile can be a pattern, to be filled in for each unit of a batch. */
export function requireOneHostname(layers: readonly BootConfigurationRequest[]): void {
  const hostname = layers.findLast((layer) => layer.hostname !== undefined)?.hostname;
  const [field] = unitFieldsIn(hostname ?? '');
  if (field === undefined) return;
  throw new Failure(
    'usage',
    'unit-needed',
    `the hostname ${hostname ?? ''} needs a unit with its own ${field}, and there is none here`,
    {
      hint: 'Give a name with --hostname',
    },
  );
}

/** The connections of all layers; one of a higher layer takes the place of one with its name below, and of the parts of that. */
export function connectionsOf(layers: readonly BootConfigurationRequest[]): ConnectionFile[] {
  const nameOf = ({ name }: ConnectionFile) => name.toLowerCase();
  return layers.reduce<ConnectionFile[]>((below, { connections = [] }) => {
    const names = connections.map(nameOf);
    const twice = connections.find((one, index) => names.indexOf(nameOf(one)) !== index);
    if (twice !== undefined) {
      throw new Failure('usage', 'same-connection-twice', `two connections are named ${twice.name}`, {
        hint: 'Rename one of the files; one name is one connection',
      });
    }
    const isReplaced = (name = '') => names.includes(name.toLowerCase());
    return [...below.filter(({ name, partOf }) => !isReplaced(name) && !isReplaced(partOf)), ...connections];
  }, []);
}
