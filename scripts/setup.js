import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Debian packages that `npm run demo` and `npm test` use: to build and boot the virtual device, and to make cards and networks. */
const debianPackages = [
  // The virtual device: built by mmdebstrap, booted by QEMU.
  ...[
    'qemu-system-x86',
    'ovmf',
    'mmdebstrap',
    'grub-efi-amd64-bin',
    'grub-common',
    'gdisk',
    'fdisk',
    'dosfstools',
    'mtools',
    'e2fsprogs',
  ],
  // Cards of a given speed, and cards that fail.
  ...['nbdkit', 'libnbd-bin', 'fuse3', 'util-linux', 'mount'],
  // Networks of devices.
  ...[
    'iproute2',
    'iptables',
    'avahi-daemon',
    'avahi-utils',
    'openssh-server',
    'openssh-client',
    'docker.io',
    'busybox-static',
    'dnsmasq-base',
  ],
  // NetworkManager's own parser, for the connections that are written, certificates for them, and the device's proxy client.
  ...['python3-gi', 'gir1.2-nm-1.0', 'openssl', 'redsocks'],
  // A file system that can clone files.
  'xfsprogs',
  // Peers and formats to compare with.
  ...[
    'bmap-tools',
    'gzip',
    'pigz',
    'xz-utils',
    'zstd',
    'bzip2',
    'lz4',
    'zip',
    'unzip',
    'squashfs-tools',
    'gnupg',
    'gpgv',
  ],
  ...['procps', 'time', 'jq', 'tmux', 'curl', 'strace'],
];

/** Runs a command with its output shown, and ends this process with its exit code when it fails. */
export function step(command, commandArguments, options = {}) {
  const result = spawnSync(command, commandArguments, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Installs the npm packages when package-lock.json has changed since they were installed. */
export function installDependencies() {
  const wanted = readJson('package-lock.json');
  const installed = readJson(path.join('node_modules', '.package-lock.json'));
  const isInstalled = ([name, one]) => one.optional || installed?.packages?.[name]?.version === one.version;
  if (installed && Object.entries(wanted.packages).every(([name, one]) => name === '' || isInstalled([name, one])))
    return;
  step('npm', ['ci', '--no-audit', '--no-fund']);
}

/** Compiles src to dist. */
export function build() {
  step(process.execPath, [path.join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
}

/** On Debian as root, installs the Debian packages that are missing; elsewhere says which ones would be needed. */
export function installDebianPackages() {
  const missing = debianPackages.filter((name) => !isInstalledDebianPackage(name));
  if (missing.length === 0) return;
  if (!existsSync('/etc/debian_version') || process.getuid?.() !== 0) {
    console.error(`Without these Debian packages some parts cannot run: ${missing.join(' ')}`);
    return;
  }
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  step('apt-get', ['update', '-q'], { env: environment });
  step('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...missing], { env: environment });
}

/** The test files below paths, or all; sorted. */
export function testFiles(asked) {
  return (asked.length > 0 ? asked : ['test']).flatMap((one) => testFilesBelow(path.resolve(root, one))).sort();
}

function testFilesBelow(target) {
  if (statSync(target).isFile()) return [target];
  return readdirSync(target, { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => path.join(target, name));
}

function isInstalledDebianPackage(name) {
  try {
    const status = execFileSync('dpkg-query', ['-W', '-f', '${Status}', name], { stdio: ['ignore', 'pipe', 'ignore'] });
    return status.toString().startsWith('install ok installed');
  } catch {
    return false;
  }
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(path.join(root, file), 'utf8'));
  } catch {
    return undefined;
  }
}
