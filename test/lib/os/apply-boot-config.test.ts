import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { projectRoot, runProgram } from '../../support/davit.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const script = path.join(projectRoot, 'recipes/virtual-amd64/rootfs/usr/lib/virtual-device/apply-boot-config');

/**
 * Runs the guest's script over this computer's programs, in namespaces of its own where everything it writes lands in memory; `$1` is
 * the script, `$2` a folder with the boot partition's files, to which results are copied.
 */
const stage = `set -e
mount -t tmpfs none "$2/memory"
mkdir "$2/memory/upper" "$2/memory/work" "$2/memory/root"
mount -t overlay -o "lowerdir=/,upperdir=$2/memory/upper,workdir=$2/memory/work" none "$2/memory/root"
cd "$2/memory/root"
mount -t proc none proc
mount --bind /dev dev
mount -t tmpfs none run
mkdir -p mnt
mount -t tmpfs none mnt
cp -r "$2/boot" mnt/boot
cp "$1" run/apply-boot-config
chroot . sh /run/apply-boot-config
uname -n >"$2/host-name"
cp run/virtual-device/sshd.conf run/virtual-device/engine.env root/.ssh/authorized_keys mnt/boot/config.json "$2"
test -s mnt/state/root-overlay/etc/ssh/hostkeys/ssh_host_ed25519_key
`;

async function applied(t: TestContext, config: string) {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, 'memory'));
  await mkdir(path.join(folder, 'boot'));
  await writeFile(path.join(folder, 'boot', 'config.json'), config);
  const { exitCode, stderr } = await runProgram([
    'unshare',
    '--mount',
    '--uts',
    'sh',
    '-c',
    stage,
    'sh',
    script,
    folder,
  ]);
  assert.equal(exitCode, 0, stderr);
  const text = (name: string) => readFile(path.join(folder, name), 'utf8');
  return {
    hostName: (await text('host-name')).trim(),
    config: await text('config.json'),
    keys: (await text('authorized_keys')).trim(),
    takesPasswords: (await text('sshd.conf')).includes('PasswordAuthentication yes'),
    opensEngine: (await text('engine.env')).includes(':2375'),
  };
}

const uuid = '63ec46c0aaaabbbbccccddddeeeeffff';

describe('the virtual device at its start', { skip: process.getuid?.() === 0 ? false : 'namespaces need root' }, () => {
  for (const broken of ['', '{"hostname":', '[1]', '{} {}']) {
    it(`starts in production mode and leaves a config.json alone that is ${JSON.stringify(broken)}`, async (t) => {
      const { hostName, config, ...access } = await applied(t, broken);
      assert.match(hostName, /^[0-9a-f]{7}$/);
      assert.equal(config, broken);
      assert.deepEqual(access, { keys: '', takesPasswords: false, opensEngine: false });
    });
  }

  it('makes itself a uuid once and is called after it', async (t) => {
    const { hostName, config } = await applied(t, '{"deviceType":"x"}');
    assert.match(config, /^\{"deviceType":"x","uuid":"[0-9a-f]{32}"\}$/m);
    assert.ok(config.includes(`"uuid":"${hostName}`));
  });

  it('takes a host name in any case, and the short uuid in place of what cannot be one', async (t) => {
    const name = async (hostname: unknown) => (await applied(t, JSON.stringify({ uuid, hostname }))).hostName;
    assert.equal(await name('Kiosk-7'), 'Kiosk-7');
    for (const bad of ['a b', 'under_score', '-x', 'x'.repeat(64), 'a\nb', 5, null]) {
      assert.equal(await name(bad), '63ec46c', JSON.stringify(bad));
    }
  });

  it('takes passwords in development mode only where there are no SSH keys at all', async (t) => {
    const access = async (config: object) => {
      const { keys, takesPasswords, opensEngine } = await applied(t, JSON.stringify({ uuid, ...config }));
      return { keys, takesPasswords, opensEngine };
    };
    const developmentMode = true;
    assert.deepEqual(await access({ developmentMode }), { keys: '', takesPasswords: true, opensEngine: true });
    assert.deepEqual(await access({ developmentMode, os: { sshKeys: ['one', {}, 'two'] } }), {
      keys: 'one\ntwo',
      takesPasswords: false,
      opensEngine: true,
    });
    assert.deepEqual(await access({ developmentMode, os: { sshKeys: [] } }), {
      keys: '',
      takesPasswords: false,
      opensEngine: true,
    });
    assert.deepEqual(await access({ os: { sshKeys: ['one'] } }), {
      keys: 'one',
      takesPasswords: false,
      opensEngine: false,
    });
    assert.deepEqual(await access({}), { keys: '', takesPasswords: false, opensEngine: false });
  });
});
