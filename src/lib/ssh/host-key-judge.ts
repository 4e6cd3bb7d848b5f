import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { folders } from '../platform/environment.js';
import { shellWord } from '../platform/shell-word.js';
import type { ProgressListener } from '../platform/progress.js';
import { readSharedFile } from '../platform/shared-file.js';
import { type HostKeyStore, pinnedName } from './host-key-store.js';
import { fingerprint, type HostKey, isAbout, isSameKey, type KnownHost, parseKnownHosts } from './known-hosts.js';
import type { NewHostKeyPermit } from './new-host-key-permit.js';

/** Whose key is judged. */
export interface JudgedHost {
  /** What the user calls it. */
  readonly name: string;
  readonly port: number;
  /** Its UUID, where that is what the user asked for. */
  readonly uuid?: string | undefined;
  readonly progress: ProgressListener;
  /** Permission to take whatever key it shows. */
  readonly permit?: NewHostKeyPermit | undefined;
}

/** A known-hosts file that is only read, and what it says. */
interface ForeignFile {
  readonly file: string;
  readonly known: readonly KnownHost[];
}

/** Decides whether the key that a device shows is the one it had before: one judge for each connection. */
export class HostKeyJudge {
  /** Whether the device is to be asked for its UUID: its key has just been pinned, or not yet under the UUID it must have. */
  wantsUuid: boolean;

  readonly #host: JudgedHost;
  readonly #store: HostKeyStore;
  readonly #name: string;
  readonly #pinned: readonly HostKey[];
  readonly #own: readonly KnownHost[];
  readonly #foreign: readonly ForeignFile[];
  #hasUsedPermit = false;
  #cannotPin = false;

  private constructor(
    host: JudgedHost,
    store: HostKeyStore,
    own: readonly KnownHost[],
    foreign: readonly ForeignFile[],
  ) {
    this.#host = host;
    this.#store = store;
    this.#name = pinnedName(host.name, host.port);
    this.#own = own;
    this.#foreign = foreign;
    const ownNames = [this.#name, ...(host.uuid === undefined ? [] : [host.uuid])];
    const byUuid = keysFor(own, ownNames.slice(1));
    this.#pinned = byUuid.length > 0 ? byUuid : keysFor(own, ownNames);
    this.wantsUuid = host.uuid !== undefined && byUuid.length === 0;
  }

  /** Reads davit's file and the user's, which OpenSSH keeps. */
  static async prepare(host: JudgedHost, store: HostKeyStore): Promise<HostKeyJudge> {
    const files = [path.join(folders.home(), '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'];
    const [own, ...foreign] = await Promise.all([
      store.entries(),
      ...files.map(async (file) => ({ file, known: parseKnownHosts((await readUsersFile(file)) ?? '') })),
    ]);
    return new HostKeyJudge(host, store, own, foreign);
  }

  /** Types of the keys that are known, to be asked for first: a server with several keys then shows one of these. */
  get knownTypes(): readonly string[] {
    if (this.#isPermitted) return [];
    const known = this.#pinned.length > 0 ? this.#pinned : this.#foreignKeys().map(({ hostKey }) => hostKey);
    return known.map((one) => one.type);
  }

  /** Fails as refused unless the key is the one that is known; one of a device that is not known is pinned. */
  async check(shown: HostKey): Promise<void> {
    this.#requireNotRevoked(shown);
    if (this.#isPermitted) {
      this.#host.permit?.use();
      this.#hasUsedPermit = true;
      await this.#store.replace(this.#name, shown);
      this.wantsUuid = true;
      this.#notice(`Remembering ${this.#host.name} by the host key it has now: ${fingerprint(shown)}`);
      return;
    }
    if (this.#pinned.length > 0) {
      this.#requireAmong(this.#pinned, shown, this.#store.file);
      return;
    }
    const foreign = this.#foreignKeys();
    const isKnown = foreign.some(({ hostKey }) => isSameKey(hostKey, shown));
    const [first] = foreign.filter((one) => one.isForPort);
    if (!isKnown && first !== undefined) this.#refuse([first.hostKey], shown, `${first.file}:${first.line}`);
    const [owner] = this.#own.filter((one) => one.marker === undefined && isSameKey(one.hostKey, shown));
    const pinned = await this.#pin(() => this.#store.pinFirst(this.#name, shown), [shown]);
    this.#requireAmong(pinned, shown, this.#store.file);
    this.wantsUuid = true;
    if (isKnown || this.#cannotPin) return;
    const [authority] = this.#foreignAuthorities();
    const unasked = authority === undefined ? '' : ` (davit does not check certificates, as ${authority} asks for)`;
    this.#notice(
      owner === undefined
        ? `First connection to ${this.#host.name}: remembering its host key ${fingerprint(shown)}${unasked}`
        : `${this.#host.name} has the host key of ${owner.patterns.join(', ')}`,
    );
  }

  /** Pins the shown key under the UUID that the device says it has; fails as refused when that device is known by another key. */
  async identify(uuid: string, shown: HostKey): Promise<void> {
    const { name, uuid: wanted } = this.#host;
    if (wanted !== undefined && wanted !== uuid) {
      throw new Failure('refused', 'other-device', `what answers for ${name} is not the device ${wanted} but ${uuid}`, {
        hint: 'Run davit scan to see where the device is now',
      });
    }
    const known = keysFor(this.#own, [uuid]).find((one) => !isSameKey(one, shown));
    const other = await this.#pin(() => this.#store.identify(uuid, shown, this.#hasUsedPermit), known);
    if (other === undefined) return;
    // It has been met as an impostor, if it is one; the next meeting must not take it for a friend.
    await this.#pin(() => this.#store.forget(this.#name), false);
    this.#refuse([other], shown, this.#store.file);
  }

  /** Changes the pinned keys, or says once that it cannot: a device can be reached from where nothing can be kept. */
  async #pin<T>(change: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await change();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { name, progress } = this.#host;
      const text = `${error.message}; the host key of ${name} is not remembered`;
      if (!this.#cannotPin) progress({ type: 'notice', level: 'warning', text });
      this.#cannotPin = true;
      return otherwise;
    }
  }

  get #isPermitted(): boolean {
    return this.#host.permit?.isLeft === true;
  }

  /** What the user's files say of the host, as OpenSSH looks for it: under its port, then without. */
  #foreignKeys() {
    return this.#foreignLines(undefined);
  }

  /** Where the user's files name an authority for certificates of the host. */
  #foreignAuthorities(): string[] {
    return this.#foreignLines('cert-authority').map(({ file, line }) => `${file}:${line}`);
  }

