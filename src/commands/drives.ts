import { Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import type { Drive } from '../lib/drives/drive.js';
import { type DriveRisk, riskFlags } from '../lib/drives/drive-risks.js';
import type { DrivePartition } from '../lib/drives/drive-partitions.js';
import { listDrives } from '../lib/drives/list-drives.js';
import { driveChanges, watchDrives } from '../lib/drives/watch-drives.js';
import { driveChangeLine, driveLines } from '../lib/output/drive-text.js';

/** One drive as `davit drives --json` gives it. */
export interface ListedDrive {
  readonly path: string;
  readonly size: number;
  readonly sectorSize: number;
  readonly model: string | null;
  readonly serial: string | null;
  readonly bus: string | null;
  readonly slot: string | null;
  readonly byId: readonly string[];
  readonly byPath: readonly string[];
  readonly removable: boolean;
  readonly readOnly: boolean;
  readonly partitions: readonly DrivePartition[];
  /** What a person would call what is on it. */
  readonly contents: readonly string[];
  readonly flashable: boolean;
  /** Why it is not flashable, the most serious first, with the flag that overrules it if there is one. */
  readonly refusals: readonly ListedRefusal[];
  readonly reason: string | null;
}

/** Why a drive is not flashable. */
interface ListedRefusal {
  readonly code: string;
  readonly message: string;
  readonly risk: DriveRisk | null;
  readonly flag: string | null;
}

/** What `davit drives --json` prints. */
export interface DrivesResult {
  readonly version: 1;
  readonly drives: readonly ListedDrive[];
}

export default class Drives extends BaseCommand {
  static override summary = 'List the drives of this computer and tell which can be flashed.';

  static override description =
    'A drive is never written when it holds any part of the running system, swap, or a part of RAID, LVM, ZFS or open encryption, ' +
    'or is write-protected. A drive that is built in, larger than a card, mounted, or that looks like it holds data ' +
    'is written only when that is said with the flag named beside it.';

  static override examples = [
    '<%= config.bin %> drives',
    '<%= config.bin %> drives --json',
    '<%= config.bin %> drives --watch',
  ];

  static override flags = {
    watch: Flags.boolean({
      char: 'w',
      summary: 'Go on showing the drives as they come and go, until Ctrl-C; with --json one line for each that does.',
    }),
  };

  #isWatching = false;

  async run(): Promise<DrivesResult> {
    const { flags } = await this.parse(Drives);
    this.#isWatching = flags.watch;
    let drives: readonly Drive[] = [];
    if (flags.watch) {
      const show = this.#shower();
      await this.showUntilLeft(watchDrives({ signal: this.signal }), (now) => {
        show(drives, now);
        drives = now;
      });
    } else {
      drives = await listDrives();
      for (const line of driveLines(drives, this.#columns())) this.print(line);
    }
    return { version: 1, drives: drives.map(listed) };
  }

  /** What has been watched has been printed already. */
  protected override logJson(document: unknown): void {
    if (!this.#isWatching) super.logJson(document);
  }

  /** Shows how the drives have changed: as a table in place on a terminal, otherwise one line for each. */
  #shower(): (before: readonly Drive[], now: readonly Drive[]) => void {
    const { stdout, stdoutIsTerminal } = this.streams;
    if (stdoutIsTerminal && !this.jsonEnabled()) {
      const live = this.liveLines();
      return (_, now) => {
        live.show(driveLines(now, this.#columns() - 1));
      };
    }
    return (before, now) => {
      for (const { type, drive } of driveChanges(before, now)) {
        if (this.jsonEnabled()) stdout.write(`${JSON.stringify({ type, drive: listed(drive) })}\n`);
        else this.print(driveChangeLine(type, drive));
      }
    };
  }

  #columns(): number {
    const { stdoutIsTerminal, windowSize } = this.streams;
    return stdoutIsTerminal ? windowSize().columns : Infinity;
  }
}

function listed(drive: Drive): ListedDrive {
  const { path, size, sectorSize, byId, byPath, partitions, contents, isRemovable, isReadOnly, refusals } = drive;
  return {
    path,
    size,
    sectorSize,
    model: drive.model ?? null,
    serial: drive.serial ?? null,
    bus: drive.bus ?? null,
    slot: drive.slot ?? null,
    byId,
    byPath,
    removable: isRemovable,
    readOnly: isReadOnly,
    partitions,
    contents,
    flashable: refusals.length === 0,
    refusals: refusals.map(({ risk, failure: { code, message } }) => {
      return { code, message, risk, flag: risk === null ? null : riskFlags[risk] };
    }),
    reason: refusals[0]?.failure.message ?? null,
  };
}
