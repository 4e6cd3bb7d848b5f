// npm test: sets up what the tests need, builds, and runs them all; `npm test -- test/lib/image` runs those below a path.
import path from 'node:path';
import { build, installDebianPackages, installDependencies, step, testFiles } from './setup.js';

installDependencies();
installDebianPackages();
build();

const files = testFiles(process.argv.slice(2));
// Tests that boot the virtual device want the machine for themselves and come last.
const lab = files.filter((file) => file.includes(`${path.sep}lab${path.sep}`));
const quick = files.filter((file) => !lab.includes(file));
// mtools, an oracle of the FAT tests, knows only the letters of the locale.
const env = { ...process.env, LC_ALL: 'C.UTF-8' };
const runTests = (concurrency, chosen) => {
  if (chosen.length === 0) return;
  step(
    process.execPath,
    [
      ...['--import', 'tsx', '--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec'],
      // What hangs is to be named before whoever runs the tests loses patience.
      ...['--test-timeout', String(20 * 60 * 1000)],
      ...chosen,
    ],
    { env },
  );
};
runTests(2, quick);
runTests(1, lab);
