import { BaseCommand } from '../lib/cli/base-command.js';
import { listDrives } from '../lib/drives/list-drives.js';
import { formatBytes } from '../lib/output/format.js';
import { tableLines } from '../lib/output/table.js';

/** One drive as `davit drives --json` gives it. */
interface ListedDrive {
  readonly path: string;
  readonly size: number;
  readonly model: string | null;
  readonly serial: string | null;
  readonly bus: string | null;
  readonly removable: boolean;
  readonly contents: readonly string[];
  readonly flashable: boolean;
  /** Why it is not flashable. */
  readonly reason: string | null;
}

export default class Drives extends BaseCommand {
  static override summary = 'List the drives of this computer and tell which can be flashed.';

  static override description =
    'A drive is refused when it holds any part of the running system, is mounted, used as swap, by RAID, LVM or encryption, or is write-protected.';

  static override examples = ['<%= config.bin %> drives', '<%= config.bin %> drives --json'];

  async run(): Promise<{ readonly drives: readonly ListedDrive[] }> {
    await this.parse(Drives);
    const drives = (await listDrives()).map((drive): ListedDrive => ({
      path: drive.path,
      size: drive.size,
      model: drive.model ?? null,
      serial: drive.serial ?? null,
      bus: drive.bus ?? null,
      removable: drive.isRemovable,
      contents: drive.contents,
      flashable: drive.refusals.length === 0,
      reason: drive.refusals[0]?.message ?? null,
    }));
    const rows = drives.map((drive) => [
      drive.path,
      formatBytes(drive.size),
      drive.model ?? '-',
      drive.serial ?? '-',
      drive.bus ?? '-',
      drive.removable ? 'yes' : 'no',
      drive.contents.join(', ') || '-',
      drive.reason === null ? 'yes' : `no: ${drive.reason}`,
    ]);
    const headings = ['path', 'size', 'model', 'serial', 'bus', 'removable', 'contents', 'flashable'];
    for (const line of tableLines(headings, rows)) this.print(line);
    return { drives };
  }
}
