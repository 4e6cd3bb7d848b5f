// npm run check: everything that can be told without running the program.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generate, generatedFiles } from './generate.js';
import { build, installDependencies, root } from './setup.js';

installDependencies();
build();

const failures = [];
check('types', 'tsc', ['-p', 'tsconfig.json']);
check('lint', 'eslint', ['.']);
check('format', 'prettier', ['--check', '--log-level', 'warn', '.']);
check('unused code and dependencies', 'knip', []);
for (const file of Object.keys(generatedFiles)) checkGenerated(file);
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
function checkGenerated(file) {
  console.log(`check: ${file} is up to date`);
  const target = path.join(root, file);
  const committed = readFileSync(target, 'utf8');
  generate(file);
  if (readFileSync(target, 'utf8') === committed) return;
  if (process.env.CI) writeFileSync(target, committed);
  else console.error(`${file} was stale; it has been written anew, commit it`);
  failures.push(file);
}

function runTool(tool, toolArguments) {
  const program = path.join(root, 'node_modules', '.bin', tool);
  return spawnSync(program, toolArguments, { cwd: root, stdio: 'inherit' }).status;
}
