import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { isRecord } from '../platform/json.js';

/** Sizes of the partitions of an image in MiB, each a multiple of 4; the second root partition has the size of the first. */
export interface PartitionSizes {
  readonly boot: number;
  readonly root: number;
  readonly state: number;
  readonly data: number;
}

/** What an image is made of: a folder that docs/lab.md describes. */
export interface Recipe {
  readonly folder: string;
  readonly deviceType: string;
  /** Debian release that the packages come from. */
  readonly suite: string;
  readonly partitionMiB: PartitionSizes;
  readonly packages: readonly string[];
  /** Changes with everything that goes into the root file system, and with nothing else. */
  readonly rootHash: string;
}

const shippedRecipes = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'recipes');

/** Files that a recipe cannot do without, relative to its folder. */
const neededFiles = [
  'recipe.json',
  'packages.txt',
  'dpkg.conf',
  'setup.sh',
  'grub.cfg',
  'rootfs/etc/os-release',
  'boot/config.json',
];

/** Parts of a recipe that only the boot partition is made of. */
const bootParts = new Set(['boot', 'grub.cfg']);

/**
 * Reads a recipe.
 *
 * @param nameOrFolder the name of a recipe that comes with davit, or a folder; a word with a slash or a dot is a folder
 */
export async function readRecipe(nameOrFolder: string): Promise<Recipe> {
  const folder = await findRecipe(nameOrFolder);
  for (const name of neededFiles) await expectFile(folder, name);
  const settings = parseSettings(await readText(folder, 'recipe.json'), path.join(folder, 'recipe.json'));
  const packages = (await readText(folder, 'packages.txt'))
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
  return { folder, ...settings, packages, rootHash: await hashRootParts(folder) };
}

async function findRecipe(nameOrFolder: string): Promise<string> {
  const isName = /^[a-z0-9-]+$/.test(nameOrFolder);
  const candidates = isName
    ? [path.join(shippedRecipes, nameOrFolder), path.resolve(nameOrFolder)]
    : [path.resolve(nameOrFolder)];
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isDirectory()) return candidate;
  }
  const shipped = (await readdir(shippedRecipes)).join(', ');
  throw new Failure('not-found', 'recipe-not-found', `there is no recipe or folder ${nameOrFolder}`, {
    hint: `Recipes that come with davit: ${shipped}. A folder of your own works too: copy ${shippedRecipes}/virtual-amd64 and change it`,
  });
}

async function expectFile(folder: string, name: string): Promise<void> {
  const found = await stat(path.join(folder, name)).catch(() => undefined);
  if (found?.isFile()) return;
  throw new Failure('not-found', 'recipe-incomplete', `the recipe ${folder} has no file ${name}`, {
    hint: `Copy it from ${path.join(shippedRecipes, 'virtual-amd64')}`,
  });
}

async function readText(folder: string, name: string): Promise<string> {
  const file = path.join(folder, name);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw whileDoing(`reading ${file}`, error);
  }
}

/** The settings in the text of a `recipe.json`; `file` names it in failures. */
export function parseSettings(text: string, file: string): Pick<Recipe, 'deviceType' | 'suite' | 'partitionMiB'> {
  const invalid = (problem: string) => new Failure('usage', 'invalid-recipe', `${file}: ${problem}`);
  let settings: unknown;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw new Failure('usage', 'invalid-recipe', `${file} is not valid JSON`, { cause: error });
  }
  if (!isRecord(settings)) throw invalid('it is not an object');
  const word = (key: string) => {
    const value = settings[key];
    if (typeof value === 'string' && /^[a-z0-9][a-z0-9-]*$/.test(value)) return value;
    throw invalid(`"${key}" must be a word of lower-case letters, digits and dashes`);
  };
  const sizes = settings.partitionMiB;
  if (!isRecord(sizes)) throw invalid('"partitionMiB" must be an object with boot, root, state and data');
  const size = (key: string, least: number) => {
    const value = sizes[key];
    if (typeof value === 'number' && value >= least && value % 4 === 0) return value;
    throw invalid(`"partitionMiB.${key}" must be a multiple of 4, at least ${least}`);
  };
  return {
    deviceType: word('deviceType'),
    suite: word('suite'),
    partitionMiB: { boot: size('boot', 16), root: size('root', 64), state: size('state', 8), data: size('data', 16) },
  };
}

async function hashRootParts(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .filter((file) => !bootParts.has(file.split(path.sep)[0] ?? ''))
    .sort();
  for (const file of files) {
    const content = await readFile(path.join(folder, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}
