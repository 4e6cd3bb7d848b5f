// npm run generate: writes the two files that are made from the sources, oclif.manifest.json and the README's command reference.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.js';

/** Each generated file, with the words for oclif that write it. */
export const generatedFiles = { 'oclif.manifest.json': ['manifest'], 'README.md': ['readme', '--no-aliases'] };

if (process.argv[1] === fileURLToPath(import.meta.url)) for (const file of Object.keys(generatedFiles)) generate(file);

/** Writes one generated file anew, and throws with oclif's own words when that fails. */
export function generate(file) {
  run('oclif', generatedFiles[file]);
  if (file === 'oclif.manifest.json') sortCommands(path.join(root, file));
  else run('prettier', ['--log-level', 'warn', '--write', file]);
}

/** oclif lists commands in the order in which their modules happened to load, which differs from run to run. */
function sortCommands(file) {
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  const commands = Object.fromEntries(Object.entries(manifest.commands).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(file, `${JSON.stringify({ ...manifest, commands }, undefined, 2)}\n`);
}

function run(tool, toolArguments) {
  const program = path.join(root, 'node_modules', '.bin', tool);
  const { status, signal, stdout, stderr } = spawnSync(program, toolArguments, { cwd: root, encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`${tool} ${toolArguments.join(' ')} ended with ${status ?? signal}\n${stdout}${stderr}`);
}
