import { Failure } from '../failure/failure.js';
import { type BlockReader, sliceOf } from '../image/block-file.js';
import { FatFileSystem } from '../image/fat-file-system.js';
import { Overlay } from '../image/overlay.js';
import { type Partition, type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import { isBootName, isConfigName } from './boot-names.js';
import type { BootPartition, FindBootOptions, FoundBy } from './boot-partition.js';
import { partitionHint } from './partition-hint.js';

/** The search of one image for its boot partition, which looks into each partition once and only when it has to. */
export class BootSearch {
  readonly #reader: BlockReader;
  readonly #table: PartitionTable;
  readonly #options: FindBootOptions;
  readonly #opened = new Map<number, Promise<BootPartition | undefined>>();
  #all: readonly Partition[] | undefined;
  /** Of a file system that was passed over because it cannot be read. */
  #damage: Failure | undefined;

  constructor(reader: BlockReader, table: PartitionTable, options: FindBootOptions) {
    this.#reader = reader;
    this.#table = table;
    this.#options = options;
  }

  async find(): Promise<BootPartition> {
    const { partition } = this.#options;
    if (partition !== undefined) return this.#askedFor(partition);
    if (this.#table.kind === 'none') return this.#bareFileSystem();
    const named = (await this.#byName()) ?? (await this.#byLabel());
    if (named !== undefined) return this.#withConfigElsewhere(named);
    const found = (await this.#byDeviceType()) ?? (await this.#byConfig());
    return found ?? raise(this.#damage ?? noBootPartition(await this.#listed()));
  }

  /** All partitions that are known so far. */
  get partitions(): readonly Partition[] {
    return this.#all ?? this.#table.partitions;
  }

  async #askedFor(wanted: string): Promise<BootPartition> {
    const partitions = await this.#allPartitions();
    const numbered = partitions.filter(({ number }) => String(number) === wanted);
    const named = partitions.filter(({ name }) => name === wanted);
    for (const [partition, other] of [numbered, named]) {
      if (partition === undefined) continue;
      if (other !== undefined) throw ambiguous([partition, other], `are named ${wanted}`);
      return (await this.#open(partition, 'asked-for')) ?? raise(notFat(partition));
    }
    const labelled = await this.#labelled(partitions, (label) => label === wanted);
    const boot = only(labelled, `have the label ${wanted}`);
    if (boot !== undefined) return { ...boot, foundBy: 'asked-for' };
    throw new Failure(
      'not-found',
      'partition-not-found',
      `it has no FAT partition ${wanted}: it has ${await this.#listed()}`,
      { hint: 'Give the number or the name of one of these with --partition' },
    );
  }

  async #bareFileSystem(): Promise<BootPartition> {
    const whole = { number: 0, start: 0, size: this.#reader.size, type: '' };
    const bare = await this.#open(whole, 'bare-file-system');
    if (bare === undefined) throw notAnImage();
    const names = (await bare.files.list('/'))?.map(({ name }) => name.toLowerCase()) ?? [];
    const isBoot = isBootName(bare.label) || isConfigName(bare.label);
    if (isBoot || names.includes('device-type.json') || names.includes('config.json')) return bare;
    throw noBootPartition(await this.#listed());
  }

  async #byName(): Promise<BootPartition | undefined> {
    const found: BootPartition[] = [];
    for (const partition of this.#table.partitions) {
      const boot = isBootName(partition.name) ? await this.#open(partition, 'name') : undefined;
      if (boot !== undefined) found.push(boot);
    }
    return only(found, 'have the name of a boot partition');
  }

  /** Partitions whose type says FAT come first, so that of a packed image nothing behind them need be read. */
  async #byLabel(): Promise<BootPartition | undefined> {
    const { partitions } = this.#table;
    for (const isFat of [true, false]) {
      const some = partitions.filter((one) => isFatType(one.type) === isFat);
      const boot = only(await this.#labelled(some, isBootName), 'have the label of a boot partition');
      if (boot !== undefined) return boot;
    }
    return undefined;
  }

  async #byDeviceType(): Promise<BootPartition | undefined> {
    const holders: { readonly boot: BootPartition; readonly hint: number | undefined }[] = [];
    for (const boot of await this.#openAll(await this.#allPartitions())) {
      const deviceType = await readDeviceTypeIn(boot.files);
      if (deviceType !== undefined) holders.push({ boot, hint: partitionHint(deviceType) });
    }
    // Of several, one that says of itself that it is the one is.
    const sure = holders.length < 2 ? holders : holders.filter(({ boot, hint }) => hint === boot.number);
    const holder = only(
      (sure.length > 0 ? sure : holders).map(({ boot }) => boot),
      'hold a device-type.json',
    );
    return holder && this.#withConfigElsewhere({ ...holder, foundBy: 'device-type.json' });
  }

  async #byConfig(): Promise<BootPartition | undefined> {
    const first = this.#table.partitions.find(({ number }) => number === 1);
    const boot = first && (await this.#open(first, 'config.json'));
    return boot !== undefined && (await boot.files.read('config.json')) !== undefined ? boot : undefined;
  }

  /** The partition that holds config.json alone, where a boot partition says or shows that there is one; otherwise the boot partition. */
  async #withConfigElsewhere(boot: BootPartition): Promise<BootPartition> {
    const deviceType = await readDeviceTypeIn(boot.files);
    const hint = deviceType && partitionHint(deviceType);
    const hasConfig = (await boot.files.read('config.json')) !== undefined;
    if (hasConfig && (hint === undefined || hint === boot.number || hint <= 4)) return boot;
    const others = (await this.#allPartitions()).filter(({ number }) => number !== boot.number);
    const hinted = others.filter(({ number }) => number === hint);
    const own = await this.#forConfigAlone(hasConfig ? hinted : others);
    if (own !== undefined) return { ...own, system: boot.files };
    if (hasConfig) return boot;
    const [other] = await this.#openAll(hinted);
    const isThere = other !== undefined && (await other.files.read('config.json')) !== undefined;
    return isThere ? { ...other, foundBy: 'device-type.json-hint', system: boot.files } : boot;
  }

  async #forConfigAlone(partitions: readonly Partition[]): Promise<BootPartition | undefined> {
    const named = await this.#openAll(partitions.filter(({ name }) => isConfigName(name)));
    const boot = only(named, 'have the name of the partition of config.json');
    if (boot !== undefined) return { ...boot, foundBy: 'name' };
    return only(await this.#labelled(partitions, isConfigName), 'have the label of the partition of config.json');
  }

  async #labelled(
    partitions: readonly Partition[],
    isWanted: (label: string) => boolean,
  ): Promise<readonly BootPartition[]> {
    return (await this.#openAll(partitions)).filter(({ label }) => isWanted(label));
  }

  /** Those that are FAT. One that is damaged does not keep from finding another. */
  async #openAll(partitions: readonly Partition[]): Promise<BootPartition[]> {
    const found: BootPartition[] = [];
    // An image that comes in order is read in order.
    for (const partition of [...partitions].sort((a, b) => a.start - b.start)) {
      try {
        const boot = await this.#open(partition, 'label');
        if (boot !== undefined) found.push(boot);
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== 'file-system-damaged') throw error;
        this.#damage ??= error;
      }
    }
    return found;
  }

  async #open(partition: Partition, foundBy: FoundBy): Promise<BootPartition | undefined> {
    const opening = this.#opened.get(partition.number) ?? this.#openAnew(partition);
    this.#opened.set(partition.number, opening);
    const boot = await opening;
    return boot && { ...boot, foundBy };
  }

  async #openAnew(partition: Partition): Promise<BootPartition | undefined> {
    const { number, start, size } = partition;
    // What lies behind the end of a truncated image cannot be the partition in question.
    if (start + size > this.#reader.size) return undefined;
    await this.#options.prepare?.(partition);
    const overlay = new Overlay(sliceOf(this.#reader, start, size));
    const files = await FatFileSystem.open(overlay, this.#options);
    if (files === undefined) return undefined;
    return { number, start, size, label: await files.label(), foundBy: 'label', files, overlay, system: files };
  }

  async #allPartitions(): Promise<readonly Partition[]> {
    this.#all ??= this.#table.isPartial === true ? (await readPartitionTable(this.#reader)).partitions : undefined;
    return this.partitions;
  }

  async #listed(): Promise<string> {
    const most = 40;
    const { partitions } = this;
    const labels = new Map<number, string>();
    for (const [number, opening] of this.#opened) {
      const boot = await opening.catch(() => undefined);
      if (boot !== undefined) labels.set(number, boot.label);
    }
    const texts = partitions.slice(0, most).map(({ number, name }) => {
      const known = name ?? labels.get(number);
      return known === undefined || known === '' ? String(number) : `${number} (${known})`;
    });
    const more = partitions.length > most ? [`and ${partitions.length - most} more`] : [];
    return partitions.length === 0 ? 'no partitions' : `partitions ${[...texts, ...more].join(', ')}`;
  }
}

/** A device-type.json, as far as it can be read; what is wrong with it is told where it is read for what it says. */
async function readDeviceTypeIn(files: FatFileSystem): Promise<JsonObject | undefined> {
  const bytes = await files.read('device-type.json');
  if (bytes === undefined) return undefined;
  try {
    const document: unknown = JSON.parse(String(bytes));
    return isJsonObject(document) ? document : {};
  } catch {
    return {};
  }
}

/** Types of FAT partitions: in an MBR also hidden ones; in a GPT those for EFI and for basic data. */
const fatTypes: readonly string[] = [
  ...['0x01', '0x04', '0x06', '0x0b', '0x0c', '0x0e', '0x11', '0x14', '0x16', '0x1b', '0x1c', '0x1e', '0xef'],
  'C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7',
];

function isFatType(type: string): boolean {
  return fatTypes.includes(type);
}

function only(candidates: readonly BootPartition[], what: string): BootPartition | undefined {
  if (candidates.length > 1) throw ambiguous(candidates, what);
  return candidates[0];
}

function ambiguous(candidates: readonly Pick<Partition, 'number'>[], what: string): Failure {
  const numbers = candidates.map(({ number }) => number).join(' and ');
  return new Failure('refused', 'boot-partition-ambiguous', `partitions ${numbers} ${what}`, {
    hint: `Choose one with --partition ${candidates[0]?.number ?? 1}; davit os inspect shows them`,
  });
}

function raise(failure: Failure): never {
  throw failure;
}

function notFat({ number, name }: Partition): Failure {
  const what = name === undefined ? `partition ${number}` : `partition ${number} (${name})`;
  return new Failure('refused', 'partition-not-fat', `${what} does not hold a FAT file system`, {
    hint: 'Give another one with --partition; davit os inspect shows what each of them holds',
  });
}

function notAnImage(): Failure {
  return new Failure('refused', 'not-an-image', 'there is neither a partition table nor a FAT file system in it', {
    hint: 'Give a whole-disk OS image',
  });
}

function noBootPartition(found: string): Failure {
  return new Failure(
    'not-found',
    'boot-partition-not-found',
    `there is no boot partition in it: it has ${found}, none of them FAT with the name resin-boot, flash-boot or balena-boot, or with a device-type.json`,
    { hint: 'davit configures balenaOS images; look at this one with: davit os inspect; choose with --partition' },
  );
}
