import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../support/davit.js';

/**
 * Layers from the top to the bottom: a module may import from its own folder and from lower layers, never from a folder
 * beside it.
 */
const layers: readonly (readonly string[])[] = [
  ['commands'],
  ['cli'],
  ['output', 'provision'],
  ['push', 'flash', 'os', 'join'],
  ['deploy', 'live-sync', 'logs'],
  ['project'],
  ['device'],
  ['boot-config'],
  ['supervisor', 'engine', 'ssh', 'discovery', 'fleet'],
  ['drives', 'image'],
  ['platform'],
  ['failure'],
];

/** What only the commands side may touch: domain code reports progress and takes a signal instead. */
const presentation = new Set(['commands', 'cli', 'output']);

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const sourceRoot = path.join(projectRoot, 'src');

function moduleOf(file: string): string {
  const [first = '', second = ''] = path.relative(sourceRoot, file).split(path.sep);
  return first === 'lib' ? second : first;
}

async function relativeImports(): Promise<Import[]> {
  const files = (await readdir(sourceRoot, { recursive: true })).filter((name) => name.endsWith('.ts'));
  const imports: Import[] = [];
  for (const name of files) {
    const file = path.join(sourceRoot, name);
    const text = await readFile(file, 'utf8');
    for (const [, target = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      imports.push({ file: name, from: moduleOf(file), to: moduleOf(path.resolve(path.dirname(file), target)) });
    }
  }
  return imports;
}

const layerOf = (module: string) => layers.findIndex((layer) => layer.includes(module));

describe('the source folders', () => {
  it('all belong to a layer', async () => {
    const folders = await readdir(path.join(sourceRoot, 'lib'));
    assert.deepEqual(
      folders.filter((folder) => layerOf(folder) < 0),
      [],
    );
  });

  it('are no deeper than src/lib/<module>', async () => {
    const names = await readdir(path.join(sourceRoot, 'lib'), { recursive: true });
    assert.deepEqual(
      names.filter((name) => name.split(path.sep).length > 2),
      [],
    );
  });

  it('import only downwards', async () => {
    const upwards = (await relativeImports()).filter(({ from, to }) => from !== to && layerOf(to) <= layerOf(from));
    assert.deepEqual(upwards, []);
  });

  it('keep domain code free of the command line and its output', async () => {
    const leaks = (await relativeImports()).filter(({ from, to }) => !presentation.has(from) && presentation.has(to));
    assert.deepEqual(leaks, []);
  });
});
