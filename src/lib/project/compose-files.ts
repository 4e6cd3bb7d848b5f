import { stat } from 'node:fs/promises';
import path from 'node:path';

/** Usual names of a compose file; the first that is there counts, as in Docker Compose. */
const usualNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];

/** The compose files of a folder that nobody has named. */
export interface FoundComposeFiles {
  /** Absolute paths, the later over the earlier; none where the folder has no compose file. */
  readonly files: readonly string[];
  /** Names of files beside them that look as if they counted and do not. */
  readonly unread: readonly string[];
}

/**
 * Finds a folder's compose file and, as balena has it for pushes to devices at hand, `docker-compose.dev.yml` over it. A
 * `docker-compose.override.yml` is not read: it is what Docker Compose lays over the file on a developer's own computer, with mounts and
 * ports of that computer.
 */
export async function findComposeFiles(folder: string): Promise<FoundComposeFiles> {
  const there = async (names: readonly string[]) => {
    const found = await Promise.all(names.map((name) => isFile(path.join(folder, name))));
    return names.filter((_, index) => found[index]);
  };
  const [main, ...others] = await there(usualNames);
  if (main === undefined) return { files: [], unread: [] };
  const stem = main.replace(/\.ya?ml$/, '');
  const [overlay] = await there([`${stem}.dev.yml`, `${stem}.dev.yaml`]);
  const overrides = await there([`${stem}.override.yml`, `${stem}.override.yaml`]);
  const names = overlay === undefined ? [main] : [main, overlay];
  return { files: names.map((name) => path.join(folder, name)), unread: [...others, ...overrides] };
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (stats) => !stats.isDirectory(),
    () => false,
  );
}