  #foreignLines(marker: KnownHost['marker']) {
    const { name, port } = this.#host;
    const bare = name.replace(/\.$/, '');
    const names = bare.includes('.') || bare.includes(':') ? [bare] : [bare, `${bare}.local`];
    return this.#foreign.flatMap(({ file, known }) =>
      known.flatMap((one) => {
        if (one.marker !== marker) return [];
        const isForPort = names.some((host) => isAbout(one, port === 22 ? host : `[${host}]:${port}`));
        return isForPort || names.some((host) => isAbout(one, host)) ? [{ ...one, file, isForPort }] : [];
      }),
    );
  }

  #requireNotRevoked(shown: HostKey): void {
    const files = [{ file: this.#store.file, known: this.#own }, ...this.#foreign];
    for (const { file, known } of files) {
      const revoked = known.find((one) => one.marker === 'revoked' && isSameKey(one.hostKey, shown));
      if (revoked === undefined) continue;
      const message = `the host key of ${this.#host.name}, ${fingerprint(shown)}, is marked as revoked in ${file}:${revoked.line}`;
      throw new Failure('refused', 'host-key-revoked', message, {
        hint: 'Someone knows the private key. Give the device a new one: flash it anew',
      });
    }
  }

  #requireAmong(known: readonly HostKey[], shown: HostKey, where: string): void {
    if (!known.some((one) => isSameKey(one, shown))) this.#refuse(known, shown, where);
  }

  #refuse(known: readonly HostKey[], shown: HostKey, where: string): never {
    const { name, port } = this.#host;
    const was = known.map((one) => `${fingerprint(one)} (${one.type})`).join(' or ');
    const now = `${fingerprint(shown)} (${shown.type})`;
    const words = ['davit', 'ssh', shellWord(name), ...(port === 22222 ? [] : [`--port ${port}`]), '--accept-new-key'];
    throw new Failure(
      'refused',
      'host-key-changed',
      `the host key of ${name} has changed: it was ${was}, now it is ${now}; known from ${where}`,
      {
        hint: `If the device was flashed anew or replaced, accept its new key: ${words.join(' ')}. If not, someone may be posing as it`,
      },
    );
  }

  #notice(text: string): void {
    this.#host.progress({ type: 'notice', level: 'info', text });
  }
}

function keysFor(known: readonly KnownHost[], names: readonly string[]): HostKey[] {
  return known
    .filter((one) => one.marker === undefined && names.some((name) => isAbout(one, name)))
    .map((one) => one.hostKey);
}

/** A file of the user's that cannot be read says nothing, as with OpenSSH. */
async function readUsersFile(file: string): Promise<string | undefined> {
  return readSharedFile(file).catch(() => undefined);
}
