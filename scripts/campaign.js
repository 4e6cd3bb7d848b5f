// npm run campaign: the tests with random cases, in full: hundreds of killed flashes, tens of thousands of damaged images. It takes hours;
// `npm run campaign -- test/lib/image` runs those below a path.
import { readFileSync } from 'node:fs';
import { build, installDebianPackages, installDependencies, step, testFiles } from './setup.js';

installDependencies();
installDebianPackages();
build();

const random = testFiles(process.argv.slice(2)).filter((file) => readFileSync(file, 'utf8').includes('/campaign.js'));
step(process.execPath, ['--import', 'tsx', '--test', '--test-concurrency=1', '--test-reporter=spec', ...random], {
  env: { ...process.env, LC_ALL: 'C.UTF-8', DAVIT_CAMPAIGN: '1' },
});
