// npm run check: everything that can be told without running the program.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build, installDependencies, root } from './setup.js';

installDependencies();
build();

const failures = [];
check('types', 'tsc', ['-p', 'tsconfig.json']);
check('lint', 'eslint', ['.']);
check('format', 'prettier', ['--check', '--log-level', 'warn', '.']);
check('unused code and dependencies', 'knip', []);
checkGenerated('oclif.manifest.json', 'oclif', ['manifest']);
checkGenerated('README.md', 'oclif', ['readme', '--no-aliases']);
if (failures.length > 0) {
  console.error(`check: failed: ${failures.join(', ')}`);
  process.exit(1);
}
console.log('check: all good');

function check(what, tool, toolArguments) {
  console.log(`check: ${what}`);
  if (runTool(tool, toolArguments) !== 0) failures.push(what);
}

/** A generated file must be what its generator makes of the sources; a stale one is put right and reported. */
function checkGenerated(file, tool, toolArguments) {
  console.log(`check: ${file} is up to date`);
  const target = path.join(root, file);
  const committed = readFileSync(target, 'utf8');
  const exitCode = runTool(tool, toolArguments, 'pipe');
  runTool('prettier', ['--log-level', 'warn', '--write', file]);
  if (exitCode === 0 && readFileSync(target, 'utf8') === committed) return;
  if (process.env.CI) writeFileSync(target, committed);
  else console.error(`${file} was stale; it has been written anew, commit it`);
  failures.push(file);
}

function runTool(tool, toolArguments, stdio = 'inherit') {
  const program = path.join(root, 'node_modules', '.bin', tool);
  return spawnSync(program, toolArguments, { cwd: root, stdio }).status;
}
