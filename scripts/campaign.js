// npm run campaign: the tests with random cases, in full: hundreds of killed flashes, tens of thousands of damaged images.
import path from 'node:path';
import { build, installDebianPackages, installDependencies, step } from './setup.js';

installDependencies();
installDebianPackages();
build();

const files = [
  'test/lib/image/partition-table.test.ts',
  'test/lib/image/fat-file-system.test.ts',
  'test/lib/image/ext4-reader.test.ts',
  'test/lib/image/overlay.test.ts',
  'test/lib/boot-config/json-text.test.ts',
  'test/commands/flash-faults.test.ts',
].map((file) => path.normalize(file));
step(process.execPath, ['--import', 'tsx', '--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
  env: { ...process.env, LC_ALL: 'C.UTF-8', DAVIT_CAMPAIGN: '1' },
});
